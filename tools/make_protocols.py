"""Make the protocols that ship with the package again: `python tools/make_protocols.py --help`."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec
import tomli_w

from emocatcher.corpora import ravdess
from emocatcher.evaluation.protocols.committed import COMMITTED, Header
from emocatcher.evaluation.protocols.protocol import SAME_WORDS_CLAIM, SHARED_CLAIM
from emocatcher.evaluation.protocols.splits import model_selection
from emocatcher.foundation.errors import EmoCatcherError, ProtocolError

_REFERENCE = "Kim Seonju 2023, hwang9u/emocatcher: the published experiment's split, remade from its list of files"
_REFERENCE_STATE, _KFOLD_STATE = 999, 46
_NOT_KNOWN = "not checked here"
# The one pair of byte-identical files in RAVDESS.
_IDENTICAL = ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a committed protocol is made, and its published scores (accuracies unless stated otherwise)."""

    title: str
    source: str
    selection: str
    published: str
    needs_file_order: bool = False
    actors: tuple[tuple[int, ...], ...] = ()  # the test actors of each fold, if it separates speakers


RECIPES = {
    "reference-holdout": Recipe(
        title="the published hold-out: one fifth for testing, stratified by emotion",
        source=_REFERENCE,
        selection="best epoch on the test part",
        published="CABG 87.15%, at its last epoch 85.42%; five re-runs of its recipe 82.4 ± 1.2% (last ten epochs)",
        needs_file_order=True,
    ),
    "reference-cv5": Recipe(
        title="the published 5-fold cross-validation, stratified by emotion",
        source=_REFERENCE,
        selection="best epoch on the test part",
        published="CABG 84.17 ± 2.36%, at its last epoch 81.87%",
        needs_file_order=True,
    ),
    "kfold-10": Recipe(
        title="10 folds of utterances, drawn without regard to emotion or speaker",
        source="TIM-Net (Ye et al. 2023): KFold(10, shuffle, random_state 46); clips sorted here by actor, then name",
        selection="last epoch, or best epoch on the test part",
        published="from scratch: TIM-Net 90.07% at its last epoch (92.08% best on test), GM-TCNet 82.6%, CPAC 80.5%",
    ),
    "emobox-6": Recipe(
        title="6 folds of four actors each, as in EmoBox",
        source="EmoBox (Ma et al. 2024): its RAVDESS folds",
        selection=_NOT_KNOWN,
        published="frozen encoders: wav2vec2-base 55.4%, HuBERT-base 66.2%, HuBERT-large 70.3%, WavLM-large 72.2%, "
        "Whisper-large-v3 75.9%",
        actors=((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22)),
    ),
    "luna-5": Recipe(
        title="5 folds of four or five actors each, as in Luna-Jiménez et al.",
        source="Luna-Jiménez et al. 2021: their RAVDESS folds",
        selection=_NOT_KNOWN,
        published="UAR: ResLSTM from scratch 62.3%, frozen XLSR-53 56.5%",
        actors=(
            (2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22),
        ),
    ),
    "loso-24": Recipe(
        title="24 folds of one actor each",
        source="leave one speaker out",
        selection=_NOT_KNOWN,
        published="UAR: ComParE functionals with logistic regression 63.6%, with the test speaker's own mean and "
        "variance removed 72.2%; XLS-R 300M 81.9%",
        actors=tuple((actor,) for actor in range(1, ravdess.N_ACTORS + 1)),
    ),
}  # fmt: skip


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
            f"{path} is not a list of files ({error}). Give a CSV with the columns speech_list and emotion (a code)."
        ) from None


def make(name: str, folder: Path, file_order: Path | None = None) -> None:
    """Make one committed protocol and write its two files.

    Args:
        name: one of `COMMITTED`.
        folder: the folder to write to.
        file_order: the published list of files (see `read_file_order`), if the protocol depends on it.

    Raises:
        ProtocolError: if the list cannot be read, or is required and not given.
        MissingExtraError: if scikit-learn is not installed.
    """
    recipe = RECIPES[name]
    if recipe.needs_file_order:
        if file_order is None:
            raise ProtocolError(f"Protocol '{name}' depends on the published list of files. Give --file-order.")
        ids, codes = read_file_order(file_order)
    else:
        ids, codes = list(ravdess.clip_ids()), []
    test_folds = _test_folds(name, ids, codes)
    header = Header(
        title=recipe.title,
        corpus="ravdess",
        separates_speakers=bool(recipe.actors),
        separates_statements=False,
        selection=recipe.selection,
        published=recipe.published,
        command=f"python tools/make_protocols.py {name}{' --file-order file_order.csv' * bool(codes)} --to DIR",
        source=recipe.source,
        cannot_claim=f"{SAME_WORDS_CLAIM}." if recipe.actors else _cannot_claim(ids, test_folds),
    )
    write(name, header, ids, test_folds, folder)


def write(name: str, header: Header, ids: Sequence[str], test_folds: Sequence[int | None], folder: Path) -> None:
    """Write a protocol as `<name>.toml` and `<name>.csv`.

    Args:
        name: the protocol's name.
        header: the content of the TOML.
        ids: utterance ids in the order in which training lists them.
        test_folds: for each id the fold that tests it; None if it is in every training part.
        folder: the folder to write to; created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(tomli_w.dumps(msgspec.to_builtins(header)), encoding="utf-8", newline="\n")
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["utterance", "test_fold"])
        writer.writerows(zip(ids, test_folds, strict=True))


def _test_folds(name: str, ids: Sequence[str], codes: Sequence[int]) -> list[int | None]:
    """Return the fold that tests each clip; None if it is in every training part."""
    if actors := RECIPES[name].actors:
        fold_of = {f"{actor:02}": fold for fold, tested in enumerate(actors) for actor in tested}
        return [fold_of[id_[-2:]] for id_ in ids]
    sklearn = model_selection()
    # Emotions are passed as the codes in the file names, as in the published code: their order determines the draw.
    if name == "reference-holdout":
        rows = range(len(ids))
        tests = [sklearn.train_test_split(rows, test_size=0.2, stratify=codes, random_state=_REFERENCE_STATE)[1]]
    elif name == "reference-cv5":
        splitter = sklearn.StratifiedKFold(5, shuffle=True, random_state=_REFERENCE_STATE)
        tests = [test for _, test in splitter.split(codes, codes)]
    else:
        tests = [test for _, test in sklearn.KFold(10, shuffle=True, random_state=_KFOLD_STATE).split(ids)]
    test_folds: list[int | None] = [None] * len(ids)
    for number, test in enumerate(tests):
        for row in test:
            test_folds[row] = number
    return test_folds


def _cannot_claim(ids: Sequence[str], test_folds: Sequence[int | None]) -> str:
    fold_of = dict(zip(ids, test_folds, strict=True))
    first, second = (fold_of.get(id_) for id_ in _IDENTICAL)
    if first == second:
        return f"{SHARED_CLAIM}."
    leaking = [str(fold) for fold in sorted(fold for fold in (first, second) if fold is not None)]
    return (
        f"{SHARED_CLAIM}; and one of the byte-identical clips {' and '.join(_IDENTICAL)} is in the training part and "
        f"the other in the test part of fold{'s' * (len(leaking) > 1)} {' and '.join(leaking)} (counted from 0)."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python tools/make_protocols.py",
        description="Make a committed protocol again: <name>.toml and <name>.csv, byte for byte as shipped.",
    )
    parser.add_argument("name", choices=COMMITTED)
    parser.add_argument("--file-order", type=Path, help="CSV with the columns speech_list and emotion; for reference-*")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write the two files to")
    options = parser.parse_args(arguments)
    try:
        make(options.name, options.to, options.file_order)
    except EmoCatcherError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
