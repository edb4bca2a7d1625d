"""The leakage audit: find speakers and recordings of a test part that are also in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.audit import checks, recipe_check
from emocatcher.evaluation.audit.findings import NOT_AUDITED, Audit, Leak, Note, Pair, read, write
from emocatcher.evaluation.audit.recordings import scan
from emocatcher.evaluation.protocols import Protocol
from emocatcher.foundation.settings import Settings

__all__ = ["NOT_AUDITED", "Audit", "Leak", "Note", "Pair", "read", "run", "write"]

_MAX_SHORT_SHOWN = 5


def run(
    corpus: Corpus,
    protocol: Protocol,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> Audit:
    """Audit a protocol on a corpus, and the recipe that will be trained on it.

    Training and validation are one side of a fold, the test part is the other. The audit finds:

    - the same speaker on both sides;
    - the same recording on both sides: equal samples, overlapping segments of one file, or, by an acoustic
      fingerprint, a copy that was re-encoded, resampled, trimmed or changed in level;
    - a recording with two labels;
    - anything fitted on more than the training part;
    - a model selection that uses the test part.

    Args:
        corpus: the utterances.
        protocol: the folds, of this corpus.
        settings: the recipe.
        on_progress: called with (done, total) after each utterance.
        folder: where fingerprints are cached; the user's cache by default.

    Raises:
        AudioError: if a recording cannot be used.
        FeatureCacheError: if the fingerprints cannot be written.
    """
    ids = {id_ for fold in protocol.folds for id_ in (*fold.train, *fold.valid, *fold.test)}
    utterances = [utterance for utterance in corpus if utterance.id in ids]
    scans = scan(corpus.name, utterances, on_progress=on_progress, folder=folder)
    leaks = list(checks.speakers(protocol, corpus))
    recording_leaks, notes = checks.recordings(protocol, corpus, checks.link(utterances, scans))
    leaks += recording_leaks
    leaks += [Leak(kind="fitted-beyond-training", text=what) for what in recipe_check.beyond_training(settings)]
    if settings.training.selection == "best-test":
        text = "training.selection = best-test selects the epoch by its score on the test part"
        leaks.append(Leak(kind="selection-on-test", text=text))
    short = [utterance.id for utterance in utterances if not scans[utterance.id].fingerprint.is_usable]
    if short:
        more = f" and {len(short) - _MAX_SHORT_SHOWN} more" if len(short) > _MAX_SHORT_SHOWN else ""
        text = (
            f"{len(short)} of {len(utterances)} recordings have too little sound for a fingerprint, so only equal "
            f"samples were searched for: {', '.join(short[:_MAX_SHORT_SHOWN])}{more}"
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
