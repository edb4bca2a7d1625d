"""`emocatcher convert`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion

EXAMPLES = (
    "emocatcher convert my.csv --to exchange/my --as audformat --protocol speakers-5",
    "emocatcher convert crema-d --to exchange/crema-d --as datasets",
    "emocatcher convert answers.csv --to exchange/answers --as audformat",
    "emocatcher convert best_model.pth --to models/published",
)

KINDS = ("audformat", "datasets", "parquet", "audiofolder")


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A corpus (a name, a table or a folder), a table of predictions or timelines, or a .pth checkpoint "
            "published by EmoCatcher in 2023.",
            autocompletion=completion.corpora,
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to write.")],
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="|".join(KINDS),
            help="The form: audformat (as audb has it); for Hugging Face datasets: datasets (load_from_disk), parquet "
            "or audiofolder (load_dataset). Predictions: audformat only.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Add the folds of this protocol as a column; see `emocatcher train --help`.",
            autocompletion=completion.protocols,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed of the protocol.")] = 0,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Of predictions: the folder that file names start at; by default the one that all recordings share.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a corpus or predictions as audformat or for Hugging Face datasets, or convert a checkpoint.

    Recordings are copied as they are; segments of recordings are cut out for
    datasets. No pickled code is executed.
    """
    from emocatcher.corpora import cards, manifest
    from emocatcher.foundation.errors import SettingError, suggest
    from emocatcher.reports.table_report import as_audformat

    path = Path(source)
    if as_ is not None and as_ not in KINDS:
        raise SettingError(suggest(as_, KINDS, "form"))
    if path.is_file() and as_audformat.is_predictions(path):
        if as_ not in ("audformat", None) or protocol:
            raise SettingError(
                "A table of predictions is written as audformat. Give --as audformat, without --protocol"
            )
        _check_new(to)
        with _writing(to):
            n = as_audformat.write(path, to, root)
        _done(f"{n:,} predictions", to, "audformat.Database.load")
    elif root:
        raise SettingError("--root is for a table of predictions. Remove it")
    elif as_ is not None:
        _convert_corpus(source, to, as_, protocol, seed)
    elif path.is_dir() or path.suffix.lower() in manifest.FORMATS or cards.find(source.partition("=")[0]):
        raise SettingError(f"A corpus can be written in several forms. Give --as {' or --as '.join(KINDS)}")
    else:
        _convert_checkpoint(path, to)


def _convert_corpus(source: str, to: Path, kind: str, protocol: str | None, seed: int) -> None:
    from emocatcher.cli.loading import load_corpus
    from emocatcher.corpora.exchange import audformat_writing, datasets_writing
    from emocatcher.evaluation import protocols
    from emocatcher.evaluation.protocols import fold_columns

    _check_new(to)
    corpus = load_corpus(source)
    folds = fold_columns.columns(protocols.load(protocol, corpus, seed)) if protocol else {}
    with _writing(to):
        if kind == "audformat":
            audformat_writing.write(corpus, to, folds)
        else:
            datasets_writing.write(corpus, to, kind, folds)
    how = {"audformat": "audformat.Database.load", "datasets": "datasets.load_from_disk"}
    n = len(corpus) + len(corpus.unlabelled)
    reader = how.get(kind, "datasets.load_dataset")
    _done(f"{n:,} recordings", to, reader, f"'{kind}', data_dir=" if kind == "audiofolder" else "")


def _convert_checkpoint(path: Path, to: Path) -> None:
    from emocatcher.cli import screen
    from emocatcher.models.published_checkpoint import convert as converting

    made = converting(path, to)
    screen.console().print(
        f"{made.config.name}: {made.config.n_parameters:,} parameters, written to {to}", markup=False
    )


def _done(what: str, to: Path, reader: str, before: str = "") -> None:
    from emocatcher.cli import screen

    target = screen.console()
    target.print(screen.one_line(f"{what}, written to {to}. Read them with {reader}({before}'{to}')"), markup=False)


def _check_new(to: Path) -> None:
    """Refuse a folder that has files, before the slow part; and "." or "..", which cannot be replaced."""
    from emocatcher.foundation.errors import OutputError

    if to.name in ("", "..") or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise OutputError(f"{to} exists and is not an empty folder that can be replaced. Give a new one to --to")


@contextlib.contextmanager
def _writing(to: Path) -> Iterator[None]:
    """Name the folder where it cannot be written."""
    from emocatcher.foundation.errors import OutputError

    try:
        yield
    except OSError as error:
        raise OutputError(f"{to} cannot be written: {error.strerror or error}") from error
