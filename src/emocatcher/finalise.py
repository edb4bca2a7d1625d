"""A finished run of several folds → one model that learned from every recording, sure as often as it is right.

Nothing can be measured of that model itself, for no recording is left. What its card says was measured on the run's
folds: the same recipe, each time without the recordings it was asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import __version__, bundle, calibration, conditions, fold, report, workers
from emocatcher.bundle import Bundle, ModelConfig
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import FeatureTable, Part, load_features
from emocatcher.errors import RunError
from emocatcher.result import Calibration, Epoch, Faithfulness, Plan
from emocatcher.workers import Workers

ABSTAIN_BELOW = 0.4  # where no threshold is worth it; of RAVDESS's held-out answers below it, a third was right
_LEAST_COVERAGE = 0.1  # of held-out answers, that a threshold must leave to be worth it
PROTOCOL = "all"


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """All that the worker needs."""

    folder: Path
    config: ModelConfig
    features: FeatureTable
    everything: Part
    teachers: tuple[Path, ...]


def finalise(
    run_dir: Path,
    corpus: Corpus,
    folder: Path,
    *,
    name: str,
    abstain_below: float | None = None,
    teachers: Sequence[Path] = (),
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Bundle:
    """Train on all of a run's corpus, with the calibration that its held-out answers give.

    Args:
        run_dir: a finished run of two or more folds; its settings and its seed are used again.
        corpus: the run's.
        folder: the model folder to write.
        name: what to call the model.
        abstain_below: the calibrated probability under which the model's answers are marked; None for the smallest
            that keeps four in five of the other held-out answers right, or for `ABSTAIN_BELOW` where that leaves
            less than a tenth of them.
        teachers: for a run that others taught, as many finalised models: what became of those others.
        on_epoch: called after every epoch, from another thread.

    Raises:
        RunError: if the run is not finished, has one fold, or is of another corpus; or if
            the teachers are not as many as it had, each finalised on the same corpus.
        ModelError: if a teacher cannot be read, or the folder cannot be written.
    """
    run = report.read(run_dir)
    known = {utterance.id for utterance in corpus.utterances}
    if run.result.corpus != corpus.name or not known.issuperset(run.predictions.utterance.tolist()):
        raise RunError(f"{run_dir} is a run on '{run.result.corpus}', not on this '{corpus.name}'. Name its own corpus")
    if len(run.result.folds) < 2:
        raise RunError(f"{run_dir} has one fold: nothing would judge the calibration. Train speakers-5 or the like")
    seeds = _seeds_of(teachers, run_dir, corpus)
    held_out = _held_out(run, abstain_below)
    features = load_features(corpus, run.settings)
    ids = tuple(utterance.id for utterance in corpus.utterances)
    true = np.array([corpus.labels.index(utterance.emotion) for utterance in corpus.utterances], np.int64)
    mean, settings = run.result.mean, run.settings
    config = ModelConfig(
        name=name,
        version=__version__,
        labels=corpus.labels,
        settings=settings,
        training=bundle.Training(
            corpus=corpus.name,
            licence=corpus.licence,
            protocol=PROTOCOL,
            fold=None,
            speakers_shared=None,
            selection="last",
            epoch=settings.training.n_epochs,
            seed=run.result.seed,
            synthetic=corpus.synthetic,
            scores={
                "accuracy": mean.accuracy.last,
                "unweighted_average_recall": mean.unweighted_average_recall.last,
                **_calibration_scores(held_out),
                **_faithfulness_scores(run.result.faithfulness),
            },
            note=_note(run, held_out, seeds),
        ),
        n_parameters=run.result.n_parameters,
        temperature=round(held_out.temperature, 6),
        abstain_below=held_out.abstain_below or 0.0,
        conditions=conditions.fit(
            [log_mel[: settings.front_end.n_mels] for log_mel in features.log_mels(ids)],
            settings.front_end.frame_period_s,
        ),
    )
    task = _Task(folder=folder, config=config, features=features, everything=Part(ids, true), teachers=tuple(teachers))
    with Workers(1, fold.warm_up, on_epoch or (lambda _: None)) as pool:
        (written,) = pool.run(_train, [task])
    return written


def _seeds_of(teachers: Sequence[Path], run_dir: Path, corpus: Corpus) -> tuple[int | None, ...]:
    """The teachers' seeds, once each is known to have learned from all of the corpus, as the student will."""
    path = run_dir / "run.json"
    try:
        n_wanted = len(msgspec.json.decode(path.read_bytes(), type=Plan).teachers)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}, which says who taught the run, cannot be read: {reason}. Give a whole run") from None
    if len(teachers) != n_wanted:
        taught = f"was taught by {n_wanted} runs" if n_wanted else "had no teachers"
        todo = "Finalise each of those runs, and name all their models with --teacher" if n_wanted else "Name none"
        raise RunError(f"{run_dir} {taught}, and {len(teachers)} are named for its model. {todo}")
    opened = [bundle.read(folder).config for folder in teachers]
    if len({one.sha256.get(bundle.WEIGHTS) for one in opened}) < len(opened):
        raise RunError("Two of the teachers are the same model. Name each one once")
    trainings = [one.training for one in opened]
    for folder, training in zip(teachers, trainings, strict=True):
        if (training.protocol, training.corpus) != (PROTOCOL, corpus.name):
            raise RunError(f"{folder} did not learn from all of '{corpus.name}'. Name what `emocatcher finalise` wrote")
    return tuple(training.seed for training in trainings)


def _held_out(run: report.Run, abstain_below: float | None) -> Calibration:
    """What the run's held-out answers say, with a threshold that is given, worth it, or the customary one."""
    answers = run.predictions

    def calibrate(threshold: float | None) -> Calibration:
        return calibration.calibrate(answers.probabilities, answers.emotion, answers.fold, abstain_below=threshold)

    found = calibrate(abstain_below)
    worth_it = found.abstain_below is not None and found.share_kept >= _LEAST_COVERAGE
    return found if abstain_below is not None or worth_it else calibrate(ABSTAIN_BELOW)


def _calibration_scores(held_out: Calibration) -> dict[str, float]:
    scores = {
        "expected_calibration_error_before": held_out.expected_calibration_error,
        "expected_calibration_error": held_out.expected_calibration_error_calibrated,
        "area_under_risk_coverage": held_out.area_under_risk_coverage,
        "share_not_abstained": held_out.share_kept,
        "accuracy_where_not_abstained": held_out.accuracy_kept,
    }
    return {name: value for name, value in scores.items() if value is not None}


def _faithfulness_scores(found: Faithfulness | None) -> dict[str, float]:
    if found is None:
        return {}
    return {
        "fall_without_the_most_attended": found.attended.mean,
        "fall_without_as_many_at_random": found.random.mean,
        "fall_without_the_least_attended": found.least.mean,
        "fall_without_the_first_by_occlusion": found.occlusion.mean,
    }


def _note(run: report.Run, held_out: Calibration, seeds: tuple[int | None, ...]) -> str:
    result = run.result
    voices = "voices that the model had heard too" if result.speakers_shared else "voices that the model had not heard"
    fitted = "temperature was" if held_out.least_accuracy is None else "temperature and the threshold were"
    verdict = report.verdict(run)
    named = ", ".join(map(str, seeds))
    taught = f"Networks of its own kind taught it, each trained so too (seeds {named}). " if seeds else ""
    return (
        f"It was trained on every recording of its corpus, so nothing is left to measure it on. {taught}The scores are "
        f"those of the same recipe under {result.protocol}: the mean over {len(result.folds)} folds, on {voices}. The "
        f"{fitted} fitted on those folds' held-out answers; each calibrated score is of a fold under what the other "
        "folds chose." + (f" {verdict}" if verdict else "")
    )


def _train(task: _Task) -> Bundle:
    """In a worker."""
    from emocatcher.distillation import Teachers
    from emocatcher.export import checked_onnx
    from emocatcher.train import FoldTrainer

    config = task.config
    trainer = FoldTrainer(
        config.settings,
        config.labels,
        task.features,
        {"train": task.everything},
        fold=0,
        seed=config.training.seed or 0,
        resume_dir=None,
        teachers=Teachers(task.teachers, config.settings, config.labels) if task.teachers else None,
    )
    trainer.run(workers.report)
    weights: dict[str, NDArray[Any]] = {name: value.numpy() for name, value in trainer.network.state_dict().items()}
    return bundle.write(task.folder, config, weights, checked_onnx(trainer.network, config.settings, config.labels))
