"""Print who felt what in the terminal: a line for each speaker, and one for each turn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group

    from emocatcher.recognition.timeline import SpeakerTimeline

_BAR = 20  # characters


def table(speakers: Sequence[SpeakerTimeline]) -> Group:
    """Return the summary of each speaker, their turns in order of time, and the warnings."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from emocatcher.cli import screen
    from emocatcher.cli.card import shares_in_words
    from emocatcher.cli.timeline import clock

    shades = screen.shades(speakers[0].labels)
    sums = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("speaker", "turns", "seconds", "overlap", "felt, of the time with speech"):
        sums.add_column(name, justify="right" if name in ("turns", "seconds", "overlap") else "left")
    for one in speakers:
        felt = Text("no speech", "dim")
        if one.shares:
            felt = Text(shares_in_words(one.shares), shades[max(one.shares, key=one.shares.__getitem__)])
        overlap = f"{one.overlap_s / one.speaking_s:.0%}" if one.overlap_s else ""
        sums.add_row(Text(one.speaker), str(one.n_turns), f"{one.speaking_s:.1f}", overlap, felt)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("from", "to", "speaker", "emotion", "probability", "overlap"):
        drawn.add_column(name, justify="right" if name in ("from", "to", "overlap") else "left")
    drawn.columns[-1].header = "overlap" if any(one.overlap_s for one in speakers) else ""
    turns = [(turn, one.speaker) for one in speakers for turn in one.turns]
    for turn, speaker in sorted(turns, key=lambda pair: pair[0].start_s):
        overlap = f"{turn.overlap_s:.1f} s" if turn.overlap_s else ""
        answer, how = Text("no speech", "dim"), Text("")
        if turn.emotion is not None and turn.probability is not None:
            answer = Text(turn.emotion + "?" * turn.abstain, "dim" if turn.abstain else "")
            bar = Text("█" * round(turn.probability * _BAR) or "▏", shades[turn.emotion])
            how = Text(shares_in_words(turn.shares)) if turn.shares else Text(f"{turn.probability:4.0%} ") + bar
        drawn.add_row(clock(turn.start_s), clock(turn.end_s), Text(speaker), answer, how, overlap)
    notes = [Text("! ", "bold") + Text(warning) for warning in warnings(speakers)]
    if any(turn.abstain and turn.emotion is not None for turn, _ in turns):
        notes.insert(0, Text(f"?  below {speakers[0].abstain_below:.0%}: treat it as no answer", "dim"))
    return Group(sums, drawn, *notes)


def warnings(speakers: Sequence[SpeakerTimeline]) -> list[str]:
    """Return the warnings: those of the recording once, then those of each speaker."""
    of_all = [caution for caution in speakers[0].warnings if all(caution in one.warnings for one in speakers)]
    if len(speakers) == 1:
        of_all = []
    own = ((one, caution) for one in speakers for caution in one.warnings if caution not in of_all)
    return list(
        itertools.chain(
            (caution.message for caution in of_all), (f"{one.of_part}{caution.message}" for one, caution in own)
        )
    )
