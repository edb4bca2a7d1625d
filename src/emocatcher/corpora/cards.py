"""Describe the corpora that have a name, one card each: what it is, what its licence permits, how it is read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from emocatcher.audio import folder_search
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import EMOTIONS, canonical

T = TypeVar("T")


class CardTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table beside the recordings: which files it is in, and which of its rows belongs to a recording.

    A row is a mapping of its columns. Templates such as "{session}{gender}" are filled with columns and with the
    groups of the card's pattern.
    """

    files: str  # a glob from the corpus's folder
    key: str  # template over a row's columns; a folder and a suffix of sound in it are ignored
    on: str = "{stem}"  # template over a recording's groups: the recording's row is the one with this key
    separator: str = ","
    encoding: str = "utf-8-sig"
    line: str = (
        ""  # instead of a header: a regular expression whose named groups are the columns; other lines are no rows
    )
    json: bool = False  # an object: file name → an object of columns, or a list whose first entry is one
    one_hot: tuple[str, ...] = ()  # columns of 0 and 1; the name of the one that is 1 becomes the column `emotion`
    votes: tuple[str, ...] = ()  # columns with one rater's label each; the majority becomes the column `emotion`
    least_votes: int = 1  # fewer votes for the first, or a tie, make the emotion "no majority"
    optional: bool = False  # the corpus can be read without it


class CorpusCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts about a corpus, and how its files are read. Text is for people; the rest is for the reader."""

    name: str  # accepted by `load`; the card's file and the corpus's folder are named like this
    title: str
    language: str
    licence: str  # short
    permits: str  # what the licence permits, in plain words
    citation: str
    address: str  # where to get it
    sources: tuple[str, ...]  # where the facts of the card were read
    speakers: int | None = None  # None: not known
    clips: int | None = None
    hours: float | None = None
    verified: bool = False  # layout and labels were checked with the recordings
    unsure: tuple[str, ...] = ()  # facts that were not found, or are from memory
    traps: tuple[str, ...] = ()
    # A list of names of emotions (in any spelling of `labels.ALIASES`), or codes → emotions. A code may have wildcards.
    labels: tuple[str, ...] | dict[str, str] = ()
    left_out: dict[str, str] = {}  # codes, also with wildcards → why their recordings are left out
    excluded: dict[str, str] = {}  # ids of recordings → why they are left out
    # A regular expression over the end of a recording's path, without its suffix, from the start of a file's or
    # folder's name. Its named groups are the fields of an utterance, or parts of templates.
    pattern: str = ""
    fields: dict[str, str] = {}  # field of an utterance → template; by default the group or column of the same name
    values: dict[str, dict[str, str]] = {}  # field → its codes, also with wildcards → values; other codes are dropped
    unset: tuple[str, ...] = ()  # values that mean "not known"
    listeners: dict[str, str] = {}  # emotion → template of how many listeners chose it by voice alone
    table: tuple[CardTable, ...] = ()
    parquet: str = ""  # a glob of Parquet files with the sound in them; then nothing else describes the layout
    same_speakers_as: str = ""  # the card of a corpus with the same people

    def __post_init__(self) -> None:
        for emotion in (*self.emotion_of.values(), *self.listeners):
            if emotion not in EMOTIONS:
                raise ValueError(f"'{emotion}' is not an emotion. Allowed: {', '.join(EMOTIONS)}")

    @property
    def emotion_of(self) -> dict[str, str]:
        """The emotion of each code."""
        if isinstance(self.labels, dict):
            return self.labels
        return {code: canonical(code) or code for code in self.labels}

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions of the corpus, in their canonical order."""
        return tuple(emotion for emotion in EMOTIONS if emotion in self.emotion_of.values())


def names() -> tuple[str, ...]:
    """Return the names of all cards, sorted: the package's, and those of `$EMOCATCHER_CORPORA/*.toml`."""
    return tuple(sorted({*_of_the_package(), *_own()}))


def known() -> tuple[CorpusCard, ...]:
    """Return all cards, sorted by name.

    Raises:
        CorpusError: if a card of the user cannot be used.
    """
    return tuple(card for name in names() if (card := find(name)) is not None)


def find(name: str) -> CorpusCard | None:
    """Return the card of this name, the user's before the package's; None if there is none.

    Raises:
        CorpusError: if it is the user's and cannot be used; others are not read.
    """
    own = _own().get(name)
    return _of_the_package().get(name) if own is None else read(own)


def read(path: Path) -> CorpusCard:
    """Read a card from a TOML file.

    Raises:
        CorpusError: if it is not a card, or is not named like its file.
    """
    card = _decode(path.read_bytes(), path.stem, str(path))
    try:
        re.compile(card.pattern)
    except re.error as error:
        raise CorpusError(
            f"{path}: pattern is not a regular expression: {error}. Allowed: what Python's re has"
        ) from None
    return card


def look_up(code: str, table: Mapping[str, T]) -> T | None:
    """Return the value of a code, whatever its case; exact codes come before those with wildcards, in their order.

    Examples:
        >>> look_up("00100", {"00100": "neutral", "001*": "happy"}), look_up("x", {"A": "angry"})
        ('neutral', None)
    """
    folded = {key.casefold(): value for key, value in table.items()}
    code = code.casefold()
    if code in folded:
        return folded[code]
    return next((value for key, value in folded.items() if fnmatchcase(code, key)), None)


@cache
def _of_the_package() -> dict[str, CorpusCard]:
    folder = resources.files("emocatcher.corpora") / "cards"
    files = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {name: _decode(file.read_bytes(), name, file.name) for name, file in files.items()}


def _own() -> dict[str, Path]:
    root = os.environ.get("EMOCATCHER_CORPORA")
    return {path.stem: path for path in folder_search.expand_home(root).glob("*.toml")} if root else {}


def _decode(content: bytes, name: str, source: str) -> CorpusCard:
    try:
        card = msgspec.toml.decode(content, type=CorpusCard)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorpusError(f"{source} is not a card of a corpus: {error}. Compare it with docs/corpora.md") from None
    if card.name != name:
        raise CorpusError(f"{source} is the card of '{card.name}'. Name the file {card.name}.toml")
    return card
