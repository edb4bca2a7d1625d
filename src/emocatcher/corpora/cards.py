"""Describe the corpora that can be loaded by name, one card each."""

from __future__ import annotations

import msgspec


class CorpusCard(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a corpus that can be shown before it is downloaded."""

    name: str  # accepted by `load`
    title: str
    licence: str
    citation: str
    size: str
    n_utterances: int
    n_speakers: int
    language: str


KNOWN = (
    CorpusCard(
        name="ravdess",
        title="Ryerson Audio-Visual Database of Emotional Speech and Song: the speech, audio only",
        licence="CC BY-NC-SA 4.0",
        citation="Livingstone & Russo (2018), PLoS ONE 13(5): e0196391, doi 10.1371/journal.pone.0196391",
        size="1,440 clips, 1.5 h, 208 MB download",
        n_utterances=1440,
        n_speakers=24,
        language="English (North American)",
    ),
    CorpusCard(
        name="synthetic",
        title="Synthetic voices with RAVDESS's file names, for tests and for work without a network",
        licence="CC0 1.0 (made by emocatcher)",
        citation="none: generated on this machine by emocatcher",
        size="1,440 clips, 0.8 h, 90 MB, generated in seconds",
        n_utterances=1440,
        n_speakers=24,
        language="none (vowels and consonants)",
    ),
)
