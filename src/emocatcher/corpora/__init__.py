"""Load corpora: read a folder or a table of recordings as a table of utterances."""

from __future__ import annotations

from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import manifest, ravdess, synthetic
from emocatcher.corpora.cards import KNOWN, CorpusCard
from emocatcher.corpora.places import cache_dir, corpus_dir, find_corpus
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError, suggest

__all__ = ["Corpus", "CorpusCard", "Utterance", "cache_dir", "known", "load", "locate"]

# The version is part of the name, so that a corpus made by an older synthesiser is not read.
_SYNTHETIC_DIR = f"synthetic-{synthetic.VERSION}"


def known() -> tuple[CorpusCard, ...]:
    """Return the cards of the corpora that `load` accepts by name.

    Examples:
        >>> [card.name for card in known()]
        ['ravdess', 'synthetic']
    """
    return KNOWN


def locate(name: str) -> Path | None:
    """Find a corpus on this machine, without reading or generating it.

    Args:
        name: "ravdess", "synthetic", or a path.

    Returns:
        the folder or file; None if there is none. RAVDESS is searched in `$EMOCATCHER_CORPORA/ravdess` and then in
        the cache; the environment variable EMOCATCHER_CACHE overrides the cache folder.
    """
    if name == "synthetic":
        return find_corpus(_SYNTHETIC_DIR)
    if name == "ravdess":
        return find_corpus(name)
    path = folder_search.expand_home(name)
    return path if path.exists() else None


def load(name: str, *, missing_ok: bool = False) -> Corpus:
    """Read a corpus. What a folder or a table has that is not used stands in its `notes`.

    Args:
        name: "ravdess"; "synthetic", which is generated on first use (in about 15 s); the path of a table of
            recordings (see `emocatcher.corpora.manifest`); the path of a folder with one sub-folder per emotion, or
            with RAVDESS's recordings anywhere in it, if most of its recordings have names of RAVDESS.
        missing_ok: accept a table that names recordings which do not exist.

    Raises:
        CorpusNotFoundError: if it does not exist, or is none of the above.
        CorpusError: if it exists but cannot be used.
    """
    path = locate(name)
    if name == "synthetic":
        return synthetic.read(path or _generate_synthetic())
    if name == "ravdess":
        if path is None:
            raise CorpusNotFoundError(
                f"RAVDESS was not found in $EMOCATCHER_CORPORA/ravdess or in {corpus_dir(name)}. "
                "Fetch it with: emocatcher fetch ravdess"
            )
        return _read_ravdess(path)
    if path is not None and path.is_dir():
        return _read_ravdess(path) if _is_ravdess(path) else manifest.read_folder(path)
    if path is not None and path.suffix.lower() in manifest.FORMATS:
        return manifest.read(path, missing_ok=missing_ok)
    if path is not None:
        problem = f"'{name}' is not a table of recordings."
    elif Path(name).suffix.lower() in manifest.FORMATS or Path(name).name != name:
        problem = f"{name}: no such file or folder. Check the path."
    else:
        problem = suggest(name, [card.name for card in KNOWN], "corpus") + ". There is no such file or folder either."
    raise CorpusNotFoundError(
        f"{problem} Give the path of a table ({', '.join(manifest.FORMATS)}) or of a folder with one sub-folder "
        "per emotion."
    )


def _is_ravdess(folder: Path) -> bool:
    """Whether most recordings of a folder have names of RAVDESS; one such name among a user's own means nothing."""
    stems = [Path(path).stem for path in folder_search.search(folder).recordings]
    return any(map(ravdess.is_clip_id, stems)) and 2 * sum(map(ravdess.is_of_ravdess, stems)) > len(stems)


def _read_ravdess(path: Path) -> Corpus:
    # The synthetic corpus uses the same file names. Its truth file next to the actors' folders identifies it, so that
    # synthetic voices are not mistaken for people.
    is_synthetic = any((clip.parent.parent / synthetic.TRUTH_NAME).is_file() for clip in ravdess.find_recordings(path))
    return synthetic.read(path) if is_synthetic else ravdess.read(path)


def _generate_synthetic() -> Path:
    target = corpus_dir(_SYNTHETIC_DIR)
    try:
        synthetic.generate(target)
    except (OSError, CorpusError) as error:
        if not target.is_dir():  # otherwise another process has generated the same corpus meanwhile
            raise CorpusError(
                f"The synthetic corpus cannot be generated in {target}: {error}. "
                "Set EMOCATCHER_CACHE to a folder with 100 MB of free space."
            ) from error
    return target
