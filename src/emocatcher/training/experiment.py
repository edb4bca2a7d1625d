"""All folds of a protocol → a run folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import audit, protocols
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring.run_result import Epoch, Plan
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import MissingExtraError, RunError, SettingError
from emocatcher.foundation.settings import Settings
from emocatcher.models.model_folder import Training
from emocatcher.reports import run_report
from emocatcher.training import fold, run_writer, training_pool
from emocatcher.training.dataset import Part, load_features
from emocatcher.training.fold import FoldTask
from emocatcher.training.run_summary import summarise
from emocatcher.training.training_pool import Workers


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What `run` tells while it works."""

    stage: str  # "audit", "features", "training" or "report"
    done: int  # utterances, epochs or reports
    total: int
    epoch: Epoch | None = None
    warning: str = ""  # what the user should know, such as that a saved state is damaged


def run(
    corpus: Corpus,
    protocol: Protocol,
    settings: Settings,
    out: Path,
    *,
    seed: int = 0,
    corpus_argument: str = "",
    teachers: Sequence[Path] = (),
    resume: bool = False,
    audited: bool = True,
    strict: bool = False,
    on_audit: Callable[[audit.Audit], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Audit a protocol for leaks, train and test every fold of it, and write the report.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        settings: the recipe.
        out: the run folder to write.
        seed: see `train_folds`, as for `corpus_argument`, `teachers` and `resume`.
        corpus_argument: how the corpus was asked for.
        teachers: finished runs whose networks teach these.
        resume: go on where a run in `out` was cut.
        audited: look for leaks before training; otherwise the report states that nobody did.
        strict: refuse to train where the audit finds a leak.
        on_audit: called with what the audit found, before training.
        on_progress: called as the work goes on, from several threads. Without it, warnings go to `warnings.warn`.

    Returns:
        the report, `report.html` in the run folder.

    Raises:
        SettingError: if `strict` is asked for without the audit.
        MissingExtraError: if a part of the extra 'train' is not installed, also one that only the report needs.
        LeakError: if `strict` is asked for, and the audit finds a leak.
        EmoCatcherError: as `train_folds`, `audit.run` and `report.write` do.
    """
    if strict and not audited:
        raise SettingError(
            "--strict cannot hold with --no-audit: it refuses what the audit finds. Leave one of them out"
        )
    require_training(report=True)
    tell = on_progress or (lambda step: pass_on(step.warning))

    def look_for_leaks() -> None:
        found = None
        if audited:
            found = audit.run(
                corpus, protocol, settings,
                on_progress=lambda done, total: tell(Progress(stage="audit", done=done, total=total)),
            )  # fmt: skip
            if on_audit:
                on_audit(found)
            if strict:
                found.refuse_leaks()
        audit.write(found, out)

    train_folds(
        corpus, protocol, settings, out,
        seed=seed, corpus_argument=corpus_argument, teachers=teachers, resume=resume,
        before=look_for_leaks, on_progress=tell,
    )  # fmt: skip
    tell(Progress(stage="report", done=0, total=1))
    page = run_report.write(out)
    tell(Progress(stage="report", done=1, total=1))
    return page


def train_folds(
    corpus: Corpus,
    protocol: Protocol,
    settings: Settings,
    out: Path,
    *,
    seed: int = 0,
    corpus_argument: str = "",
    teachers: Sequence[Path] = (),
    resume: bool = False,
    before: Callable[[], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Train and test every fold of a protocol, side by side on all cores, without audit and report.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        settings: the recipe.
        out: the run folder to write.
        seed: of everything random. The same seed on the same machine gives the same weights, bit for bit.
        corpus_argument: how the corpus was asked for, so that the report can say how to ask for it again.
        teachers: finished runs of the same recipe and protocol, whose networks teach these, fold by fold.
        resume: go on where a run in `out` was cut; it ends in the same weights as one that never was.
        before: called when the run may begin, and nothing is written yet; what it raises stops the run.
        on_progress: called as utterances and epochs are done, from another thread. Without it, warnings go to
            `warnings.warn`.

    Raises:
        MissingExtraError: if PyTorch or another part of the extra 'train' is not installed.
        RunError: if `out` holds a run and `resume` was not asked for, or holds a run of something else; or if a
            teacher is not a finished run of the same split and recipe.
        AudioError: if a recording cannot be used.
    """
    require_training()
    plan = Plan(
        corpus=corpus.name,
        protocol=protocol.name,
        seed=seed,
        n_utterances=len(corpus),
        teachers=tuple(str(run) for run in teachers),
    )
    folds = [_with_validation(one, corpus, protocol, settings, seed) for one in protocol.folds]
    split = run_writer.split_table(corpus, folds)
    run_writer.check(out, plan, settings, split, resume=resume)
    of_folds = _teachers_of(teachers, split, len(folds))
    if before:
        before()
    started = time.perf_counter()
    tell = on_progress or (lambda step: pass_on(step.warning))
    n_epochs = settings.training.n_epochs
    done = dict.fromkeys(range(len(folds)), 0)

    def on_report(message: Epoch | str) -> None:
        epoch, warning = (None, message) if isinstance(message, str) else (message, "")
        if epoch:
            if epoch.epoch > done[epoch.fold]:
                run_writer.append_epoch(out, epoch)
            done[epoch.fold] = epoch.epoch
        total = len(folds) * n_epochs
        tell(Progress(stage="training", done=sum(done.values()), total=total, epoch=epoch, warning=warning))

    n_workers = training_pool.n_processes(len(folds), process_setup.usable_cores())
    with Workers(n_workers, fold.warm_up, on_report) as pool:
        features = load_features(
            corpus,
            settings,
            on_progress=lambda n, total: tell(Progress(stage="features", done=n, total=total)),
        )
        run_writer.lay(out, plan, settings, split, features)
        features = pool.share(features)
        features_s = time.perf_counter() - started
        training = _training(corpus, protocol, seed)
        tasks = [
            FoldTask(
                fold=number,
                seed=seed,
                folder=out / f"fold_{number}",
                settings=settings,
                labels=corpus.labels,
                features=features,
                parts=parts_of(one, corpus),
                training=training,
                resume=resume,
                teachers=of_folds[number],
            )
            for number, one in enumerate(folds)
        ]
        outcomes = []
        for outcome in pool.run(fold.run, tasks):
            outcomes.append(outcome)
            on_report(outcome.epochs[-1])
    outcomes.sort(key=lambda outcome: outcome.fold)
    seconds = {"features": features_s, "training": time.perf_counter() - started - features_s}
    if resume:  # a run that was finished already took the time that it took
        seconds = run_writer.seconds_before(out) or seconds
    result = summarise(corpus, plan, protocol, settings, tasks, outcomes, seconds, corpus_argument or corpus.name)
    run_writer.finish(out, corpus, tasks, outcomes, result)


def pass_on(warning: str) -> None:
    """Give a warning, if it is one, to Python where no progress is asked for: it must not be lost."""
    if warning:
        warnings.warn(warning, stacklevel=2)


def require_training(*, report: bool = False) -> None:
    """Check that the packages that training needs are installed, before it takes hours.

    Args:
        report: whether a report will be written, which needs matplotlib and Jinja2 too.

    Raises:
        MissingExtraError: if one of them is missing.
    """
    needed = ("torch", "onnx", "sklearn", *(("matplotlib", "jinja2") if report else ()))
    if not all(find_spec(name) for name in needed):
        raise MissingExtraError("Training", "train")


def _teachers_of(runs: Sequence[Path], split: str, n_folds: int) -> list[tuple[Path, ...]]:
    """The model folders that teach each fold: one tuple of folders a fold, empty where there are no runs."""
    for run in runs:
        path = run / "split.csv"
        if not (run / "result.json").is_file() or not path.is_file():
            raise RunError(f"{run} is not a finished run. Give run folders that `emocatcher train` has finished")
        if path.read_bytes() != split.encode():
            raise RunError(
                f"{run} was split in another way: its networks may have heard what the student is tested on. "
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
    """The parts of a fold that are not empty, "train", "valid" and "test", with their utterances' labels."""
    position = {label: i for i, label in enumerate(corpus.labels)}
    return {
        name: Part(ids, np.array([position[utterance.emotion] for utterance in corpus.select(ids)], np.int64))
        for name in ("train", "valid", "test")
        if (ids := getattr(one, name))
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
    )
