"""What the held-out folds of a run decide about a final model: its temperature, its threshold, and its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation.scoring import calibration
from emocatcher.evaluation.scoring.calibration import TemperatureGain
from emocatcher.evaluation.scoring.paired_tests import PairedDifference, paired_difference
from emocatcher.evaluation.scoring.run_result import Calibration, Plan
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.settings import Settings
from emocatcher.reports import run_report

ABSTAIN_BELOW = 0.4  # if no threshold is useful; on RAVDESS, a third of the held-out answers below it was right
_LEAST_COVERAGE = 0.1  # of held-out answers that a useful threshold must leave


def calibrate(run: run_report.Run, abstain_below: float | None) -> tuple[Calibration, TemperatureGain]:
    """Calibrate by the held-out answers of a run, and measure what a temperature gains on other folds.

    The temperature must lower the log loss of folds that it was not fitted on (`calibration.temperature_gain`), beyond
    chance; otherwise it is 1, and the threshold is chosen without one.

    Args:
        run: a run of two or more folds.
        abstain_below: the calibrated probability below which an answer is marked; None for the smallest one for which
            four in five of the other held-out answers are right, or `ABSTAIN_BELOW` if that leaves less than a tenth
            of them.
    """
    answers = run.predictions
    speakers = [speaker or None for speaker in answers.speaker.tolist()]
    return calibrate_answers(answers.probabilities, answers.emotion, answers.fold, speakers, abstain_below)


def calibrate_answers(
    probabilities: NDArray[np.floating],
    true: NDArray[np.integer],
    folds: NDArray[np.integer],
    speakers: Sequence[str | None],
    abstain_below: float | None = None,
    otherwise: float = ABSTAIN_BELOW,
) -> tuple[Calibration, TemperatureGain]:
    """Calibrate by held-out answers; see `calibrate`.

    Args:
        probabilities: shape (n_utterances, n_classes).
        true: shape (n_utterances,), classes.
        folds: shape (n_utterances,), of two or more folds.
        speakers: one for each utterance.
        abstain_below: as for `calibrate`.
        otherwise: the threshold if none is useful.
    """
    given = probabilities, true, folds
    gain = calibration.temperature_gain(*given, calibration.calibrate(*given), speakers)
    temperature = None if gain.beyond_chance else 1.0

    def calibrate_at(threshold: float | None) -> Calibration:
        return calibration.calibrate(*given, temperature=temperature, abstain_below=threshold)

    found = calibrate_at(abstain_below)
    useful = found.abstain_below is not None and found.share_kept >= _LEAST_COVERAGE
    return (found if abstain_below is not None or useful else calibrate_at(otherwise)), gain


def measure_teacher_gain(run: run_report.Run, run_dir: Path, untaught: Path | None) -> PairedDifference:
    """Measure by how much teachers raise the held-out accuracy over the same recipe without them.

    Args:
        run: the run with teachers.
        run_dir: its folder.
        untaught: the folder of a finished run of the same recipe, folds and seed without teachers.

    Returns:
        The difference in accuracy; its 95% interval, by drawing speakers, lies above zero.

    Raises:
        RunError: if `untaught` is missing or is another recipe, or if the difference is not above zero beyond chance.
    """
    if untaught is None:
        raise RunError(
            f"{run_dir} had teachers, and whether they help on held-out folds is not known. Train the same recipe, "
            "protocol and seed without --teacher, and name that run with --untaught"
        )
    other = run_report.read(untaught)
    ours, theirs = _answers_right(run), _answers_right(other)
    if read_plan(untaught).teachers or _recipe(run) != _recipe(other) or ours.keys() != theirs.keys():
        raise RunError(
            f"{untaught} is not the same recipe, folds and seed as {run_dir} without teachers. Train that, and name "
            "its run with --untaught"
        )
    speakers = [speaker or None for *_, speaker in ours]
    found = paired_difference(list(ours.values()), [theirs[answer] for answer in ours], speakers)
    if found.interval[0] <= 0:
        raise RunError(
            f"On held-out folds, the teachers of {run_dir} do not help beyond chance: {format_gain(found)}. Finalise "
            f"{untaught} instead"
        )
    return found


def format_gain(found: PairedDifference) -> str:
    """Format a difference in accuracy with its interval, in percentage points."""
    low, high = found.interval
    return (
        f"accuracy {100 * found.difference:+.1f} points, {found.level:.0%} interval {100 * low:+.1f} to "
        f"{100 * high:+.1f} by drawing {found.resampled}"
    )


def read_plan(run_dir: Path) -> Plan:
    """Read `run.json` of a run, which names its teachers.

    Raises:
        RunError: if it cannot be read.
    """
    path = run_dir / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}, which names the run's teachers, cannot be read: {reason}. Give a whole run") from None


def _recipe(run: run_report.Run) -> tuple[Settings, int]:
    """The settings and the seed, without the teachers' share of the loss, which has no effect without teachers."""
    training = msgspec.structs.replace(run.settings.training, teacher_share=0.0)
    return msgspec.structs.replace(run.settings, training=training), run.result.seed


def _answers_right(run: run_report.Run) -> dict[tuple[int, str, int, str], bool]:
    """Whether each held-out answer is right, by fold, utterance, its emotion and its speaker."""
    answers = run.predictions
    keys = (answers.fold.tolist(), answers.utterance.tolist(), answers.emotion.tolist(), answers.speaker.tolist())
    return dict(zip(zip(*keys, strict=True), answers.correct.tolist(), strict=True))
