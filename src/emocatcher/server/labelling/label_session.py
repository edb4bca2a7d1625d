"""What has been decided on each clip, and what the page may know of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.labels import EMOTIONS, colours, one_spelling
from emocatcher.server.labelling import agreement
from emocatcher.server.labelling.clip_list import Clip
from emocatcher.server.labelling.label_table import OWN, LabelTable, Row

_MOST_LABELS = 9  # one for each key


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a list with commas; the eight emotions for an empty text.

    Raises:
        SettingError: if there are too few, too many, or two alike.

    Examples:
        >>> parse_labels("satisfied, annoyed")
        ('satisfied', 'annoyed')
    """
    labels = [one.strip() for one in text.split(",") if one.strip()] if text else list(EMOTIONS)
    joined = one_spelling(Counter(labels))  # as a table's labels are
    alike = [one for one in labels if [joined[other] for other in labels].count(joined[one]) > 1]
    if alike or not 2 <= len(labels) <= _MOST_LABELS:
        what = f"has {alike[0]} twice" if alike else f"has {len(labels)}"
        raise SettingError(f"--labels '{text}' {what}. Give 2 to {_MOST_LABELS} different labels, one for each key")
    return tuple(labels)


class LabelSession:
    """The clips, in the order in which they are asked, and their rows in the table.

    Args:
        clips: at least one.
        table: the open table.
        labels: of which the listener chooses one.
        out: the table's name, as the user gave it.
        model_labels: that the model can guess; empty for no guesses.
        channels: that are played and guessed: "mix" for all together, or one, as for `Recognizer.predict`.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        table: LabelTable,
        labels: Sequence[str],
        out: str,
        model_labels: Sequence[str] = (),
        channels: str = "mix",
    ) -> None:
        self.clips, self.labels, self.model_labels = tuple(clips), tuple(labels), tuple(model_labels)
        self.channels, self._table, self._out = channels, table, out
        self._shown: set[int] = set()  # clips whose guess the listener may have seen
        rows = {i: self._row(i) for i in range(len(self.clips))}
        # Notes on clips that are still asked, such as those of whoever recorded them: a decision does not replace them.
        self._given = {i: row.get("note", "") for i, row in rows.items() if not _is_decided(row, table.label)}

    def describe(self) -> dict[str, Any]:
        """Return what the page shows; of clips that are not decided yet only the number.

        A file's name may give away its emotion, and so may the guess.
        """
        return {
            "clips": [self.describe_clip(i) for i in range(len(self.clips))],
            "labels": self.labels,
            "colours": colours(list(dict.fromkeys([*self.labels, *self.model_labels]))),
            "guesses": bool(self.model_labels),
            "listener": self._table.listener,
            "out": self._out,
            "channels": self.channels,
        }

    def describe_clip(self, i: int) -> dict[str, Any]:
        """Return what has been decided on a clip: a label, or that it was skipped."""
        row = self._row(i)
        if not _is_decided(row, self._table.label):
            return {"decided": False}
        return {
            "decided": True,
            "name": self.clips[i].path.name,
            "label": row.get(self._table.label, "") or None,
            "note": row.get("note", ""),
            "at": row.get("labelled_at", ""),
        }

    def count(self) -> tuple[int, int]:
        """Return the number of labelled clips, and of skipped ones."""
        found = [one for one in map(self.describe_clip, range(len(self.clips))) if one["decided"]]
        n_labelled = sum(one["label"] is not None for one in found)
        return n_labelled, len(found) - n_labelled

    def decide(self, i: int, label: str | None, note: str) -> None:
        """Write a label, or that the clip is skipped (None).

        Without a note, the one that the table had before stays.

        Raises:
            SettingError: if it has another label, as from another tab of the browser.
            OutputError: if the table cannot be written; then nothing changes.
        """
        note = note or self._given.get(i, "")
        now = self.describe_clip(i)
        if now["decided"] and (now["label"], now["note"]) == (label, note):
            return  # the same request again, because the answer was lost
        if self.has_label(i):
            raise SettingError(f"Clip {i + 1} has the label '{now['label']}' already. Undo it first")
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        cells = dict.fromkeys(OWN, "") | {"note": note, "listener": self._table.listener, "labelled_at": at}
        self._table.write(self.clips[i], label or "", **cells)

    def undo(self, i: int) -> None:
        """Empty the label and what belongs to it; the row stays, because it may have other columns.

        Raises:
            OutputError: if the table cannot be written; then nothing changes.
        """
        if self._row(i).get("guess"):
            self._shown.add(i)
        if _is_decided(self._row(i), self._table.label):
            self._table.write(self.clips[i], "", **dict.fromkeys(OWN, "") | {"note": self._given.get(i, "")})

    def add_guess(self, i: int, emotion: str | None, probability: float | None) -> None:
        """Write the model's guess for a clip that has a label, unless the listener may have seen it before.

        Raises:
            OutputError: if the table cannot be written; then nothing changes.
        """
        row = self._row(i)
        if emotion is None or probability is None or i in self._shown or row.get("guess") or not self.has_label(i):
            return
        self._table.write(self.clips[i], row[self._table.label], guess=emotion, probability=f"{probability:.4f}")

    def has_label(self, i: int) -> bool:
        """Whether a clip has a label, so that the listener may see the guess."""
        return self.describe_clip(i).get("label") is not None

    def note_shown(self, i: int) -> None:
        """Note that the listener sees the guess: a label that is chosen again is not independent of it."""
        self._shown.add(i)

    def compare(self) -> agreement.Agreement:
        """Compare the labels with the guesses that were not known before."""
        label = self._table.label
        rows = [self._row(i) for i in range(len(self.clips))]
        pairs = [(row[label], row["guess"]) for row in rows if row.get(label) and row.get("guess")]
        return agreement.compare(pairs, self.labels, self.model_labels)

    def _row(self, i: int) -> Row:
        return self._table.row(self.clips[i]) or {}


def _is_decided(row: Row, label: str) -> bool:
    """Whether a row has a label, or was skipped; a row that only names a recording is still asked."""
    return bool(row.get(label, "").strip() or row.get("labelled_at"))
