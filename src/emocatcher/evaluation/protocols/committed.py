"""Read the protocols that ship as files: a TOML header and a CSV of utterance ids."""

from __future__ import annotations

import csv
import io
from importlib import resources

import msgspec

from emocatcher.evaluation.protocols.protocol import Fold, Protocol

COMMITTED = ("reference-holdout", "reference-cv5", "kfold-10", "emobox-6", "luna-5", "loso-24")


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML header of a protocol's CSV; its fields are those of `Protocol`."""

    title: str
    corpus: str
    separates_speakers: bool
    separates_statements: bool
    selection: str
    published: str
    command: str
    source: str
    cannot_claim: str


def read(name: str) -> Protocol:
    """Read a protocol that ships with the package.

    Args:
        name: one of `COMMITTED`.
    """
    folder = resources.files("emocatcher.evaluation.protocols") / "files"
    header = msgspec.toml.decode((folder / f"{name}.toml").read_text(encoding="utf-8"), type=Header)
    rows = csv.DictReader(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8")))
    test_fold = {row["utterance"]: row["test_fold"] for row in rows}
    numbers = sorted({int(number) for number in test_fold.values() if number})
    folds = tuple(
        Fold(
            train=tuple(id_ for id_, number in test_fold.items() if number != str(fold)),
            valid=(),
            test=tuple(id_ for id_, number in test_fold.items() if number == str(fold)),
        )
        for fold in numbers
    )
    return Protocol(name=name, folds=folds, **msgspec.structs.asdict(header))
