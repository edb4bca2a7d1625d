"""`emocatcher export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.export.clips import Clips
    from emocatcher.export.comparison import Answers
    from emocatcher.inference import Recognizer

EXAMPLES = (
    "emocatcher export --to emocatcher.onnx --waveform",
    "emocatcher export runs/holdout/fold_0/last --to small.onnx --waveform --int8",
)

_PYTHON, _FLOAT, _INT8 = "Python and the model folder", "exported", "exported, int8"


def export(
    to: Annotated[Path, typer.Option(metavar="FILE", help="The .onnx file to write.")],
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model folder, or owner/name on the Hugging Face hub; by default the model that comes with this.",
            show_default=False,
        ),
    ] = "",
    waveform: Annotated[
        bool, typer.Option("--waveform", help="Put the front end, the detector and the calibration inside too.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Store the weights as 8-bit numbers.")] = False,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="What to compare on: a corpus's name, a table of recordings, or a folder; by default the model's own.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file in --to.")] = False,
) -> None:
    """Write a model as one ONNX file, and say how far it is from the original."""
    from emocatcher import bundle, inference, storage
    from emocatcher.cli import screen
    from emocatcher.errors import ModelError, OutputError

    if to.is_dir() or (to.exists() and not overwrite):
        raise OutputError(f"{to} exists already. Give {'a file' if to.is_dir() else '--overwrite'}, or another name")
    opened = bundle.read(inference.folder_of(model or None))
    recognizer = inference.Recognizer(opened)
    from emocatcher.export import as_onnx
    from emocatcher.export.clips import choose
    from emocatcher.export.comparison import difference

    clips = choose(opened.config, corpus)
    files = {_FLOAT: as_onnx(opened, waveform=waveform, int8=False)}
    if int8:
        files[_INT8] = as_onnx(opened, waveform=waveform, int8=True)
    answers = _compare(recognizer, files, clips, waveform=waveform)
    exact = difference(answers[_PYTHON], answers[_FLOAT])
    if not exact.is_parity:
        raise ModelError(
            f"The graph differs from {opened.config.name} by {exact.largest:.2g} in a probability, and in "
            f"{exact.n_clear_changed} clear labels. Nothing was written: a fault of emocatcher, please report it"
        )
    try:
        storage.write_bytes(to, files[_INT8 if int8 else _FLOAT])
    except OSError as error:
        raise OutputError(f"{to} cannot be written: {error.strerror}") from error
    target = screen.console()
    sizes = {_PYTHON: opened.onnx_path.stat().st_size} | {name: len(payload) for name, payload in files.items()}
    target.print(f"{opened.config.name} on {clips.what}", markup=False)
    screen.table(*_table(answers, sizes, recognizer.config.labels, clips))
    if clips.note:
        target.print(f"Note: {clips.note}", markup=False)
    target.print(f"Model: {screen.one_line(to)}", markup=False)


def _compare(recognizer: Recognizer, files: dict[str, bytes], clips: Clips, *, waveform: bool) -> dict[str, Answers]:
    from emocatcher.cli import screen
    from emocatcher.export.comparison import Listener, ask, log_mel_graph, python_path, waveform_graph

    listeners: dict[str, Listener] = {_PYTHON: python_path(recognizer)}
    for name, payload in files.items():
        listeners[name] = waveform_graph(payload) if waveform else log_mel_graph(payload, recognizer)
    with screen.progress(unit="clips") as start:
        advance = start("comparing")
        sample_rate = recognizer.config.settings.front_end.sample_rate
        return ask(listeners, clips.waveforms(sample_rate), lambda done: advance(done, len(clips), ""))


def _table(
    answers: dict[str, Answers], sizes: dict[str, int], labels: tuple[str, ...], clips: Clips
) -> tuple[list[str], list[list[str]]]:
    """Header and rows; accuracy only where it says something."""
    import numpy as np

    from emocatcher.export.comparison import difference

    true = np.array([labels.index(clip.emotion) if clip.emotion in labels else -1 for clip in clips.utterances])
    is_scored = clips.held_out and bool((true >= 0).all())
    header = ["", "size", "time a clip", "speed", "largest difference", "same label"]
    rows = []
    for name, said in answers.items():
        found = difference(answers[_PYTHON], said)
        row = [
            name,
            f"{sizes[name] / 1000:,.0f} kB",
            f"{said.ms_per_clip:.2f} ms",
            f"{answers[_PYTHON].ms_per_clip / said.ms_per_clip:.2f} ×",  # noqa: RUF001
            "" if name == _PYTHON else f"{found.largest:.1e}",
            "" if name == _PYTHON else f"{found.n_same_label} of {len(said.labels)}",
        ]
        rows.append([*row, f"{(said.labels == true).mean():.2%}"] if is_scored else row)
    return [*header, "accuracy"] if is_scored else header, rows
