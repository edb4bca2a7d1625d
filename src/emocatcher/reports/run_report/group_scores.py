"""Report for whom a model works: its scores by sex, age, race and ethnicity of the speakers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from emocatcher.evaluation.scoring.run_result import Estimate, SpeakerGroup
from emocatcher.evaluation.scoring.speaker_groups import LEAST_SPEAKERS
from emocatcher.reports.run_report.tables import NONE, Table, interval, percent


def table(groups: Sequence[SpeakerGroup]) -> Table | None:
    """Tabulate the groups that were scored; None if there is none."""
    scored = [one for one in groups if one.unweighted_average_recall]
    if not scored:
        return None

    def cells(found: Estimate | None) -> tuple[str, str]:
        return (NONE, NONE) if found is None else (percent(found.mean), interval(found.interval))

    return Table(
        caption="Scores by group of speakers, in percent, over all test utterances; intervals by drawing speakers.",
        header=("group", "speakers", "test utterances", "UAR", "95% interval", "answered", "95% interval"),
        rows=tuple(
            (_name(one, groups), f"{one.n_speakers}", f"{one.n_utterances:,}",
             *cells(one.unweighted_average_recall), *cells(one.share_answered))
            for one in scored
        ),
    )  # fmt: skip


def sentence(groups: Sequence[SpeakerGroup]) -> str:
    """State which groups differ beyond their intervals, and which are too small; "" without groups."""
    sentences = []
    scored = Counter((one.corpus, one.trait) for one in groups if one.unweighted_average_recall)
    if any(n > 1 for n in scored.values()):
        found = [*_differences(groups, "unweighted_average_recall"), *_differences(groups, "share_answered")]
        sentences.append(
            f"Groups of speakers whose 95% intervals do not overlap: {'; '.join(found)}."
            if found
            else "The 95% intervals of all groups of speakers overlap, so no difference between groups is certain."
        )
    if small := [f"{_name(one, groups)} ({one.n_speakers})" for one in groups if not one.unweighted_average_recall]:
        sentences.append(f"Groups of fewer than {LEAST_SPEAKERS} speakers are not scored: {', '.join(small)}.")
    return " ".join(sentences)


def _differences(groups: Sequence[SpeakerGroup], quantity: str) -> list[str]:
    """Describe two groups of each trait whose intervals do not overlap: those that are farthest apart, if there are."""
    words = {"unweighted_average_recall": "UAR", "share_answered": "answered"}[quantity]
    found = []
    for _, members in groupby(groups, key=lambda one: (one.corpus, one.trait)):
        known = [(value, one) for one in members if (value := getattr(one, quantity)) is not None]
        if len(known) < 2:
            continue
        # By the bounds, not the means: a small group at an end overlaps with all, though others may differ.
        low, lowest = min(known, key=lambda pair: pair[0].interval[1])
        high, highest = max(known, key=lambda pair: pair[0].interval[0])
        if low.interval[1] < high.interval[0]:
            found.append(
                f"{_name(highest, groups)}, {words} {percent(high.mean)}%, and {lowest.name}, {percent(low.mean)}%"
            )
    return found


def _name(one: SpeakerGroup, groups: Sequence[SpeakerGroup]) -> str:
    several = len({each.corpus for each in groups}) > 1
    return f"{one.corpus}, {one.trait}: {one.name}" if several else f"{one.trait}: {one.name}"
