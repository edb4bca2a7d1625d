"""Count rows by group: a column, the folder of the path, or the channel."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from emocatcher.reports.table_report.counts import Group, Grouping
from emocatcher.reports.table_report.prediction_rows import Answer, kept

MOST_GROUPS = 10_000  # by one column; the rows of further ones are counted together


class Counted:
    """The rows of one group."""

    __slots__ = ("emotions", "guesses", "n_abstained", "n_failed")

    def __init__(self) -> None:
        self.emotions: Counter[str] = Counter()
        self.guesses: Counter[str] = Counter()
        self.n_abstained = self.n_failed = 0

    def add(self, answer: Answer) -> None:
        """Count a row."""
        if answer.error:
            self.n_failed += 1
        elif answer.abstain:
            self.n_abstained += 1
            if answer.emotion:
                self.guesses[answer.emotion] += 1
        else:
            self.emotions[answer.emotion] += 1

    def group(self, name: str) -> Group:
        """Return the numbers."""
        n_answered = self.emotions.total()
        n = n_answered + self.n_abstained + self.n_failed
        return Group(
            name, n, n_answered, self.n_abstained, self.n_failed, dict(self.emotions), dict(self.guesses)
        )  # fmt: skip


class Groups:
    """Counts the rows by a column, the folder or the channel."""

    def __init__(self, by: str) -> None:
        self.by = by
        self._counted: dict[str, Counted] = {}
        self._others = Counted()

    def add(self, key: str, answer: Answer) -> None:
        """Count a row in the group of this key; "" for an empty cell."""
        found = self._counted.get(key)
        if found is None:
            full = len(self._counted) >= MOST_GROUPS
            found = self._others if full else self._counted.setdefault(key, Counted())
        found.add(answer)

    @property
    def n(self) -> int:
        """How many groups there are."""
        return len(self._counted)

    @property
    def n_named(self) -> int:
        """How many groups have a name: rows with an empty cell are another one."""
        return len(self._counted) - ("" in self._counted)

    def finish(self, n_dropped: int = 0) -> Grouping:
        """Return the groups; of their names, the first letters that all share are dropped."""
        groups = [counted.group(key[n_dropped:]) for key, counted in self._counted.items()]
        others = self._others.group("")
        return Grouping(kept(self.by), tuple(sorted(groups, key=_by_name)), others if others.n else None)


def _by_name(group: Group) -> tuple[bool, list[tuple[int, str]]]:
    """Sort by name, the numbers in it by their value; the group without a name is last."""
    parts = re.findall(r"\d{1,15}|\D+|\d", group.name)
    return group.name == "", [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def folder_of(path: str) -> str:
    """Return the folder of a path of any system; "" if it has none.

    Examples:
        >>> folder_of("calls/may/a.wav"), folder_of("a.wav")
        ('calls/may', '')
    """
    return path[: max(path.rfind("/"), path.rfind("\\"), 0)]


def shared_folder(first: str, second: str) -> str:
    """Return the folder that both folders are in, or are.

    Examples:
        >>> shared_folder("calls/may", "calls/march"), shared_folder("calls", "calls/may"), shared_folder("a", "b")
        ('calls', 'calls', '')
    """
    if first == second:
        return first
    pairs = list(zip(f"{first}/", f"{second}/", strict=False))
    n_same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return first[: max((index for index in range(n_same) if pairs[index][0] in "/\\"), default=0)]
