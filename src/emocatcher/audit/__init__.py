"""The leakage audit: does a test part hold anything that training has heard?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emocatcher.audit import checks, recipe
from emocatcher.audit.findings import NOT_AUDITED, Audit, Leak, Note, Pair, read, write
from emocatcher.audit.listening import listen
from emocatcher.config import Settings
from emocatcher.corpora.table import Corpus
from emocatcher.protocols import Protocol

__all__ = ["NOT_AUDITED", "Audit", "Leak", "Note", "Pair", "read", "run", "write"]

_SHORT_SHOWN = 5


def run(
    corpus: Corpus,
    protocol: Protocol,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> Audit:
    """Audit a protocol on a corpus, and the recipe that is to be trained on it.

    Training and validation are one side of a fold, the test part is the other. Looked for are the same speaker and the
    same recording on both sides (equal samples; stretches of one file that overlap; and, by an acoustic fingerprint,
    the recording coded, resampled, trimmed or at another level), one recording under two labels, what is fitted on
    more than the training part, and a selection that looks at the test part.

    Args:
        corpus: the utterances.
        protocol: the folds; it fits the corpus.
        settings: the recipe.
        on_progress: called with (done, total) as utterances are listened to.
        folder: where fingerprints are kept; the user's cache by default.

    Raises:
        AudioError: if a recording cannot be used.
        FeatureCacheError: if the fingerprints cannot be written.
    """
    ids = {id_ for fold in protocol.folds for id_ in (*fold.train, *fold.valid, *fold.test)}
    utterances = [utterance for utterance in corpus if utterance.id in ids]
    heard = listen(corpus.name, utterances, on_progress=on_progress, folder=folder)
    leaks = list(checks.speakers(protocol, corpus))
    of_recordings, notes = checks.recordings(protocol, corpus, checks.link(utterances, heard))
    leaks += of_recordings
    leaks += [Leak(kind="fitted-beyond-training", text=what) for what in recipe.beyond_training(settings)]
    if settings.training.selection == "best-test":
        text = "training.selection = best-test scores the test part with the epoch that suits it best"
        leaks.append(Leak(kind="selection-on-test", text=text))
    short = [utterance.id for utterance in utterances if not heard[utterance.id].fingerprint.tells]
    if short:
        more = f" and {len(short) - _SHORT_SHOWN} more" if len(short) > _SHORT_SHOWN else ""
        text = (
            f"{len(short)} of {len(utterances)} recordings hold too little sound for a fingerprint, so only equal "
            f"samples were looked for: {', '.join(short[:_SHORT_SHOWN])}{more}"
        )
        notes.append(Note(text=text))
    return Audit(
        corpus=corpus.name,
        protocol=protocol.name,
        n_folds=len(protocol.folds),
        n_utterances=len(utterances),
        n_fingerprints=len(utterances) - len(short),
        leaks=tuple(leaks),
        notes=tuple(notes),
    )
