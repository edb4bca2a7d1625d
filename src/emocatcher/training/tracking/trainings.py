"""Track a run, a sweep or an adaptation: what of it is a curve, a setting, a figure and a result.

What is sent is read from the folder of the training, so that a resumed one sends also what an earlier one could not.
"""

from __future__ import annotations

import contextlib
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from emocatcher.evaluation.scoring.adaptation import Adaptation
from emocatcher.evaluation.scoring.run_result import Epoch, Plan, Result
from emocatcher.foundation.settings import Settings
from emocatcher.models.model_folder import ModelConfig
from emocatcher.training import experiment, sweep
from emocatcher.training.tracking.targets import parse
from emocatcher.training.tracking.tracked import Tracked

_OF_RUN = ("report.html", "result.json", "config.toml")
_OF_ADAPTATION = ("adaptation.html", "config.json")
_OF_SWEEP = ("ranking.json",)
_NOTHING: dict[str, Any] = {"stage": "training", "done": 0, "total": 0}


class _TrackedRun:
    """One run that is tracked while it trains.

    Args:
        track: the argument of `--track`.
        out: the run folder.
        group: of the runs that belong together; "" for one.
        on_progress: called with each step, also with a note if tracking fails.
    """

    def __init__(self, track: str, out: Path, group: str, on_progress: Callable[[experiment.Progress], None]) -> None:
        self._out, self._group, self._on_progress = out, group, on_progress
        self._last: experiment.Progress | None = None  # after an epoch: the folder may be written from then on
        self.tracked = Tracked(parse(track, out), out, self._note)

    def _note(self, text: str) -> None:
        step = self._last or experiment.Progress(**_NOTHING)
        self._on_progress(msgspec.structs.replace(step, epoch=None, warning=text))

    def watch(self, step: experiment.Progress) -> None:
        """Add the epoch of a step; the first one starts the run."""
        if step.epoch is not None:
            if self._last is None:
                self._start()
            self._last = step
            self.tracked.epochs([step.epoch])
        self._on_progress(step)

    def finish(self) -> None:
        """Add the result, which the folder has by now."""
        self._start()
        result = msgspec.json.decode((self._out / "result.json").read_bytes(), type=Result)
        self.tracked.finish("", result.n_epochs, _scores(result), self._out, _OF_RUN)

    def _start(self) -> None:
        """Start from the files of the run; of a resumed one, with the epochs before."""
        plan = msgspec.json.decode((self._out / "run.json").read_bytes(), type=Plan)
        told = {name: getattr(plan, name) for name in ("corpus", "protocol", "seed", "n_utterances", "device")}
        settings = tomllib.loads((self._out / "config.toml").read_text(encoding="utf-8"))
        name = "-".join(filter(None, (self._group, self._out.resolve().name)))
        self.tracked.start("", name, told | settings, self._group)
        lines: list[bytes] = []
        with contextlib.suppress(OSError):  # a training goes on without this file, too
            lines = (self._out / "metrics.jsonl").read_bytes().splitlines()
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):  # a kill may cut the last line off
                self.tracked.epochs([msgspec.json.decode(line, type=Epoch)])


@contextlib.contextmanager
def track_run(
    track: str | None, out: Path, on_progress: Callable[[experiment.Progress], None]
) -> Iterator[Callable[[experiment.Progress], None]]:
    """Track a run while it trains, and its result at the end of the `with` block.

    Args:
        track: the argument of `--track`; None to track nothing.
        out: the run folder.
        on_progress: what `experiment.run` would be given without tracking; it is called too.

    Yields:
        `on_progress` for `experiment.run`.

    Raises:
        SettingError, MissingExtraError: as for `targets.parse`.
    """
    if track is None:
        yield on_progress
        return
    run = _TrackedRun(track, out, "", on_progress)
    with run.tracked:
        yield run.watch
        run.finish()


@contextlib.contextmanager
def track_seeds(
    track: str | None, folders: Mapping[int, Path], on_progress: Callable[[experiment.Progress], None]
) -> Iterator[Callable[[experiment.Progress], None]]:
    """Track the runs of several seeds, each as `track_run` does; several are a group with the name of their folder.

    Args:
        track: the argument of `--track`; None to track nothing.
        folders: the run folders by seed.
        on_progress: what `experiment.run_seeds` would be given without tracking; it is called too.

    Yields:
        `on_progress` for `experiment.run_seeds`.

    Raises:
        SettingError, MissingExtraError: as for `targets.parse`.
    """
    if track is None:
        yield on_progress
        return
    told: set[str] = set()

    def show(step: experiment.Progress) -> None:
        if step.warning and step.epoch is None:  # one server fails for all runs at once
            if step.warning in told:
                return
            told.add(step.warning)
        on_progress(step)

    runs = {
        seed: _TrackedRun(track, out, out.resolve().parent.name if len(folders) > 1 else "", show)
        for seed, out in folders.items()
    }
    with contextlib.ExitStack() as stack:
        for run in runs.values():
            stack.enter_context(run.tracked)
        try:
            yield lambda step: (on_progress if step.seed is None else runs[step.seed].watch)(step)
            for run in runs.values():
                run.finish()
        finally:
            for run in runs.values():  # so that they wait for a dead server at the same time
                run.tracked.end()


def _scores(result: Result) -> dict[str, float | None]:
    mean, interval = result.mean.selected, result.interval
    found: dict[str, float | None] = {
        "accuracy": mean.accuracy,
        "accuracy_low": interval.accuracy[0],
        "accuracy_high": interval.accuracy[1],
        "unweighted_average_recall": mean.unweighted_average_recall,
        "unweighted_average_recall_low": interval.unweighted_average_recall[0],
        "unweighted_average_recall_high": interval.unweighted_average_recall[1],
        "macro_f1": mean.macro_f1,
        "n_parameters": result.n_parameters,
    }
    if result.over_corpora is not None:
        found["unweighted_average_recall_over_corpora"] = result.over_corpora.unweighted_average_recall
    return found | {f"seconds_{name}": seconds for name, seconds in result.seconds.items()}


@contextlib.contextmanager
def track_sweep(
    track: str | None, plan: sweep.Plan, out: Path, on_progress: Callable[[sweep.Progress], None]
) -> Iterator[tuple[Callable[[sweep.Progress], None], Callable[[sweep.Ranking], None]]]:
    """Track a sweep while it trains: a run for each setting, with a curve for each of its trials.

    Args:
        track: the argument of `--track`; None to track nothing.
        plan: the sweep.
        out: the sweep folder.
        on_progress: what `sweep.run` would be given without tracking; it is called too.

    Yields:
        `on_progress` for `sweep.run`, and what is called with its ranking.

    Raises:
        SettingError, MissingExtraError: as for `targets.parse`.
    """
    if track is None:
        yield on_progress, lambda _: None
        return

    last: sweep.Progress | None = None  # after an epoch: the folder may be written from then on

    def note(text: str) -> None:
        on_progress(msgspec.structs.replace(last or sweep.Progress(**_NOTHING), trial=None, warning=text))

    def start(tracked: Tracked) -> None:
        name = out.resolve().name
        for choice in plan.choices:
            settings = {"corpus": plan.file.corpus, "protocol": plan.file.protocol} | _nested(choice.settings)
            tracked.start(choice.name, f"{name}-{choice.name}", settings, name)

    with Tracked(parse(track, out), out, note) as tracked:

        def watch(step: sweep.Progress) -> None:
            nonlocal last
            if last is None and step.trial is not None:
                start(tracked)
            if step.trial is not None:
                last = step
            if step.trial is not None and step.train_loss is not None:
                one = step.trial
                curve = f"fold_{one.fold}_split_{one.split}_seed_{one.seed}"
                tracked.values(one.setting, curve, step.epoch, {"train_loss": step.train_loss})
            on_progress(step)

        def finish(ranking: sweep.Ranking) -> None:
            if last is None:
                start(tracked)
            epochs = {choice.name: choice.settings.training.n_epochs for choice in plan.choices}
            for row in ranking.settings:
                results: dict[str, float | None] = {"rank": row.rank}
                for kind in ("accuracy", "unweighted_average_recall"):
                    score = getattr(row, kind)
                    if score is not None:
                        low, high = score.interval
                        results |= {kind: score.value, f"{kind}_low": low, f"{kind}_high": high}
                tracked.finish(row.setting, epochs[row.setting], results, out, _OF_SWEEP)

        yield watch, finish


@contextlib.contextmanager
def track_adaptation(
    track: str | None, folder: Path, on_note: Callable[[str], object]
) -> Iterator[Callable[[ModelConfig], None]]:
    """Track an adaptation at its end: each step is a point of the curves, because all is known within seconds.

    Args:
        track: the argument of `--track`; None to track nothing.
        folder: the folder of the adapted model.
        on_note: called with a sentence if tracking fails.

    Yields:
        what is called with the settings of the adapted model.

    Raises:
        SettingError, MissingExtraError: as for `targets.parse`.
    """
    target = None if track is None else parse(track, folder)
    with Tracked(target, None, on_note) as tracked:

        def finish(config: ModelConfig) -> None:
            found = config.adaptation
            if found is None:
                return
            run = f"{config.name}-{secrets.token_hex(3)}"  # an adaptation is never continued
            told = {
                name: getattr(found, name) for name in ("model", "corpus", "n_recordings", "validated_by", "chosen")
            }
            tracked.start(run, config.name, told | {"labels": ", ".join(config.labels)} | _nested(config.settings))
            for number, step in enumerate(found.steps, start=1):
                values = {name: getattr(step, name) for name in ("unweighted_average_recall", "accuracy", "log_loss")}
                tracked.values(run, "", number, values)
            tracked.finish(run, len(found.steps), _gain(found), folder, _OF_ADAPTATION)

        yield finish


def _gain(found: Adaptation) -> dict[str, float | None]:
    """The scores of the model as it was, and of the chosen step; none without validation."""
    chosen = next((step for step in found.steps if step.name == found.chosen), None)
    if chosen is None:
        return {}
    before = found.steps[0]
    return {
        "accuracy": chosen.accuracy,
        "accuracy_before": before.accuracy,
        "unweighted_average_recall": chosen.unweighted_average_recall,
        "unweighted_average_recall_before": before.unweighted_average_recall,
    }


def _nested(settings: Settings) -> dict[str, Any]:
    return tomllib.loads(settings.to_toml())
