"""Read a finished run folder into one frozen, typed object."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.evaluation import audit, evidence
from emocatcher.evaluation.evidence import Evidence
from emocatcher.evaluation.scoring.run_result import Result
from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import RunError, SettingError, one_line
from emocatcher.foundation.settings import Settings, from_toml

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Strings = NDArray[np.str_]

# Every file the report reads, in the order in which missing ones are reported.
_PARTS = ("result.json", "config.toml", "environment.json", "split.csv", "metrics.jsonl", "predictions.csv")
_CURVES = ("train_accuracy", "train_loss", "valid_accuracy", "valid_loss", "test_accuracy", "test_loss")

T = TypeVar("T")


@dataclass(frozen=True)
class Predictions:
    """One entry per test utterance, over all folds."""

    fold: Integers  # (n,)
    utterance: Strings  # (n,)
    speaker: Strings  # (n,), "" where unknown
    gender: Strings  # (n,), "" where unknown
    emotion: Integers  # (n,), indices into the labels
    predicted: Integers  # (n,), indices into the labels
    probability: Floats  # (n,), the probability of `predicted`
    probabilities: Floats  # (n, n_classes)
    ratings: Floats  # (n, n_dimensions), of the dimensions of the result; NaN where there is none
    estimated: Floats  # (n, n_dimensions), the model's

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is correct, shape (n,)."""
        right: NDArray[np.bool_] = self.emotion == self.predicted
        return right


@dataclass(frozen=True)
class Split:
    """The rows of `split.csv` of one fold."""

    part: Strings  # (n,), "train", "valid" or "test"
    speaker: Strings  # (n,), "" where unknown
    emotion: Integers  # (n,), indices into the labels


@dataclass(frozen=True)
class Run:
    """A finished run.

    `curves` maps "train_accuracy", "train_loss", "valid_…" and "test_…" to arrays of
    shape (n_folds, n_epochs), in the order of `result.folds`; NaN marks a missing value.
    """

    name: str
    result: Result
    settings: Settings
    settings_text: str
    environment: dict[str, str | int | float]
    curves: dict[str, Floats]
    predictions: Predictions
    split: Split
    evidence: Evidence
    audit: audit.Audit | None = None  # None: not audited


def read(run_dir: Path) -> Run:
    """Read a run folder.

    Args:
        run_dir: a folder written by `emocatcher train --out`.

    Raises:
        RunError: if the folder is not a finished run folder; the message names the missing or broken part.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise RunError(f"No run folder '{run_dir}'. Give a folder written by `emocatcher train --out`")
    for part in _PARTS:
        if not (run_dir / part).is_file():
            raise RunError(
                f"'{run_dir}' is not a finished run folder: {part} is missing. "
                "To finish it, rerun the same `emocatcher train` command with `--resume`"
            )
    result = _convert(_json(run_dir / "result.json"), Result, run_dir / "result.json")
    if not result.folds:
        raise RunError(f"'{run_dir / 'result.json'}' has no folds. Rerun the training with `--resume` to finish it")
    folds = [fold.fold for fold in result.folds]
    if len(set(folds)) < len(folds) or not {result.lowest_fold, result.highest_fold}.issubset(folds):
        raise RunError(f"'{run_dir / 'result.json'}' contradicts itself on its folds. Train again into a new folder")
    settings_text = _text(run_dir / "config.toml")
    try:
        settings = from_toml(settings_text, str(run_dir / "config.toml"))
    except SettingError as error:
        raise RunError(str(error)) from None
    environment = run_dir / "environment.json"
    predictions = _read_predictions(run_dir / "predictions.csv", result)
    return Run(
        name=one_line(run_dir.resolve().name),
        result=result,
        settings=settings,
        settings_text=settings_text,
        environment=_convert(_json(environment), dict[str, str | int | float], environment),
        curves=_read_curves(run_dir / "metrics.jsonl", result),
        predictions=predictions,
        split=_read_split(run_dir / "split.csv", result),
        evidence=_read_evidence(run_dir, result, predictions),
        audit=audit.read(run_dir),
    )


def _json(path: Path) -> Any:
    return _parse(_text(path), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"'{path}' cannot be read: {error}. Train again into a new folder") from None


def _parse(text: str, path: Path) -> Any:
    try:
        return _null_to_nan(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RunError(f"'{path}' is not JSON: {error}. Train again into a new folder") from None


def _null_to_nan(value: Any) -> Any:
    # JSON has no NaN, so a value that could not be computed (recall of an absent emotion, a diverged loss) is null.
    if isinstance(value, dict):
        return {key: _null_to_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_null_to_nan(item) for item in value]
    return math.nan if value is None else value


def _convert(raw: Any, kind: type[T], path: Path) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise RunError(
            f"'{path}' does not have the format that `emocatcher train` writes: {error}. Train again into a new folder"
        ) from None


def _read_curves(path: Path, result: Result) -> dict[str, Floats]:
    rows = [_parse(line, path) for line in _text(path).splitlines() if line.strip()]
    shape = len(result.folds), result.n_epochs
    if len(rows) < shape[0] * shape[1]:  # before memory is asked for
        raise RunError(
            f"'{path}' holds {len(rows):,} of {shape[0] * shape[1]:,} epochs. Rerun the training with `--resume` to "
            "finish it"
        )
    position = {fold.fold: index for index, fold in enumerate(result.folds)}
    curves = {name: np.full(shape, np.nan) for name in _CURVES}
    seen = np.zeros(shape, dtype=bool)
    try:
        for row in rows:
            at = position[row["fold"]], row["epoch"] - 1
            seen[at] = True
            for name in _CURVES:
                curves[name][at] = row[name]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise RunError(
            f"'{path}' does not have the format that `emocatcher train` writes ({error!r}). "
            "Train again into a new folder"
        ) from None
    if not seen.all():
        raise RunError(
            f"'{path}' holds {seen.sum()} of {seen.size} epochs. Rerun the training with `--resume` to finish it"
        )
    return curves


def _columns(path: Path, names: tuple[str, ...]) -> list[list[str]]:
    try:
        header, *rows = [row for row in csv_cells.read_rows(io.StringIO(_text(path), newline="")) if row] or [[]]
    except csv.Error as error:
        raise RunError(f"'{path}' is not CSV: {error}. Train again into a new folder") from None
    # Before schema version 2, `p_LABEL` was the name of `probability_LABEL`.
    header = [re.sub("^p_", "probability_", name) for name in header]
    missing = [name for name in names if name not in header]
    if missing:
        raise RunError(f"'{path}' lacks the column {missing[0]}. Train again into a new folder")
    picks = [header.index(name) for name in names]
    if any(len(row) != len(header) for row in rows):
        raise RunError(f"'{path}' has a row whose length differs from its header's. Train again into a new folder")
    return [[row[pick] for row in rows] for pick in picks]


def _numbers(values: list[str], kind: type[float] | type[int], path: Path) -> NDArray[Any]:
    try:
        return np.array([kind(value) for value in values], dtype=np.int64 if kind is int else np.float64)
    except (ValueError, OverflowError) as error:
        raise RunError(f"'{path}': {error}. Train again into a new folder") from None


def _indices(emotions: list[str], labels: tuple[str, ...], path: Path) -> Integers:
    position = {label: index for index, label in enumerate(labels)}
    unknown = next((emotion for emotion in emotions if emotion not in position), None)
    if unknown is not None:
        raise RunError(
            f"'{path}' holds the emotion '{unknown}', which result.json does not list. Allowed: {', '.join(labels)}. "
            "Train again into a new folder"
        )
    return np.array([position[emotion] for emotion in emotions], dtype=np.int64)


def _read_predictions(path: Path, result: Result) -> Predictions:
    names = ("fold", "utterance", "speaker", "gender", "emotion", "predicted", "probability")
    of_labels = tuple(f"probability_{label}" for label in result.labels)
    rated = tuple(one.name for one in result.dimensions)
    of_dimensions = (*rated, *(f"estimated_{name}" for name in rated))
    columns = _columns(path, (*names, *of_labels, *of_dimensions))
    fold, utterance, speaker, gender, emotion, predicted, probability, *more = columns
    each, values = more[: len(of_labels)], [_ratings(column, path) for column in more[len(of_labels) :]]
    folds = _numbers(fold, int, path)
    missing = {entry.fold for entry in result.folds} - set(folds.tolist())
    if missing:
        raise RunError(
            f"'{path}' holds no predictions for fold {min(missing)}. Rerun the training with `--resume` to finish it"
        )
    return Predictions(
        fold=folds,
        utterance=np.array(utterance, dtype=np.str_),
        speaker=np.array(speaker, dtype=np.str_),
        gender=np.array(gender, dtype=np.str_),
        emotion=_indices(emotion, result.labels, path),
        predicted=_indices(predicted, result.labels, path),
        probability=_numbers(probability, float, path),
        probabilities=np.stack([_numbers(column, float, path) for column in each], axis=1),
        ratings=np.array(values[: len(rated)], np.float64).reshape(len(rated), len(fold)).T,
        estimated=np.array(values[len(rated) :], np.float64).reshape(len(rated), len(fold)).T,
    )


def _ratings(cells: list[str], path: Path) -> Floats:
    return _numbers([cell or "nan" for cell in cells], float, path)


def _read_split(path: Path, result: Result) -> Split:
    fold, part, speaker, emotion = _columns(path, ("fold", "part", "speaker", "emotion"))
    first = _numbers(fold, int, path) == result.folds[0].fold
    return Split(
        part=np.array(part, dtype=np.str_)[first],
        speaker=np.array(speaker, dtype=np.str_)[first],
        emotion=_indices(emotion, result.labels, path)[first],
    )


def _read_evidence(run_dir: Path, result: Result, predictions: Predictions) -> Evidence:
    fold = result.folds[0].fold
    path = run_dir / f"fold_{fold}" / "evidence.npz"
    if not path.is_file():
        raise RunError(
            f"'{run_dir}' is not a finished run folder: fold_{fold}/evidence.npz is missing. "
            "To finish it, rerun the same `emocatcher train` command with `--resume`"
        )
    return evidence.read(path, fold, set(predictions.utterance[predictions.fold == fold].tolist()))
