"""Load the corpus that a command is given, and print what of its folder or table is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emocatcher.corpora import Corpus


def load_corpus(name: str, *, to_check: bool = False, with_notes: bool = True) -> Corpus:
    """Load a corpus; print its notes on stderr, and before it is generated or unpacked, that this takes a while.

    Raises:
        CorpusError: if it cannot be used.
    """
    from emocatcher import corpora
    from emocatcher.cli import screen

    target = screen.console(stderr=True)
    if first_use := corpora.first_use(name):
        target.print(screen.one_line(first_use), markup=False)
    corpus = corpora.load(name, to_check=to_check)
    for note in corpus.notes if with_notes else ():
        target.print(f"Note: {screen.one_line(name)}: {screen.one_line(note)}", markup=False)
    return corpus
