"""The findings of an audit, as data (`audit.json`) and as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import LeakError, RunError

FILE_NAME = "audit.json"
NOT_AUDITED = "Audit: not audited"

Kind = Literal["same-speaker", "same-audio", "two-labels", "fitted-beyond-training", "selection-on-test"]

# The stamp's words for each kind of leak.
_STAMPS: dict[Kind, str] = {
    "same-speaker": "speakers shared{in_folds}",
    "same-audio": "the same recording on both sides{of_folds}",
    "two-labels": "the same recording under two labels",
    "fitted-beyond-training": "normalisation or augmentation fitted beyond the training part",
    "selection-on-test": "the epoch chosen on the test part",
}
_MAX_SHOWN = 5


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two utterances of the same recording, or of parts of it."""

    utterances: tuple[str, str]
    labels: tuple[str, str]
    how: Literal["content", "fingerprint", "overlap"]  # equal samples, matching fingerprints, or overlapping segments
    bit_error_rate: float | None = None  # of the fingerprints: 0 is equal, 0.5 is chance
    shift_s: float | None = None  # delay of the second's content within the first
    overlap_s: float | None = None  # of two segments of one file
    folds: tuple[int, ...] = ()  # where the two are on both sides, counted from 0

    def __str__(self) -> str:
        first, second = self.utterances
        match self.how:
            case "content":
                alike = "the same samples"
            case "overlap":
                alike = f"segments of one file that overlap by {self.overlap_s:.2f} s"
            case "fingerprint":
                alike = f"the same sound, {self.bit_error_rate:.1%} of the fingerprint bits differ"
        return f"{first} and {second} ({alike})"


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one kind of leak."""

    kind: Kind
    text: str  # one sentence
    folds: tuple[int, ...] = ()  # counted from 0; empty if the kind does not depend on folds
    speakers: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that is not a leak."""

    text: str  # one sentence
    pairs: tuple[Pair, ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an audit; the content of `audit.json`."""

    corpus: str
    protocol: str
    n_folds: int
    n_utterances: int  # of the protocol
    n_fingerprints: int  # utterances with enough sound for a usable fingerprint
    leaks: tuple[Leak, ...]
    notes: tuple[Note, ...]

    @property
    def stamp(self) -> str:
        """The result in one line, to print next to a score."""
        found = "; ".join(_stamp(leak, self.n_folds) for leak in self.leaks)
        return f"Audit: {found or 'no leak found'}"

    def lines(self, *, everything: bool = False) -> list[str]:
        """Return the full result: the stamp, then a line for each leak and note.

        Args:
            everything: list every pair, not only the first five.
        """
        found: list[tuple[str, Leak | Note]] = [(leak.kind, leak) for leak in self.leaks]
        found += [("note", note) for note in self.notes]
        return [self.stamp, *(f"- {title}: {one.text}{_listed(one.pairs, everything)}" for title, one in found)]

    def refuse_leaks(self) -> None:
        """Enforce `--strict`.

        Raises:
            LeakError: if there is a leak.
        """
        if self.leaks:
            raise LeakError(
                f"{self.stamp}. --strict refuses to train with a leak: choose a protocol without one "
                "(speakers-K shares no speaker), fix the corpus, or leave out --strict"
            )


def write(audit: Audit | None, run_dir: Path) -> None:
    """Write an audit into a run folder; None removes an existing one.

    Raises:
        RunError: if the file cannot be written or removed.
    """
    path = run_dir / FILE_NAME
    try:
        if audit is None:
            path.unlink(missing_ok=True)
        else:
            atomic_files.write_bytes(path, msgspec.json.format(msgspec.json.encode(audit)) + b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def read(run_dir: Path) -> Audit | None:
    """Read the audit of a run; return None if the run was not audited.

    Raises:
        RunError: if the file cannot be read as an audit.
    """
    path = run_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Audit)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"'{path}' is not a valid audit: {error}. Remove it, or train again") from error


def fold_words(folds: Sequence[int], n_folds: int, preposition: str) -> str:
    """Return the folds as the end of a phrase; empty if the protocol has only one fold.

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
    if leak.kind == "same-speaker" and not leak.speakers:
        return f"speakers not named, so possibly shared{words['in_folds']}"
    return _STAMPS[leak.kind].format(**words)


def _listed(pairs: Sequence[Pair], everything: bool) -> str:
    if not pairs:
        return ""
    shown = pairs if everything else pairs[:_MAX_SHOWN]
    more = f"; and {len(pairs) - len(shown)} more (--all)" if len(shown) < len(pairs) else ""
    return ": " + "; ".join(map(str, shown)) + more
