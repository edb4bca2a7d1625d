"""Write the files of a run folder; `emocatcher.evaluation.run_folder` reads them."""

from __future__ import annotations

import contextlib
import io
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from emocatcher import __version__
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation import protocols
from emocatcher.evaluation.scoring.run_result import Epoch, Plan, Result
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.features import mel
from emocatcher.foundation import atomic_files, csv_cells, process_setup
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.settings import Settings
from emocatcher.training.dataset import Part
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.fold import FoldOutcome, FoldTask

_N_EXAMPLES = 16


def check(out: Path, plan: Plan, settings: Settings, split: str, *, resume: bool) -> None:
    """Refuse a folder that contains a run, unless it is this run and `resume` is set. Nothing is written yet.

    Args:
        out: the run folder.
        plan: the run's corpus, protocol, seed, teachers and device.
        settings: the recipe.
        split: from `split_table`.
        resume: whether to resume a run in the folder.

    Raises:
        RunError: if the folder contains a run and `resume` is not set, or contains another run.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file. Name a folder with --out")
    files = _start_files(plan, settings, split)
    if not any((out / name).exists() for name in (*files, "result.json")):
        return
    if not resume:
        raise RunError(f"{out} holds a run already. Resume it with --resume, or name another folder with --out")
    refuse_another(out, files, "run", "settings, corpus, votes, ratings, protocol, seed and device")


def refuse_another(out: Path, files: Mapping[str, str], kind: str, same: str) -> None:
    """Refuse to resume if a start file in the folder differs; missing files are allowed.

    Args:
        out: the folder.
        files: the expected text of each start file, by name.
        kind: "run" or "sweep", for the message.
        same: the arguments that must be the same, for the message.

    Raises:
        RunError: if a file differs or cannot be read.
    """
    for name, text in files.items():
        try:
            found = (out / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"{out / name} cannot be read: {error.strerror}. Name another folder with --out") from error
        if found != text.encode():
            raise RunError(
                f"{out} holds another {kind}: its {name} differs. "
                f"Resume with the same {same}, or name another folder with --out"
            )


def write_start(out: Path, plan: Plan, settings: Settings, split: str, features: FeatureTable) -> None:
    """Write the files that a run starts from, with a hash of its features.

    Raises:
        RunError: if the resumed run had other features, or the folder cannot be written.
    """
    pin, digest = out / "features.sha256", features.digest()
    try:
        if pin.exists() and pin.read_bytes() != digest.encode():
            raise RunError(
                f"{out} holds a run of other recordings: the features of '{plan.corpus}' have changed since. "
                "Name another folder with --out"
            )
        for name, text in _start_files(plan, settings, split).items():
            atomic_files.write_text(out / name, text)
        atomic_files.write_text(pin, digest)
    except OSError as error:
        raise RunError(f"The run folder {out} cannot be written: {error.strerror}") from error


def append_epoch(out: Path, epoch: Epoch) -> None:
    """Append an epoch to `metrics.jsonl` during training; `finish` writes the file again, in order."""
    # Training does not stop if this fails, because `finish` writes all epochs.
    with contextlib.suppress(OSError), (out / "metrics.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(epoch) + b"\n")


def split_table(corpus: Corpus, folds: list[protocols.Fold]) -> str:
    """Return the text of `split.csv`: the part of every utterance in every fold."""
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(folds):
        for part in ("train", "valid", "test"):
            rows += [
                (number, part, utterance.id, utterance.speaker or "", one.emotion(utterance))
                for utterance in corpus.select(getattr(one, part))
            ]
    return csv_cells.write_rows([("fold", "part", "utterance", "speaker", "emotion"), *rows])


def _rated(utterance: Utterance, corpus: Corpus) -> list[str]:
    """The cells of an utterance's ratings, one for each dimension; "" where there is none."""
    own = dict(utterance.dimensions)
    return [repr(own[one.name]) if one.name in own else "" for one in corpus.dimensions]


def _start_files(plan: Plan, settings: Settings, split: str) -> dict[str, str]:
    return {
        "run.json": msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n",
        "config.toml": settings.to_toml(),
        "split.csv": split,
    }


def finish(
    out: Path, corpus: Corpus, tasks: list[FoldTask], outcomes: list[FoldOutcome], result: Result, device: str
) -> None:
    """Write the files of a finished run. `result.json` is the last, so a run that has it is complete.

    Raises:
        RunError: if a file cannot be written.
    """
    try:
        _write_environment(out, device)
        _write_metrics(out, outcomes)
        _write_predictions(out, corpus, tasks, outcomes)
        for task, outcome in zip(tasks, outcomes, strict=True):
            _write_evidence(task, outcome)
        _write_json(out / "result.json", result)
    except OSError as error:
        raise RunError(
            f"The run folder {out} cannot be written: {error.strerror}. Fix the problem, then rerun with --resume"
        ) from error


def read_seconds(out: Path) -> dict[str, float] | None:
    """Read the duration of each stage of a finished run; None if the folder has none."""
    try:
        found = msgspec.json.decode((out / "result.json").read_bytes(), type=Result).seconds
    except (OSError, msgspec.DecodeError):
        return None
    return found


def _write_environment(out: Path, device: str) -> None:
    environment = {
        "emocatcher": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device,
        "n_cores": process_setup.usable_cores(),
        "threads_per_fold": process_setup.N_THREADS,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write_json(out / "environment.json", environment)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _write_metrics(out: Path, outcomes: list[FoldOutcome]) -> None:
    lines = [msgspec.json.encode(epoch) for outcome in outcomes for epoch in outcome.epochs]
    atomic_files.write_bytes(out / "metrics.jsonl", b"\n".join(lines) + b"\n")


def _write_predictions(out: Path, corpus: Corpus, tasks: list[FoldTask], outcomes: list[FoldOutcome]) -> None:
    header = ("fold", "utterance", "speaker", "gender", "emotion", "predicted", "probability")
    rows: list[tuple[Any, ...]] = []
    for task, outcome in zip(tasks, outcomes, strict=True):
        probabilities, part = softmax(outcome.logits), task.parts["test"]
        ratings = [()] * len(part.ids) if outcome.ratings is None else outcome.ratings
        found = zip(corpus.select(part.ids), part.true.tolist(), probabilities, ratings, strict=True)
        for utterance, true, row, rated in found:
            best = int(row.argmax())
            rows.append(
                (task.fold, utterance.id, utterance.speaker or "", utterance.gender or "", corpus.labels[true],
                 corpus.labels[best], f"{row[best]:.6f}", *(f"{p:.6f}" for p in row), *_rated(utterance, corpus),
                 *(f"{rating:.6g}" for rating in rated))
            )  # fmt: skip
    names = [one.name for one in corpus.dimensions]
    of_dimensions = (*names, *(f"estimated_{name}" for name in names))
    columns = (*header, *(f"probability_{label}" for label in corpus.labels), *of_dimensions)
    atomic_files.write_text(out / "predictions.csv", csv_cells.write_rows([columns, *rows]))


def _write_evidence(task: FoldTask, outcome: FoldOutcome) -> None:
    """Write the arrays for the figures of attention and of examples."""
    part, features = task.parts["test"], task.features
    examples = _examples(part, outcome.logits.argmax(axis=1))
    settings = task.settings
    shown = [features.clip(part.ids[i])[: settings.front_end.n_mels] for i in examples]
    period_s = settings.front_end.frame_period_s
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        utterances=np.array(part.ids),
        attention=outcome.attention,
        attention_lengths=outcome.attention_lengths,
        attention_period_s=np.float64(period_s * settings.network.frames_per_step),
        example_utterances=np.array([part.ids[i] for i in examples]),
        example_log_mel=np.ascontiguousarray(np.concatenate(shown, axis=1)),
        example_lengths=np.array([log_mel.shape[1] for log_mel in shown], np.int64),
        frame_period_s=np.float64(period_s),
        mel_centres_hz=mel.centres_hz(settings.front_end),
    )
    atomic_files.write_bytes(task.folder / "evidence.npz", buffer.getvalue())


def _examples(part: Part, predicted: np.ndarray) -> list[int]:
    """Choose examples: the first right answer of every emotion, the first wrong ones, then other utterances."""
    chosen: list[int] = []
    for right in (True, False):
        for label in np.unique(part.true):
            matching = np.flatnonzero((part.true == label) & ((predicted == part.true) == right))
            chosen += [int(i) for i in matching[:1]]
    others = [i for i in range(len(part.ids)) if i not in set(chosen)]
    return (chosen + others)[: min(_N_EXAMPLES, len(part.ids))]


def _write_json(path: Path, value: object) -> None:
    atomic_files.write_bytes(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
