"""Train and test all folds of a protocol: corpus, protocol and recipe → a run folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec

from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import audit
from emocatcher.evaluation.protocols import Protocol
from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.foundation.errors import MissingExtraError, SettingError
from emocatcher.foundation.settings import Settings
from emocatcher.models import encoder_weights
from emocatcher.reports import run_report
from emocatcher.training import encoding, fold, prepared_run, run_scores, run_writer
from emocatcher.training.dataset import load_features
from emocatcher.training.fold import EpochDone, FoldOutcome, FoldTask
from emocatcher.training.prepared_run import PreparedRun, SeedRun
from emocatcher.training.training_pool import Engine, ThisMachine, TrainingPool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the work of `run`."""

    stage: str  # "audit", "features", "training" or "report"
    done: int  # utterances, epochs or reports
    total: int
    seed: int | None = None  # of the epoch
    epoch: Epoch | None = None
    warning: str = ""  # for the user, for example that a saved state is damaged


class Options(TypedDict, total=False):
    """How to train.

    `corpus_argument` is the argument that named the corpus; the report prints it in its command. `teachers` are
    finished runs of the same recipe and protocol, whose networks teach these, fold by fold. `device` is "cpu" (the
    default), "auto", "cuda" or "mps" (see `device.resolve`); a run is resumed on the same one. `engine` is where the
    folds are trained, by default processes on all cores of this machine. `resume` resumes the run in `out`; on a CPU,
    the weights are the same as without the interruption. `audited` (the default) audits before training; otherwise the
    report states that there was no audit. `strict` refuses to train if the audit finds a leak. `reported` (the default)
    writes the report. `on_audit` is called with the audit, before training; `on_progress` during the work, from several
    threads. Without it, warnings go to `warnings.warn`.
    """

    corpus_argument: str
    teachers: Sequence[Path]
    device: str
    engine: Engine | None
    resume: bool
    audited: bool
    strict: bool
    reported: bool
    on_audit: Callable[[audit.Audit], None] | None
    on_progress: Callable[[Progress], None] | None


def run(
    corpus: Corpus, protocol: Protocol, settings: Settings, out: Path, *, seed: int = 0, **options: Unpack[Options]
) -> Path:
    """Audit a protocol for leaks, train and test its folds in parallel, and write the report.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        settings: the recipe.
        out: the run folder to write.
        seed: seed of all random numbers. The same seed on the same CPU gives the same weights, bit for bit.
        options: see `Options`.

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
        ClusterError: if the engine is a cluster, and a node does not find what it needs.
    """
    (page,) = run_seeds(corpus, [SeedRun(seed=seed, protocol=protocol, out=out)], settings, **options)
    return page


def run_seeds(corpus: Corpus, wanted: Sequence[SeedRun], settings: Settings, **options: Unpack[Options]) -> list[Path]:
    """Train several runs that differ in their seed: the folds of all of them in parallel, the first seed's first.

    Args:
        corpus: the utterances.
        wanted: the seeds, each with its protocol and its run folder.
        settings: the recipe.
        options: see `Options`.

    Returns:
        what `run` returns, for each seed.

    Raises:
        EmoCatcherError: as `run`.
    """
    audited, strict = options.get("audited", True), options.get("strict", False)
    reported, resume = options.get("reported", True), options.get("resume", False)
    if strict and not audited:
        raise SettingError("--strict needs the audit, which --no-audit skips. Leave one of them out")
    require_training(report=reported)
    engine = options.get("engine") or ThisMachine(TrainingPool)
    device = engine.resolve_device(options.get("device", "cpu"))
    notify = options.get("on_progress") or (lambda step: warn(step.warning))

    def notify_of(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: notify(Progress(stage=stage, done=done, total=total))

    settings = encoder_weights.resolve(settings)
    teachers = options.get("teachers", ())
    runs = [
        prepared_run.prepare(corpus, one, settings, teachers=teachers, device=device, resume=resume) for one in wanted
    ]
    engine.check(
        [cache_dir(), *(one.out for one in runs)],
        [*dict.fromkeys(utterance.path for utterance in corpus), *(run / "result.json" for run in teachers)],
    )
    for place, one in enumerate(runs):
        same = next((other for other in runs[:place] if other.protocol == one.protocol), None)
        if not same:
            found = audit.run(corpus, one.protocol, settings, on_progress=notify_of("audit")) if audited else None
            if found and (on_audit := options.get("on_audit")):
                on_audit(found)
            if found and strict:
                found.refuse_leaks()
        audit.write(found, one.out)
    started = time.perf_counter()
    folders = {one.plan.seed: one.out for one in runs}
    done = {(one.plan.seed, fold): 0 for one in runs for fold in range(len(one.folds))}

    def on_report(message: EpochDone | str) -> None:
        step = Progress(stage="training", done=0, total=len(done) * settings.training.n_epochs)
        if isinstance(message, str):
            step = msgspec.structs.replace(step, warning=message)
        else:
            which = message.seed, message.epoch.fold
            if message.epoch.epoch > done[which]:
                run_writer.append_epoch(folders[message.seed], message.epoch)
            done[which] = message.epoch.epoch
            step = msgspec.structs.replace(step, seed=message.seed, epoch=message.epoch)
        notify(msgspec.structs.replace(step, done=sum(done.values())))

    with engine.pool(len(done), fold.warm_up, on_report) as pool:
        features = load_features(corpus, settings, on_progress=notify_of("features"))
        for one in runs:
            run_writer.write_start(one.out, one.plan, settings, one.split, features)
        encoded = encoding.encode(pool, corpus, features, settings, device=device, on_progress=notify_of("encoding"))
        features_s = time.perf_counter() - started
        tasks = {
            one.plan.seed: prepared_run.tasks(one, corpus, settings, features, encoded, resume=resume) for one in runs
        }
        outcomes: dict[int, list[FoldOutcome]] = {seed: [] for seed in tasks}
        for seed, outcome in pool.run(_run_fold, [task for of_run in tasks.values() for task in of_run]):
            on_report(EpochDone(seed, outcome.epochs[-1]))
            outcomes[seed].append(outcome)
            one = next(one for one in runs if one.plan.seed == seed)
            if len(outcomes[seed]) == len(one.folds):
                seconds = {"features": features_s, "training": time.perf_counter() - started - features_s}
                if resume:  # a run that was finished keeps its times
                    seconds = run_writer.read_seconds(one.out) or seconds
                argument = options.get("corpus_argument") or corpus.name
                _finish(one, corpus, settings, tasks[seed], outcomes[seed], seconds, argument, engine)
    if not reported:
        return [one.out for one in runs]
    pages: list[Path] = []
    for one in runs:
        notify_of("report")(len(pages), len(runs))
        pages.append(run_report.write(one.out))
    notify_of("report")(len(pages), len(runs))
    return pages


def _run_fold(task: FoldTask) -> tuple[int, FoldOutcome]:
    return task.seed, fold.run(task)


def _finish(
    one: PreparedRun,
    corpus: Corpus,
    settings: Settings,
    tasks: list[FoldTask],
    outcomes: list[FoldOutcome],
    seconds: dict[str, float],
    corpus_argument: str,
    engine: Engine,
) -> None:
    """Score a run whose folds are all trained, and write its files."""
    outcomes.sort(key=lambda outcome: outcome.fold)
    result = run_scores.score_run(corpus, one.plan, one.protocol, settings, tasks, outcomes, seconds, corpus_argument)
    run_writer.finish(one.out, corpus, tasks, outcomes, result, engine.describe_device(one.plan.device))


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
