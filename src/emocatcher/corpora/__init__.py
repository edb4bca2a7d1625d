"""Corpora: one small file each, folder → table of utterances."""

from __future__ import annotations

from pathlib import Path

from emocatcher.corpora import manifest, ravdess, synthetic
from emocatcher.corpora.cards import KNOWN, CorpusCard
from emocatcher.corpora.places import cache_dir, corpus_dir, find_corpus
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.errors import CorpusError, CorpusNotFoundError, suggest

__all__ = ["Corpus", "CorpusCard", "Utterance", "cache_dir", "known", "load", "locate"]

# The version is part of the name, so that a corpus from an older synthesiser is never read.
_SYNTHETIC_DIR = f"synthetic-{synthetic.VERSION}"


def known() -> tuple[CorpusCard, ...]:
    """The corpora that `load` knows by name.

    Examples:
        >>> [card.name for card in known()]
        ['ravdess', 'synthetic']
    """
    return KNOWN


def locate(name: str) -> Path | None:
    """Where a corpus is on this machine, without reading or making it.

    Args:
        name: "ravdess", "synthetic", or a path.

    Returns:
        the folder or file; None if there is none. RAVDESS is looked for in `$EMOCATCHER_CORPORA/ravdess` and then in
        the cache; EMOCATCHER_CACHE, where set, is the cache folder.
    """
    if name == "synthetic":
        return find_corpus(_SYNTHETIC_DIR)
    if name == "ravdess":
        return find_corpus(name)
    path = Path(name).expanduser()
    return path if path.exists() else None


def load(name: str) -> Corpus:
    """Read a corpus.

    Args:
        name: "ravdess"; "synthetic", which is made on its first use (in about 15 s); the path of a table of
            recordings (see `emocatcher.corpora.manifest`); the path of a folder with RAVDESS's recordings anywhere
            in it, or with one sub-folder per emotion.

    Raises:
        CorpusNotFoundError: if it is not there, or is nothing of the above.
        CorpusError: if it is there and cannot be used.
    """
    path = locate(name)
    if name == "synthetic":
        return synthetic.read(path or _make_synthetic())
    if name == "ravdess":
        if path is None:
            raise CorpusNotFoundError(
                f"RAVDESS is not on this machine: neither in $EMOCATCHER_CORPORA/ravdess nor in {corpus_dir(name)}. "
                "Fetch it with: emocatcher fetch ravdess"
            )
        return _read_ravdess(path)
    if path is not None and path.is_dir():
        has_clips = any(ravdess.is_clip_id(recording.stem) for recording in ravdess.find_recordings(path))
        return _read_ravdess(path) if has_clips else manifest.read_folder(path)
    if path is not None and path.suffix.lower() in manifest.FORMATS:
        return manifest.read(path)
    problem = (
        f"'{name}' is not a table of recordings" if path else suggest(name, [card.name for card in KNOWN], "corpus")
    )
    raise CorpusNotFoundError(
        f"{problem}; or give the path of a table ({', '.join(manifest.FORMATS)}) or of a folder with one sub-folder "
        "per emotion."
    )


def _read_ravdess(path: Path) -> Corpus:
    # The synthetic corpus bears the same names; its truth beside the actors' folders tells it apart, so that made
    # voices are never taken for people.
    made = any((clip.parent.parent / synthetic.TRUTH_NAME).is_file() for clip in ravdess.find_recordings(path))
    return synthetic.read(path) if made else ravdess.read(path)


def _make_synthetic() -> Path:
    target = corpus_dir(_SYNTHETIC_DIR)
    try:
        synthetic.generate(target)
    except (OSError, CorpusError) as error:
        if not target.is_dir():  # else another process was faster, and made the same
            raise CorpusError(
                f"The synthetic corpus cannot be made in {target}: {error}. "
                "Set EMOCATCHER_CACHE to a folder with 100 MB to spare."
            ) from error
    return target
