"""Load the corpus that a command is given, and print what of its folder or table is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emocatcher.corpora import Corpus


def load_corpus(name: str) -> Corpus:
    """Load a corpus; print its notes on stderr, and before synthetic voices are generated, that this takes a while.

    Raises:
        CorpusError: if it cannot be used.
    """
    from emocatcher import corpora
    from emocatcher.cli import screen

    target = screen.console(stderr=True)
    if "synthetic" in corpora.parts(name) and corpora.locate("synthetic") is None:
        target.print("Generating the synthetic corpus, once: about 20 s")
    corpus = corpora.load(name)
    for note in corpus.notes:
        target.print(f"Note: {screen.one_line(name)}: {screen.one_line(note)}", markup=False)
    return corpus
