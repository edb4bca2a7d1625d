"""Train and test all folds of a protocol: corpus, protocol and recipe → a run folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, ratings_digest
from emocatcher.evaluation import audit, protocols
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring.run_result import Epoch, Plan
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import MissingExtraError, ProtocolError, RunError, SettingError
from emocatcher.foundation.settings import Settings, reading
from emocatcher.models import encoder_weights
from emocatcher.models.model_folder import Training
from emocatcher.reports import run_report
from emocatcher.training import device as devices
from emocatcher.training import encoding, fold, run_scores, run_writer, training_pool
from emocatcher.training.dataset import Part, load_features, scaled_ratings, target_shares
from emocatcher.training.fold import FoldTask
from emocatcher.training.training_pool import TrainingPool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the work of `run`."""

    stage: str  # "audit", "features", "training" or "report"
    done: int  # utterances, epochs or reports
    total: int
    epoch: Epoch | None = None
    warning: str = ""  # for the user, for example that a saved state is damaged


def run(
    corpus: Corpus,
    protocol: Protocol,
    settings: Settings,
    out: Path,
    *,
    seed: int = 0,
    corpus_argument: str = "",
    teachers: Sequence[Path] = (),
    device: str = "cpu",
    resume: bool = False,
    audited: bool = True,
    strict: bool = False,
    reported: bool = True,
    on_audit: Callable[[audit.Audit], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Audit a protocol for leaks, train and test its folds in parallel on all cores, and write the report.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        settings: the recipe.
        out: the run folder to write.
        seed: seed of all random numbers. The same seed on the same CPU gives the same weights, bit for bit.
        corpus_argument: the argument that named the corpus; the report prints it in its command.
        teachers: finished runs of the same recipe and protocol, whose networks teach these, fold by fold.
        device: "auto", "cpu", "cuda" or "mps" (see `device.resolve`); a run is resumed on the same one.
        resume: resume the run in `out`; on a CPU, the weights are the same as without the interruption.
        audited: audit before training; otherwise the report states that there was no audit.
        strict: refuse to train if the audit finds a leak.
        reported: write the report.
        on_audit: called with the audit, before training.
        on_progress: called during the work, from several threads. Without it, warnings go to `warnings.warn`.

    Returns:
        the report, `report.html` in the run folder; without a report, the run folder.

    Raises:
        SettingError: if `strict` is set and `audited` is not, the device is not available, or there is only one label.
        ProtocolError: if a fold has one utterance to train on.
        MissingExtraError: if a part of the extra 'train' is not installed, also one that only the report needs.
        LeakError: if `strict` is set and the audit finds a leak.
        RunError: if `out` contains a run and `resume` is not set, or another run; or if a teacher is not a finished run
            of the same split and recipe.
        AudioError: if a recording cannot be decoded.
    """
    if strict and not audited:
        raise SettingError("--strict needs the audit, which --no-audit skips. Leave one of them out")
    require_training(report=reported)
    device = devices.resolve(device)
    notify = on_progress or (lambda step: warn(step.warning))

    def notify_of(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: notify(Progress(stage=stage, done=done, total=total))

    settings = encoder_weights.resolve(settings)
    plan = Plan(
        corpus=corpus.name,
        protocol=protocol.name,
        seed=seed,
        n_utterances=len(corpus),
        teachers=tuple(str(run) for run in teachers),
        device=device,
        votes_sha256=votes.digest(corpus),
        ratings_sha256=ratings_digest(corpus),
    )
    folds = [_with_validation(one, corpus, protocol, settings, seed) for one in protocol.folds]
    reading.check_classes(settings, len(corpus.labels))
    for number, one in enumerate(folds):
        if len(one.train) < 2:
            raise ProtocolError(f"Fold {number} has 1 utterance to train on. At least 2 are needed: add recordings")
    split = run_writer.split_table(corpus, folds)
    run_writer.check(out, plan, settings, split, resume=resume)
    teacher_folders = _teacher_folders(teachers, split, len(folds))
    found = audit.run(corpus, protocol, settings, on_progress=notify_of("audit")) if audited else None
    if found and on_audit:
        on_audit(found)
    if found and strict:
        found.refuse_leaks()
    audit.write(found, out)
    started = time.perf_counter()
    n_epochs = settings.training.n_epochs
    done = dict.fromkeys(range(len(folds)), 0)

    def on_report(message: Epoch | str) -> None:
        epoch, warning = (None, message) if isinstance(message, str) else (message, "")
        if epoch:
            if epoch.epoch > done[epoch.fold]:
                run_writer.append_epoch(out, epoch)
            done[epoch.fold] = epoch.epoch
        total = len(folds) * n_epochs
        notify(Progress(stage="training", done=sum(done.values()), total=total, epoch=epoch, warning=warning))

    n_workers = training_pool.n_processes(len(folds), process_setup.usable_cores())
    with TrainingPool(n_workers, fold.warm_up, on_report) as pool:
        features = load_features(corpus, settings, on_progress=notify_of("features"))
        run_writer.write_start(out, plan, settings, split, features)
        encoded = encoding.encode(pool, corpus, features, settings, device=device, on_progress=notify_of("encoding"))
        features_s = time.perf_counter() - started
        training = _training(corpus, protocol, seed)
        tasks = [
            FoldTask(
                fold=number,
                seed=seed,
                folder=out / f"fold_{number}",
                settings=settings,
                labels=corpus.labels,
                dimensions=corpus.dimensions,
                features=features,
                parts=parts_of(one, corpus),
                training=training,
                resume=resume,
                encoded=encoded,
                teachers=teacher_folders[number],
                device=device,
            )
            for number, one in enumerate(folds)
        ]
        outcomes = []
        for outcome in pool.run(fold.run, tasks):
            outcomes.append(outcome)
            on_report(outcome.epochs[-1])
    outcomes.sort(key=lambda outcome: outcome.fold)
    seconds = {"features": features_s, "training": time.perf_counter() - started - features_s}
    if resume:  # a run that was finished keeps its times
        seconds = run_writer.read_seconds(out) or seconds
    result = run_scores.score_run(
        corpus, plan, protocol, settings, tasks, outcomes, seconds, corpus_argument or corpus.name
    )
    run_writer.finish(out, corpus, tasks, outcomes, result, devices.describe(device))
    if not reported:
        return out
    notify_of("report")(0, 1)
    page = run_report.write(out)
    notify_of("report")(1, 1)
    return page


def warn(warning: str) -> None:
    """Issue a warning through Python, unless it is empty; for callers without `on_progress`."""
    if warning:
        warnings.warn(warning, stacklevel=2)


def require_training(*, report: bool = False) -> None:
    """Check that the packages of a training, and of its report, are installed, before hours of work.

    Raises:
        MissingExtraError: if one of them is missing.
    """
    needed = ("torch", "onnx", "sklearn", *(("matplotlib", "jinja2") if report else ()))
    if not all(find_spec(name) for name in needed):
        raise MissingExtraError("Training", "train")


def _teacher_folders(runs: Sequence[Path], split: str, n_folds: int) -> list[tuple[Path, ...]]:
    """Return the teachers' model folders for each fold; empty tuples if there are no teachers."""
    for run in runs:
        path = run / "split.csv"
        if not (run / "result.json").is_file() or not path.is_file():
            raise RunError(f"{run} is not a finished run. Give run folders that `emocatcher train` has finished")
        if path.read_bytes() != split.encode():
            raise RunError(
                f"{run} has another split: its networks may have been trained on what the student is tested on. "
                "Give runs of the same corpus and protocol"
            )
    return [tuple(run / f"fold_{number}" / "last" for run in runs) for number in range(n_folds)]


def _with_validation(
    one: protocols.Fold, corpus: Corpus, protocol: Protocol, settings: Settings, seed: int
) -> protocols.Fold:
    if settings.training.selection != "best-valid":
        return one
    return protocols.carve_validation(
        one,
        corpus,
        separates_speakers=protocol.separates_speakers,
        fraction=settings.training.valid_fraction,
        seed=seed,
    )


def parts_of(one: protocols.Fold, corpus: Corpus) -> dict[str, Part]:
    """Return the parts of a fold that are not empty ("train", "valid", "test"), with their labels."""
    position = {label: i for i, label in enumerate(corpus.labels)}
    number = {name: i for i, name in enumerate(dict.fromkeys(utterance.corpus for utterance in corpus))}
    scored = None if one.between is None else np.array(sorted(map(position.__getitem__, one.between.classes)), np.int64)
    return {
        name: Part(
            ids,
            np.array([position[one.emotion(utterance)] for utterance in utterances], np.int64),
            np.array([number[utterance.corpus] for utterance in utterances], np.int64) if len(number) > 1 else None,
            scored if name == "test" else None,
            target_shares(utterances, corpus.labels, one.counted_as) if name == "train" else None,
            scaled_ratings(utterances, corpus.dimensions),
        )
        for name in ("train", "valid", "test")
        if (ids := getattr(one, name)) and (utterances := corpus.select(ids))
    }


def _training(corpus: Corpus, protocol: Protocol, seed: int) -> Training:
    return Training(
        corpus=corpus.name,
        licence=corpus.licence,
        protocol=protocol.name,
        fold=None,
        speakers_shared=any(protocols.speakers_shared(one, corpus) for one in protocol.folds),
        selection="last",
        epoch=0,
        seed=seed,
        synthetic=corpus.synthetic,
        note=votes.described(corpus.utterances),
    )
