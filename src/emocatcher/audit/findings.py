"""What an audit found, as data (`audit.json`) and in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from emocatcher import storage
from emocatcher.errors import LeakError, RunError

FILE_NAME = "audit.json"
NOT_AUDITED = "Audit: not audited"

Kind = Literal["same-speaker", "same-audio", "two-labels", "fitted-beyond-training", "selection-on-test"]

# How a stamp names each kind of leak.
_STAMPS: dict[Kind, str] = {
    "same-speaker": "speakers shared{in_folds}",
    "same-audio": "the same recording on both sides{of_folds}",
    "two-labels": "the same recording under two labels",
    "fitted-beyond-training": "normalisation or augmentation fitted beyond the training part",
    "selection-on-test": "the epoch chosen on the test part",
}
_SHOWN = 5


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two utterances that are one recording, wholly or in part."""

    utterances: tuple[str, str]
    labels: tuple[str, str]
    how: Literal["content", "fingerprint", "overlap"]  # equal samples, an equal sound, or overlapping stretches
    bit_error_rate: float | None = None  # of the fingerprints: 0 is equal, 0.5 is chance
    shift_s: float | None = None  # by how much what the second holds comes later in the first
    overlap_s: float | None = None  # of two stretches of one file
    folds: tuple[int, ...] = ()  # where the two stand on both sides, counted from 0

    def __str__(self) -> str:
        first, second = self.utterances
        match self.how:
            case "content":
                alike = "the same samples"
            case "overlap":
                alike = f"stretches of one file that overlap by {self.overlap_s:.2f} s"
            case "fingerprint":
                alike = f"the same sound, {self.bit_error_rate:.1%} of its fingerprint's bits differ"
        return f"{first} and {second} ({alike})"


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of leak, wherever it was found."""

    kind: Kind
    text: str  # one sentence
    folds: tuple[int, ...] = ()  # counted from 0; empty where it is not a matter of folds
    speakers: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing that leaks nothing."""

    text: str  # one sentence
    pairs: tuple[Pair, ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome; `audit.json`."""

    corpus: str
    protocol: str
    n_folds: int
    n_utterances: int  # of the protocol
    n_fingerprints: int  # of them, those with enough sound to be recognised by
    leaks: tuple[Leak, ...]
    notes: tuple[Note, ...]

    @property
    def stamp(self) -> str:
        """The outcome in one line, to stand beside a result."""
        found = "; ".join(_stamp(leak, self.n_folds) for leak in self.leaks)
        return f"Audit: {found or 'no leak found'}"

    def lines(self, *, everything: bool = False) -> list[str]:
        """The outcome in full: the stamp, then a line for each leak and note.

        Args:
            everything: name every pair, not the first five.
        """
        found: list[tuple[str, Leak | Note]] = [(leak.kind, leak) for leak in self.leaks]
        found += [("note", note) for note in self.notes]
        return [self.stamp, *(f"- {title}: {one.text}{_listed(one.pairs, everything)}" for title, one in found)]

    def refuse_leaks(self) -> None:
        """Hold to `--strict`.

        Raises:
            LeakError: if there is a leak.
        """
        if self.leaks:
            raise LeakError(
                f"{self.stamp}. --strict refuses to train on a leak: choose a protocol without one "
                "(speakers-K shares no speaker), mend the corpus, or leave out --strict"
            )


def write(audit: Audit | None, run_dir: Path) -> None:
    """Put an audit into a run folder; None takes away the one that is there.

    Raises:
        RunError: if it cannot be written.
    """
    path = run_dir / FILE_NAME
    try:
        if audit is None:
            path.unlink(missing_ok=True)
        else:
            storage.write_bytes(path, msgspec.json.format(msgspec.json.encode(audit)) + b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def read(run_dir: Path) -> Audit | None:
    """The audit of a run; None where it was not audited.

    Raises:
        RunError: if it is there and is not what `write` writes.
    """
    path = run_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Audit)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"'{path}' is not what train writes: {error}. Remove it, or train again") from error


def fold_words(folds: Sequence[int], n_folds: int, preposition: str) -> str:
    """Which folds, as the end of a sentence; nothing where there is only one.

    Examples:
        >>> fold_words((1, 3), 5, "of"), fold_words((0, 1), 2, "in"), fold_words((0,), 1, "in")
        (' of folds 1 and 3', ' in all folds', '')
    """
    if n_folds == 1:
        return ""
    if len(folds) == n_folds:
        return f" {preposition} all folds"
    *most, last = map(str, folds)
    return f" {preposition} fold{'s' if most else ''} " + (f"{', '.join(most)} and {last}" if most else last)


def _stamp(leak: Leak, n_folds: int) -> str:
    words = {f"{word}_folds": fold_words(leak.folds, n_folds, word) if leak.folds else "" for word in ("in", "of")}
    return _STAMPS[leak.kind].format(**words)


def _listed(pairs: Sequence[Pair], everything: bool) -> str:
    if not pairs:
        return ""
    shown = pairs if everything else pairs[:_SHOWN]
    more = f"; and {len(pairs) - len(shown)} more (--all)" if len(shown) < len(pairs) else ""
    return ": " + "; ".join(map(str, shown)) + more
