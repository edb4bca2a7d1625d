"""Run all trials of a sweep in parallel, and write the sweep folder with its ranking."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.protocols import Protocol
from emocatcher.foundation.settings import FrontEnd, Settings, VoiceActivity, reading
from emocatcher.training import encoding, experiment, prepared_run
from emocatcher.training.dataset import load_features
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.sweep import folder, inner_folds, ranking, trial
from emocatcher.training.sweep.inner_folds import InnerFold
from emocatcher.training.sweep.plan import Plan
from emocatcher.training.sweep.ranking import Ranking
from emocatcher.training.sweep.trial import EpochDone, Finished, Trial, TrialTask
from emocatcher.training.training_pool import Engine, ThisMachine, TrainingPool

_FeatureKey = tuple[FrontEnd, VoiceActivity]  # the settings that features depend on


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the work of `run`."""

    stage: str  # "features" or "training"
    done: int  # utterances or epochs
    total: int
    n_trials_done: int = 0
    n_trials: int = 0
    train_loss: float | None = None
    trial: Trial | None = None  # whose epoch ended
    epoch: int = 0  # counts from 1
    warning: str = ""  # for the user, for example that a saved state is damaged


def warm_up() -> None:
    """Import what a trial needs, mainly PyTorch; only worker processes import it."""
    from emocatcher.training import fold_trainer  # noqa: F401


def run(
    plan: Plan,
    corpus: Corpus,
    protocol: Protocol,
    out: Path,
    *,
    device: str = "cpu",
    engine: Engine | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Ranking, dict[str, float]]:
    """Train every setting on every inner fold with every seed, and rank the settings by validation.

    Args:
        plan: the sweep.
        corpus: the utterances.
        protocol: the folds; it fits the corpus. Its test parts are discarded first.
        out: the sweep folder to write.
        device: "auto", "cpu", "cuda" or "mps" (see `device.resolve`); a sweep is resumed on the same one.
        engine: where the trials are trained; by default processes on all cores of this machine.
        resume: resume the sweep in `out`; on a CPU, the ranking is the same as without the interruption.
        on_progress: called after each utterance and epoch, from another thread.

    Returns:
        the ranking, which is also `ranking.json` in `out`, and the mean duration of a trial of each setting, seconds.

    Raises:
        MissingExtraError: if PyTorch or another part of the extra 'train' is not installed.
        SettingError: if a setting is not allowed with this corpus, or the device is not available.
        ProtocolError: if a training part cannot be cut into inner folds.
        RunError: if `out` contains a sweep and `resume` is not set, or contains something else.
        AudioError: if a recording cannot be decoded.
        ClusterError: if the engine is a cluster, and a node does not find what it needs.
    """
    experiment.require_training()
    engine = engine or ThisMachine(TrainingPool)
    device = engine.resolve_device(device)
    for choice in plan.choices:
        reading.check_classes(choice.settings, len(corpus.labels))
    inner = inner_folds.cut(corpus, protocol, plan.file.folds, plan.file.inner)
    corpus = inner_folds.corpus_of(inner, corpus)  # the rest has no access to other utterances
    files = folder.start_files(plan, corpus, inner, device)
    folder.check(out, files, resume=resume)
    engine.check([cache_dir(), out], dict.fromkeys(utterance.path for utterance in corpus))
    trials = ranking.all_trials(plan.choices, inner, plan.file.seeds)
    saved = folder.read_trials(out) if resume else []
    finished = _usable(saved, trials, inner, corpus)
    if len(finished) < len(trials):
        notify = on_progress or (lambda step: experiment.warn(step.warning))
        _train(plan, corpus, inner, trials, finished, out, files, device, engine, notify)
    shutil.rmtree(out / folder.UNDER_WAY, ignore_errors=True)
    folder.write_trials(out, folder.in_order(trials, finished))
    found = ranking.rank(plan, corpus, inner, finished)
    folder.write_ranking(out, found)
    return found, ranking.seconds_a_trial(finished)


def _train(
    plan: Plan,
    corpus: Corpus,
    inner: Sequence[InnerFold],
    trials: Sequence[Trial],
    finished: dict[Trial, Finished],
    out: Path,
    files: dict[str, str],
    device: str,
    engine: Engine,
    notify: Callable[[Progress], None],
) -> None:
    """Run the remaining trials, and add them to `finished`."""
    settings = {choice.name: choice.settings for choice in plan.choices}
    epochs = [settings[one.setting].training.n_epochs for one in trials]
    done = [n if one in finished else 0 for one, n in zip(trials, epochs, strict=True)]

    def on_report(message: EpochDone | str) -> None:
        if isinstance(message, str):
            show(warning=message)
        else:
            done[message.number] = max(done[message.number], message.epoch)
            show(message.train_loss, trials[message.number], message.epoch)

    def show(train_loss: float | None = None, trial: Trial | None = None, epoch: int = 0, *, warning: str = "") -> None:
        notify(
            Progress(
                stage="training",
                done=sum(done),
                total=sum(epochs),
                n_trials_done=len(finished),
                n_trials=len(trials),
                train_loss=train_loss,
                trial=trial,
                epoch=epoch,
                warning=warning,
            )
        )

    left = [number for number, one in enumerate(trials) if one not in finished]
    with engine.pool(len(left), warm_up, on_report) as pool:
        tables = _load_features(plan, corpus, notify)
        folder.write_start(out, files, [table.digest() for table in tables.values()], corpus.name)
        # Removes a line that a kill cut off; otherwise the next line would be appended to it.
        folder.write_trials(out, folder.in_order(trials, finished))
        encoded = {
            name: encoding.encode(pool, corpus, tables[recipe.front_end, recipe.vad], recipe, device=device)
            for name, recipe in settings.items()
        }
        tasks = [
            _task(corpus, inner, trials[n], n, settings, tables, encoded, folder.resume_dir(out, n), device)
            for n in left
        ]
        for number, one in pool.run(_run, tasks):
            folder.append_trial(out, one)
            finished[one.trial] = one
            shutil.rmtree(folder.resume_dir(out, number), ignore_errors=True)
            done[number] = epochs[number]
            show()


def _run(task: TrialTask) -> tuple[int, Finished]:
    return task.number, trial.run(task)


def _task(
    corpus: Corpus,
    inner: Sequence[InnerFold],
    one: Trial,
    number: int,
    settings: dict[str, Settings],
    tables: dict[_FeatureKey, FeatureTable],
    encoded: dict[str, EncodedClips | None],
    resume_dir: Path,
    device: str,
) -> TrialTask:
    place = next(i for i, each in enumerate(inner) if (each.fold, each.split) == (one.fold, one.split))
    parts = prepared_run.parts_of(inner[place].parts, corpus)
    recipe = settings[one.setting]
    return TrialTask(
        trial=one,
        number=number,
        inner=place,
        settings=recipe,
        labels=corpus.labels,
        features=tables[recipe.front_end, recipe.vad],
        encoded=encoded[one.setting],
        train=parts["train"],
        valid=parts["valid"],
        resume_dir=resume_dir,
        device=device,
    )


def _load_features(plan: Plan, corpus: Corpus, notify: Callable[[Progress], None]) -> dict[_FeatureKey, FeatureTable]:
    """Load one table for each front end; settings with the same front end share it."""
    recipes = {(choice.settings.front_end, choice.settings.vad): choice.settings for choice in plan.choices}
    tables: dict[_FeatureKey, FeatureTable] = {}
    for key, recipe in recipes.items():
        before = len(tables) * len(corpus)

        def on_progress(n: int, total: int, before: int = before) -> None:
            notify(Progress(stage="features", done=before + n, total=total * len(recipes)))

        tables[key] = load_features(corpus, recipe, on_progress=on_progress)
    return tables


def _usable(
    saved: Sequence[Finished], trials: Sequence[Trial], inner: Sequence[InnerFold], corpus: Corpus
) -> dict[Trial, Finished]:
    """Return the saved trials that fit the sweep and have valid predictions; the others are run again."""
    expected = {(one.fold, one.split): one.valid for one in inner}
    wanted, labels = set(trials), set(corpus.labels)
    return {
        one.trial: one
        for one in saved
        if one.trial in wanted
        and (
            one.diverged
            or (tuple(one.predictions) == expected[one.fold, one.split] and labels.issuperset(one.predictions.values()))
        )
    }
