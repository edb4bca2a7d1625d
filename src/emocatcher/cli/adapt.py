"""`emocatcher adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from emocatcher.models.model_folder import Bundle

EXAMPLES = (
    "emocatcher adapt my.csv --to models/mine",
    "emocatcher adapt my.csv --labels satisfied,annoyed,neutral --to models/mine",
    "emocatcher adapt calls/ --unlabelled --to models/calls",
)


def adapt(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="A table with the columns path and label, better also speaker, or a folder with one sub-folder per "
            "label. With --unlabelled: files, folders, quoted patterns or lists.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="The model folder to write.")],
    model: options.Model = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="The labels of the adapted model, old or new; by default those of the recordings.",
            show_default=False,
        ),
    ] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Settle on recordings without labels, and keep that as a model.")
    ] = False,
    name: Annotated[
        str, typer.Option(help="The name of the model; by default the name of the folder.", show_default=False)
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in --to.")] = False,
) -> None:
    """Adapt a model to your recordings: with some 50 labelled ones, or to a room or a language without labels."""
    from emocatcher.foundation.errors import ModelError, SettingError
    from emocatcher.models import finding, model_folder

    if (to / model_folder.CONFIG).exists() and not overwrite:
        raise ModelError(f"{to} already contains a model. Give --overwrite, or another folder")
    if unlabelled and labels:
        raise SettingError("--labels needs labelled recordings. Leave out --labels or --unlabelled")
    opened = model_folder.read(finding.find_folder(model))
    named = name or to.resolve().name
    if unlabelled:
        _settle(opened, recordings, to, named)
        return
    if len(recordings) > 1:
        raise SettingError("Give one table or one folder of labelled recordings. Join tables into one")
    _adapt(opened, recordings[0], to, named, tuple(filter(None, (one.strip() for one in labels.split(",")))))


def _adapt(opened: Bundle, source: str, to: Path, name: str, labels: tuple[str, ...]) -> None:
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.reports import adaptation as page
    from emocatcher.training.adaptation import adapt as adapt_model

    corpus = load_corpus(source)
    notes = screen.console(stderr=True)
    with screen.progress(unit="done") as start:
        bars: dict[str, Callable[[int, int, str], None]] = {}

        def show(what: str, n_done: int, n: int) -> None:
            bars[what] = bars.get(what) or start(what)
            bars[what](n_done, n, "")

        adapted = adapt_model(
            opened, corpus, to, name=name, labels=labels, on_progress=show,
            on_note=lambda note: notes.print(f"Note: {screen.one_line(note)}", markup=False),
        )  # fmt: skip
    written = page.write(adapted)
    found = adapted.config.adaptation
    assert found is not None  # noqa: S101 (it was adapted)
    target = screen.console()
    screen.table(page.steps(found).header, page.steps(found).rows)
    target.print(page.outcome(found), markup=False)
    for sentence in page.advice(found):
        target.print(f"Next: {sentence}", markup=False)
    target.print(f"Model: {to}", markup=False)
    target.print(f"Report: {written}", markup=False)


def _settle(opened: Bundle, recordings: list[str], to: Path, name: str) -> None:
    from emocatcher.cli import settling_options
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import one_line
    from emocatcher.recognition import batch
    from emocatcher.recognition.recognizer import load
    from emocatcher.training import adaptation

    adaptation.check(opened)  # before minutes of recognition
    names = batch.expand(recordings, on_note=lambda note: typer.echo(f"Note: {one_line(note)}", err=True))
    settled = settling_options.settle(load(opened.path), names, process_setup.usable_cores()).settled
    if settled is not None:
        adaptation.shift(opened, settled.shift, settled.n_recordings, recordings[0], to, name=name)
        typer.echo(f"{one_line(to)} is written. Use it with: emocatcher predict RECORDING --model {one_line(to)}")
