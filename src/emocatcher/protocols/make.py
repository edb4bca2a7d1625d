"""The command that made the committed protocols: python -m emocatcher.protocols.make --help."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from emocatcher.errors import EmoCatcherError, ProtocolError
from emocatcher.protocols.committed import COMMITTED, Header, write
from emocatcher.protocols.protocol import SHARED_CLAIM
from emocatcher.protocols.splits import model_selection

_RANDOM_STATE = 999
_SOURCE = "Kim Seonju 2023, hwang9u/emocatcher: the published experiment's split, remade from its order of files"
# The one pair of byte-identical files in RAVDESS.
_IDENTICAL = ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")
_TITLES = {
    "reference-holdout": "the published hold-out: one fifth for testing, stratified by emotion",
    "reference-cv5": "the published 5-fold cross-validation, stratified by emotion",
}


def read_file_order(path: Path) -> tuple[list[str], list[int]]:
    """Read the published list of files.

    Args:
        path: a CSV with the columns `speech_list` (a path, whose stem is the utterance id) and `emotion` (a code).

    Returns:
        The utterance ids and their emotion codes, in the file's order.

    Raises:
        ProtocolError: if the file cannot be read or lacks these columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [PurePosixPath(row["speech_list"]).stem for row in rows], [int(row["emotion"]) for row in rows]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolError(
            f"{path} is no list of files ({error}). Needed: a CSV with the columns speech_list and emotion (a code)."
        ) from None


def make(name: str, file_order: Path, folder: Path) -> None:
    """Make one committed protocol and write its two files.

    Args:
        name: one of `COMMITTED`.
        file_order: the published list of files (see `read_file_order`).
        folder: where to write.

    Raises:
        ProtocolError: if the list cannot be read.
        MissingExtraError: if scikit-learn is not installed.
    """
    ids, codes = read_file_order(file_order)
    sklearn = model_selection()
    test_folds: list[int | None] = [None] * len(ids)
    # Emotions go in as the codes of the file names, as they did there: their order decides what is drawn.
    if name == "reference-holdout":
        _, test = sklearn.train_test_split(range(len(ids)), test_size=0.2, stratify=codes, random_state=_RANDOM_STATE)
        tests = [test]
    else:
        splitter = sklearn.StratifiedKFold(5, shuffle=True, random_state=_RANDOM_STATE)
        tests = [test for _, test in splitter.split(codes, codes)]
    for number, test in enumerate(tests):
        for row in test:
            test_folds[row] = number
    header = Header(
        title=_TITLES[name],
        corpus="ravdess",
        separates_speakers=False,
        command=f"python -m emocatcher.protocols.make {name} --file-order file_order.csv --to DIR",
        source=_SOURCE,
        cannot_claim=_cannot_claim(ids, test_folds),
    )
    write(name, header, ids, test_folds, folder)


def _cannot_claim(ids: Sequence[str], test_folds: Sequence[int | None]) -> str:
    fold_of = dict(zip(ids, test_folds, strict=True))
    first, second = (fold_of.get(id_) for id_ in _IDENTICAL)
    if first == second:
        return f"{SHARED_CLAIM}."
    leaking = [str(fold) for fold in sorted(fold for fold in (first, second) if fold is not None)]
    return (
        f"{SHARED_CLAIM}; and the byte-identical clips {' and '.join(_IDENTICAL)} stand on both sides of "
        f"fold{'s' * (len(leaking) > 1)} {' and '.join(leaking)} (counted from 0)."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m emocatcher.protocols.make",
        description="Make a committed protocol anew: <name>.toml and <name>.csv, byte for byte as shipped.",
    )
    parser.add_argument("name", choices=COMMITTED)
    parser.add_argument("--file-order", type=Path, required=True, help="CSV with the columns speech_list and emotion")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write the two files to")
    options = parser.parse_args(arguments)
    try:
        make(options.name, options.file_order, options.to)
    except EmoCatcherError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
