"""`emocatcher check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import options

EXAMPLES = ("emocatcher check ravdess", "emocatcher check my.csv")

_SHOWN = 5


def check(
    corpus: options.CorpusArgument,
    everything: Annotated[
        bool, typer.Option("--all", help="List every recording of every finding, and every file left out.")
    ] = False,
) -> None:
    """Decode and count every recording; list missing, duplicated and unusual ones."""
    from emocatcher import corpora
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.corpora import check as checking
    from emocatcher.recognition.timeline import LONG_S

    loaded = load_corpus(corpus, to_check=True, with_notes=False)
    with screen.progress(unit="recordings") as start:
        advance = start("decoding")
        found = checking.check(loaded, on_progress=lambda done, total: advance(done, total, ""), long_s=LONG_S)
    target = screen.console()
    in_part = f" ({found.n_partial} only in part)" if found.n_partial else ""
    target.print(
        f"{found.corpus}: {found.n_decoded} of {found.n_utterances} recordings decode{in_part}, {found.hours:.2f} h, "
        f"{found.shortest_s:.2f} to {found.longest_s:.2f} s, {len(found.per_speaker)} speakers",
        markup=False,
    )
    without = {"(no label)": found.n_unlabelled} if found.n_unlabelled else {}
    rows = [(name, str(n)) for name, n in (found.per_emotion | without).items()]
    screen.table(("emotion", "recordings"), rows)
    for note in loaded.notes:
        target.print(f"- note: {screen.one_line(note)}", markup=False)
    for place in filter(Path.is_dir, filter(None, map(corpora.locate, corpora.parts(corpus)))) if everything else ():
        for name in checking.left_out(loaded, place):
            target.print(f"- left out: {screen.one_line(name)}", markup=False)
    few = list(checking.too_few(loaded))
    for sentence in few:
        target.print(f"- few: {screen.one_line(sentence)}", markup=False)
    if not (found.findings or loaded.notes or few):
        target.print("No problems found.")
    for finding in found.findings:
        shown = finding.utterances if everything else finding.utterances[:_SHOWN]
        more = len(finding.utterances) - len(shown)
        names = ", ".join(shown) + (f" and {more} more (--all)" if more else "")
        target.print(f"- {finding.kind}: {finding.text}: {names}", markup=False)
