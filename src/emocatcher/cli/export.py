"""`emocatcher export`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emocatcher.recognition.parity.answers import Answers
    from emocatcher.recognition.parity.clips import Clips
    from emocatcher.recognition.recognizer import Recognizer

EXAMPLES = (
    "emocatcher export --to emocatcher.onnx --waveform",
    "emocatcher export runs/holdout/fold_0/last --to small.onnx --waveform --int8",
)

_PYTHON, _FLOAT, _INT8 = "in Python", "exported", "with int8"


def export(
    to: Annotated[Path, typer.Option(metavar="FILE", help="The .onnx file to write.")],
    model: options.ModelArgument = "",
    waveform: Annotated[
        bool,
        typer.Option(
            "--waveform", help="Include the front end, voice detector and calibration: the input is a waveform."
        ),
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Store the weights as 8-bit integers.")] = False,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="Compare on this corpus: a name, a table of recordings, or a folder; by default the model's corpus.",
            show_default=False,
        ),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Compare on at most N clips; by default all, or 240 if the model may have been trained on them.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --to.")] = False,
) -> None:
    """Write a model as one ONNX file and compare it with the original.

    Both process the same recordings: those that were held out in the model's
    training, if they are on this machine. The table shows size and speed, the
    largest difference of a probability, how many clips keep their label, and
    what --int8 costs in accuracy. A graph whose answers differ from the
    model's is not written.
    """
    from emocatcher.cli import screen
    from emocatcher.foundation import atomic_files
    from emocatcher.foundation.errors import ModelError, OutputError
    from emocatcher.models import model_folder
    from emocatcher.models.finding import find_folder
    from emocatcher.recognition.recognizer import Recognizer

    _check_target(to, overwrite=overwrite)
    opened = model_folder.read(find_folder(model or None))
    recognizer = Recognizer(opened)
    from emocatcher.models.onnx_graphs import as_onnx
    from emocatcher.recognition.parity.answers import difference
    from emocatcher.recognition.parity.clips import choose

    chosen = choose(opened.config, corpus, clips)
    files = {_FLOAT: as_onnx(opened, waveform=waveform, int8=False)}
    if int8:
        files[_INT8] = as_onnx(opened, waveform=waveform, int8=True)
    answers = _compare(recognizer, files, chosen, waveform=waveform)
    exact = difference(answers[_PYTHON], answers[_FLOAT])
    if not exact.is_parity:
        raise ModelError(
            f"The graph differs from {opened.config.name} by up to {exact.largest:.2g} in a probability, and changes "
            f"{exact.n_clear_changed} clear labels. Nothing was written. This is a bug in emocatcher; please report it"
        )
    written = _INT8 if int8 else _FLOAT
    try:
        atomic_files.write_bytes(to, files[written])
    except OSError as error:
        raise OutputError(f"{to} cannot be written: {error.strerror}") from error
    target = screen.console()
    sizes = {_PYTHON: opened.onnx_path.stat().st_size} | {name: len(payload) for name, payload in files.items()}
    true = _true_labels(chosen, recognizer.config.labels)
    target.print(screen.one_line(f"{opened.config.name} on {chosen.what}"), markup=False)
    screen.table(*_table(answers, sizes, true))
    if int8:
        target.print(_cost(answers, true), markup=False)
    if chosen.note:
        target.print(screen.one_line(f"Note: {chosen.note}"), markup=False)
    target.print(f"Model: {screen.one_line(to)} ({written}, {_size(sizes[written])})", markup=False)


def _check_target(to: Path, *, overwrite: bool) -> None:
    """Refuse a path that cannot be written, before the slow comparison."""
    from emocatcher.foundation.errors import OutputError
    from emocatcher.models import model_folder

    try:
        try:
            is_there, is_dir = True, stat.S_ISDIR(to.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_there = is_dir = False
        folder = next(above for above in to.absolute().parents if above.exists())
        is_open = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:  # the name is too long, or a folder is not readable
        raise OutputError(f"{to} cannot be written: {error.strerror}") from error
    if is_dir:
        raise OutputError(f"{to} is a folder. Give the name of a file")
    if not is_open:
        raise OutputError(f"{to} cannot be written: {folder} is not a folder, or not writable. Give another path")
    parts = {model_folder.ONNX, model_folder.WEIGHTS, model_folder.CONFIG, model_folder.CARD}
    if to.name in parts and (to.parent / model_folder.CONFIG).is_file():
        # The folder's settings hold their hashes: with a different file the model could no longer be loaded.
        raise OutputError(f"{to} is part of a model folder and must not be replaced. Give another name")
    if to.suffix.lower() != ".onnx":
        raise OutputError(f"{to} does not end with .onnx, the suffix that programs expect. Add it")
    if is_there and not overwrite:
        raise OutputError(f"{to} exists already. Give another name, or --overwrite")


def _compare(recognizer: Recognizer, files: dict[str, bytes], clips: Clips, *, waveform: bool) -> dict[str, Answers]:
    from emocatcher.cli import screen
    from emocatcher.recognition.parity.answers import Pipeline, compare, log_mel_graph, python_path, waveform_graph

    pipelines: dict[str, Pipeline] = {_PYTHON: python_path(recognizer)}
    for name, payload in files.items():
        pipelines[name] = waveform_graph(payload) if waveform else log_mel_graph(payload, recognizer)
    with screen.progress(unit="clips") as start:
        advance = start("comparing")
        sample_rate = recognizer.config.settings.front_end.sample_rate
        return compare(pipelines, clips.waveforms(sample_rate), lambda done: advance(done, len(clips), ""))


def _true_labels(clips: Clips, labels: tuple[str, ...]) -> NDArray[np.int64] | None:
    """Return the labels of clips for which an accuracy is valid: held out, with emotions of the model. Else None."""
    import numpy as np

    if not clips.held_out or not {clip.emotion for clip in clips.utterances} <= set(labels):
        return None
    return np.array([labels.index(clip.emotion) for clip in clips.utterances], np.int64)


def _table(
    answers: dict[str, Answers], sizes: dict[str, int], true: NDArray[np.int64] | None
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows."""
    from emocatcher.recognition.parity.answers import difference

    header = ["", "size", "per clip", "speed", "max difference", "same label"]
    rows = []
    for name, answer in answers.items():
        found = difference(answers[_PYTHON], answer)
        row = [
            name,
            _size(sizes[name]),
            f"{answer.ms_per_clip:.2f} ms",
            f"{answers[_PYTHON].ms_per_clip / answer.ms_per_clip:.2f} ×",  # noqa: RUF001
            "" if name == _PYTHON else f"{found.largest:.1e}",
            "" if name == _PYTHON else f"{found.n_same_label} of {len(answer.labels)}",
        ]
        rows.append(row if true is None else [*row, f"{(answer.labels == true).mean():.2%}"])
    return header if true is None else [*header, "accuracy"], rows


def _cost(answers: dict[str, Answers], true: NDArray[np.int64] | None) -> str:
    """State the cost of int8 in one sentence."""
    before, after = answers[_FLOAT].labels, answers[_INT8].labels
    n_clips, n_changed = len(before), int((before != after).sum())
    changed = f"{'gets' if n_changed == 1 else 'get'} another label"
    if true is None:
        unknown = "these clips cannot show the cost in accuracy"
        return f"int8: {n_changed} of {n_clips} clips {changed}; {unknown}"
    n_before, n_after = int((before == true).sum()), int((after == true).sum())
    points = f"{100.0 * abs(n_before - n_after) / n_clips:.2f} points of"
    cost = "costs no" if n_after == n_before else f"costs {points}" if n_after < n_before else f"gains {points}"
    right = f"{n_after} of {n_clips} clips are correct, {'as' if n_after == n_before else f'{n_before}'} without it"
    return f"int8 {cost} accuracy: {right}; {n_changed} {changed}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1000:,.0f} kB"
