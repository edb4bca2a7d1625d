"""Train one calibrated model on every recording of a finished run of several folds.

That model itself cannot be tested, because no recording is left. The scores in its card were measured on the folds of
the run: the same recipe, each time tested on recordings that it was not trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from emocatcher import __version__
from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, ratings_digest
from emocatcher.evaluation.scoring import calibration, speaker_groups
from emocatcher.evaluation.scoring.calibration import TemperatureGain
from emocatcher.evaluation.scoring.paired_tests import PairedDifference
from emocatcher.evaluation.scoring.run_result import Calibration, Epoch, Faithfulness, Result, SpeakerGroup
from emocatcher.foundation.errors import RunError
from emocatcher.models import model_folder
from emocatcher.models.model_folder import Bundle, ModelConfig
from emocatcher.reports import run_report
from emocatcher.training import device as devices
from emocatcher.training import encoding, fold, held_out_decisions, training_pool
from emocatcher.training.dataset import Part, load_features, scaled_ratings, target_shares
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.training_pool import TrainingPool


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the worker process needs."""

    folder: Path
    config: ModelConfig
    features: FeatureTable
    encoded: EncodedClips | None
    everything: Part
    teachers: tuple[Path, ...]
    int8: bool
    device: str


def finalise(
    run_dir: Path,
    corpus: Corpus,
    folder: Path,
    *,
    name: str,
    licence: str = "",
    abstain_below: float | None = None,
    teachers: Sequence[Path] = (),
    untaught: Path | None = None,
    int8: bool = False,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Bundle:
    """Train on the whole corpus of a run, calibrated by the held-out answers of the run.

    A temperature and teachers are kept only where held-out folds gain by them beyond chance (see
    `held_out_decisions`): the 95% interval of the paired difference, by drawing speakers, lies above zero.

    Args:
        run_dir: a finished run of two or more folds; its settings and its seed are used again.
        corpus: the corpus of the run.
        folder: the model folder to write.
        name: name of the model.
        licence: of the model; "" for that of the corpus.
        abstain_below: the calibrated probability below which an answer is marked; see `held_out_decisions.calibrate`.
        teachers: for a run with teachers, as many finalised models: each one's run, finalised on the same corpus.
        untaught: for a run with teachers, a finished run of the same recipe, protocol and seed without them.
        int8: whether `model.onnx` has 8-bit weights (see `onnx_graphs.to_onnx`); the scores are those in 32 bits.
        device: "auto", "cpu", "cuda" or "mps" (see `device.resolve`).
        on_epoch: called after every epoch, from another thread.

    Raises:
        RunError: if the run is not finished, has one fold, or is of another corpus; if the teachers are not as many as
            it had, each finalised on the same corpus; or if `untaught` is missing, differs in recipe, folds or seed, or
            is not worse beyond chance.
        ModelError: if a teacher cannot be read, or the folder cannot be written.
    """
    device = devices.resolve(device)
    run, seeds, by_teachers = check(run_dir, teachers, untaught)
    known = {utterance.id for utterance in corpus.utterances}
    if run.result.corpus != corpus.name or not known.issuperset(run.predictions.utterance.tolist()):
        raise RunError(
            f"{run_dir} is a run on '{run.result.corpus}', not on this '{corpus.name}'. Give the corpus of the run"
        )
    plan = held_out_decisions.read_plan(run_dir)
    for what, of_run, now in (
        ("votes", plan.votes_sha256, votes.digest(corpus)),
        ("ratings", plan.ratings_sha256, ratings_digest(corpus)),
    ):
        if of_run != now:
            raise RunError(
                f"{run_dir} is a run with other {what} than '{corpus.name}' has now. Give its table as it was"
            )
    model_folder.check_names(name, corpus.labels)
    held_out, gain = held_out_decisions.calibrate(run, abstain_below)
    features = load_features(corpus, run.settings)
    ids = tuple(utterance.id for utterance in corpus.utterances)
    true = np.array([corpus.labels.index(utterance.emotion) for utterance in corpus.utterances], np.int64)
    rated = scaled_ratings(corpus.utterances, corpus.dimensions)
    mean, settings = run.result.mean, run.settings
    config = ModelConfig(
        name=name,
        version=__version__,
        labels=corpus.labels,
        dimensions=corpus.dimensions,
        settings=settings,
        training=model_folder.Training(
            corpus=corpus.name,
            licence=licence or corpus.licence,
            protocol=model_folder.ALL_RECORDINGS,
            fold=None,
            speakers_shared=None,
            selection="last",
            epoch=settings.training.n_epochs,
            seed=run.result.seed,
            synthetic=corpus.synthetic,
            device=devices.describe(device),
            scores={
                **_scores_on_corpora(run.result),
                "accuracy": mean.accuracy.last,
                "unweighted_average_recall": mean.unweighted_average_recall.last,
                **_calibration_scores(held_out),
                **_faithfulness_scores(run.result.faithfulness),
                **{f"concordance_of_{one.name}": one.concordance.mean for one in run.result.dimensions},
            },
            across_corpora=_is_across_corpora(run.result),
            speaker_groups=_speaker_groups(run, corpus, held_out),
            note=f"{_note(run, held_out, gain, seeds, by_teachers)} {votes.described(corpus.utterances)}".strip(),
        ),
        n_parameters=run.result.n_parameters,
        temperature=round(held_out.temperature, 6),
        abstain_below=held_out.abstain_below or 0.0,
        longest_voiced_s=features.longest_s(settings.front_end),
    )
    with TrainingPool(1, fold.warm_up, on_epoch or (lambda _: None)) as pool:
        encoded = encoding.encode(pool, corpus, features, settings, device=device)
        task = _Task(
            folder=folder, config=config, features=features, encoded=encoded,
            everything=Part(ids, true, shares=target_shares(corpus.utterances, corpus.labels), ratings=rated),
            teachers=tuple(teachers), int8=int8, device=device,
        )  # fmt: skip
        (written,) = pool.run(_train, [task])
    return written


def check(
    run_dir: Path, teachers: Sequence[Path] = (), untaught: Path | None = None
) -> tuple[run_report.Run, tuple[int | None, ...], PairedDifference | None]:
    """Check what `finalise` is given, except the corpus, which may take minutes to load.

    Returns:
        The run, the seeds of its teachers, and what the teachers gain, if there are any.

    Raises:
        RunError, ModelError: as in `finalise`.
    """
    run = run_report.read(run_dir)
    if len(run.result.folds) < 2:
        raise RunError(
            f"{run_dir} has one fold, but calibration needs two. Train a protocol of more folds, such as speakers-5"
        )
    seeds = _seeds_of(teachers, run_dir, run.result.corpus)
    if untaught and not seeds:
        raise RunError(f"{run_dir} had no teachers, so there is nothing to compare with {untaught}. Name no such run")
    return run, seeds, held_out_decisions.measure_teacher_gain(run, run_dir, untaught) if seeds else None


def _seeds_of(teachers: Sequence[Path], run_dir: Path, corpus: str) -> tuple[int | None, ...]:
    """Check that each teacher was trained on the whole corpus, as the student will be, and return their seeds."""
    n_wanted = len(held_out_decisions.read_plan(run_dir).teachers)
    if len(teachers) != n_wanted:
        had = f"had {n_wanted or 'no'} teacher{'' if n_wanted == 1 else 's'}"
        named = "1 model is" if len(teachers) == 1 else f"{len(teachers)} models are"
        todo = "Finalise each of those runs, and name all their models with --teacher" if n_wanted else "Name none"
        raise RunError(f"{run_dir} {had}, and {named} named as teachers. {todo}")
    opened = [model_folder.read(folder).config for folder in teachers]
    if len({one.sha256.get(model_folder.WEIGHTS) for one in opened}) < len(opened):
        raise RunError("Two of the teachers are the same model. Name each one once")
    trainings = [one.training for one in opened]
    for folder, training in zip(teachers, trainings, strict=True):
        if (training.protocol, training.corpus) != (model_folder.ALL_RECORDINGS, corpus):
            raise RunError(f"{folder} was not trained on all of '{corpus}'. Name what `emocatcher finalise` wrote")
    return tuple(training.seed for training in trainings)


def _is_across_corpora(result: Result) -> bool:
    return any(fold.between for fold in result.folds)


def _scores_on_corpora(result: Result) -> dict[str, float]:
    """The UAR on each corpus by a model that was not trained on it, of a protocol that has such folds.

    Where several folds test on the same corpora, the names tell what each was trained on.
    """
    folds = [(fold.between, fold.unweighted_average_recall.last) for fold in result.folds if fold.between]
    n_tests = Counter(between.tested_on for between, _ in folds)
    return {
        f"unweighted_average_recall_on_{'+'.join(between.tested_on)}"
        + (f"_by_{'+'.join(between.trained_on)}" if n_tests[between.tested_on] > 1 else ""): recall
        for between, recall in folds
    }


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
        "drop_without_most_attended": found.attended.mean,
        "drop_without_random": found.random.mean,
        "drop_without_least_attended": found.least.mean,
        "drop_without_most_important_by_occlusion": found.occlusion.mean,
    }


def _speaker_groups(run: run_report.Run, corpus: Corpus, held_out: Calibration) -> tuple[SpeakerGroup, ...]:
    """Score the held-out answers by group; each fold's under the temperature and threshold that the others chose."""
    answers = run.predictions
    return speaker_groups.score(
        corpus.select(answers.utterance.tolist()),
        answers.emotion,
        answers.predicted,
        len(run.result.labels),
        answered=calibration.answered(answers.probabilities, answers.fold, held_out),
        corpus=corpus.name,
    )


def _note(
    run: run_report.Run,
    held_out: Calibration,
    gain: TemperatureGain,
    seeds: tuple[int | None, ...],
    by_teachers: PairedDifference | None,
) -> str:
    result = run.result
    trained_on = "speakers that were " + ("also" if result.speakers_shared else "not") + " in the training part"
    if _is_across_corpora(result):
        trained_on = "a corpus that was not in the training part"
    merged = ""
    if any(fold.between and fold.between.calm_as_neutral for fold in result.folds):
        merged = ", except that calm counted as neutral, also in training, which this model distinguishes"
    low, high = gain.interval
    changed = f"by {gain.log_loss:.4f} nats, 95% interval {low:.4f} to {high:.4f} by drawing {gain.resampled}"
    distilled = temperature = threshold = ""
    if by_teachers:
        named = ", ".join(map(str, seeds))
        distilled = (
            f"It was distilled from networks of the same kind, each trained on every recording too (seeds {named}), "
            f"which helped on held-out folds: {held_out_decisions.format_gain(by_teachers)}. "
        )
    if gain.beyond_chance:
        temperature = f"A temperature fitted on held-out answers lowers the log loss of other folds ({changed})."
    else:
        temperature = (
            "It has no temperature: one fitted on held-out answers does not lower the log loss of other folds beyond "
            f"chance ({changed})."
        )
    if held_out.least_accuracy is not None:
        threshold = " The threshold for abstaining was chosen on the held-out answers."
    attention = run_report.verdict(run)
    return (
        f"It was trained on every recording of its corpus, so no recording is left to measure it on. {distilled}The "
        f"scores are those of the same recipe under {result.protocol}{merged}: the mean over "
        f"{len(result.folds)} folds, on {trained_on}. {temperature}{threshold} Each calibrated score is of a "
        "fold under what the other folds chose." + (f" {attention}" if attention else "")
    )


def _train(task: _Task) -> Bundle:
    """Train in a worker process."""
    from emocatcher.models.onnx_graphs import checked_onnx
    from emocatcher.training.distillation import Teachers
    from emocatcher.training.fold_trainer import FoldTrainer

    config = task.config
    trainer = FoldTrainer(
        config.settings,
        config.labels,
        task.features,
        {"train": task.everything},
        fold=0,
        seed=config.training.seed or 0,
        resume_dir=None,
        encoded=task.encoded,
        device=task.device,
        teachers=Teachers(task.teachers, config.settings, config.labels, task.device) if task.teachers else None,
    )
    trainer.run(training_pool.report)
    network = trainer.network.on_cpu()
    graph = checked_onnx(network, config.settings, config.labels, config.dimensions, int8=task.int8)
    return model_folder.write(task.folder, config, network.stored_weights(frozen=False), graph)
