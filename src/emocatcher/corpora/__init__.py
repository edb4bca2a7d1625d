"""Load corpora: read a folder or a table of recordings as a table of utterances."""

from __future__ import annotations

from pathlib import Path

from emocatcher.audio import folder_search
from emocatcher.corpora import card_reader, cards, joined, manifest, ravdess, synthetic
from emocatcher.corpora.cards import CorpusCard, known
from emocatcher.corpora.exchange import audformat_corpus, audio_folder, described, saved_dataset, sound_tables
from emocatcher.corpora.exchange.sound_tables import SoundTable
from emocatcher.corpora.places import cache_dir, corpus_dir, find_corpus
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError, suggest

__all__ = ["Corpus", "CorpusCard", "Utterance", "cache_dir", "first_use", "known", "load", "locate", "parts"]

# The version is part of the name, so that a corpus made by an older synthesiser is not read.
_SYNTHETIC_DIR = f"synthetic-{synthetic.VERSION}"


def parts(name: str) -> list[str]:
    """Split the names of several corpora at commas; the name of a joined corpus, such as "tess+nemo", at the pluses.

    A name that exists as a path is one corpus.

    Examples:
        >>> parts("ravdess,crema-d=/data/CREMA-D"), parts("tess+nemo"), parts("a+b.csv")
        (['ravdess', 'crema-d=/data/CREMA-D'], ['tess', 'nemo'], ['a+b.csv'])
    """
    if folder_search.expand_home(name).exists():
        return [name]
    pluses = joined.names(name)
    if len(pluses) > 1 and all(cards.find(one) for one in pluses):
        return list(pluses)
    return [part.strip() for part in name.split(",") if part.strip()] or [name]


def first_use(name: str) -> str:
    """Return a sentence on what `load` does once and takes a while for, such as unpacking; "" if there is nothing."""
    for part in parts(name):
        card, _ = _card_and_place(part)
        path = locate(part)
        if card is not None and card.name == "synthetic" and path is None:
            return "Generating the synthetic corpus, once: about 20 s"
        if (tables := _sound_tables(card, path)) and not sound_tables.is_unpacked(tables):
            size = sum(table.path.stat().st_size for table in tables)
            return f"Unpacking the sound of {part}, {size / 1e6:,.0f} MB, into {cache_dir()}, once"
    return ""


def locate(name: str) -> Path | None:
    """Find a corpus on this machine, without reading or generating it.

    Args:
        name: the name of a card (see `known`), NAME=PATH, or a path.

    Returns:
        the folder or file; None if there is none. A card's corpus is searched in `$EMOCATCHER_CORPORA/NAME` and then
        in the cache; the environment variable EMOCATCHER_CACHE overrides the cache folder.
    """
    card, place = _card_and_place(name)
    if card is not None and place is None:
        return find_corpus(_SYNTHETIC_DIR if card.name == "synthetic" else card.name)
    path = place or folder_search.expand_home(name)
    return path if path.exists() else None


def load(name: str, *, to_check: bool = False) -> Corpus:
    """Read a corpus. What a folder or a table has that is not used stands in its `notes`.

    Args:
        name: the name of a card, such as "ravdess" or "crema-d"; "synthetic", which is generated on first use (in about
            15 s); NAME=PATH, for a card whose corpus lies elsewhere; the path of a table of recordings (see
            `emocatcher.corpora.manifest`); the path of a folder with one sub-folder per emotion, or with RAVDESS's
            recordings anywhere in it, if most of its recordings have names of RAVDESS; a Parquet file with sound in it,
            or a folder of them; a folder of Hugging Face `datasets` or audformat (see `emocatcher.corpora.exchange`).
            Several of these, separated by
            commas, are joined (see `emocatcher.corpora.joined`).
        to_check: accept a table that names recordings which do not exist, and recordings without labels.

    Raises:
        CorpusNotFoundError: if it does not exist, or is none of the above.
        CorpusError: if it exists but cannot be used.
    """
    names = parts(name)
    if len(names) > 1:
        known_here = [card for card, _ in map(_card_and_place, names) if card is not None]
        people = {card.name: card.same_speakers_as for card in known_here if card.same_speakers_as}
        return joined.join([load(one, to_check=to_check) for one in names], people)
    path = locate(names[0])
    card, _ = _card_and_place(names[0])
    if card is None:
        return _load_path(names[0], path, to_check=to_check)
    if card.name == "synthetic":
        return synthetic.read(path or _generate_synthetic())
    if path is None or not path.is_dir():
        raise _not_found(card, names[0])
    if card.parquet:
        if not (tables := _sound_tables(card, path)):
            raise CorpusError(f"{path} contains no {card.parquet}. Get {card.name} from {card.address}")
        return sound_tables.read(tables, card.name, path, licence=card.licence, only_emotions=True)
    return _read_ravdess(path) if card.name == "ravdess" else card_reader.read(card, path)


def _card_and_place(name: str) -> tuple[CorpusCard | None, Path | None]:
    """Return the card that NAME or NAME=PATH names, and the path; None for what it does not name."""
    before, separator, place = name.partition("=")
    card = cards.find(before)
    return card, folder_search.expand_home(place) if card is not None and separator else None


def _not_found(card: CorpusCard, name: str) -> CorpusNotFoundError:
    if "=" in name:
        return CorpusNotFoundError(f"{name.partition('=')[2]} is not a folder. Give {card.name}=FOLDER")
    title = "RAVDESS" if card.name == "ravdess" else f"The corpus {card.name}"
    get = (
        "Fetch it with: emocatcher fetch ravdess"
        if card.name == "ravdess"
        else f"Get it from {card.address} and unpack it there, or name its folder: {card.name}=FOLDER"
    )
    here = f". For the folder {name} here, give ./{name}" if Path(name).exists() else ""
    return CorpusNotFoundError(
        f"{title} was not found in $EMOCATCHER_CORPORA/{card.name} or in {corpus_dir(card.name)}. {get}{here}"
    )


def _sound_tables(card: CorpusCard | None, path: Path | None) -> list[SoundTable]:
    """Return the Parquet or Arrow files with sound in them that a corpus consists of; none if it has another form."""
    if path is None:
        return []
    if card is not None:
        return [SoundTable(found) for found in sorted(path.glob(card.parquet))] if card.parquet else []
    if path.is_file():
        has_sound = path.suffix.lower() == ".parquet" and sound_tables.has_audio(path)
        return [SoundTable(path)] if has_sound else []
    if saved_dataset.is_one(path):
        return saved_dataset.tables(path)
    files = sorted(path.rglob("*.parquet"))
    alone = bool(files) and not folder_search.search(path).recordings
    if not alone or not sound_tables.has_audio(files[0]):
        return []
    return [SoundTable(file, described.split_of(file.stem) or described.split_of(file.parent.name)) for file in files]


def _load_path(name: str, path: Path | None, *, to_check: bool) -> Corpus:
    if path is not None and (tables := _sound_tables(None, path)):
        licence = saved_dataset.licence(path) if saved_dataset.is_one(path) else "unknown"
        title = path.resolve().name if path.is_dir() else path.stem
        return sound_tables.read(tables, title, path, licence=licence, to_check=to_check)
    if path is not None and path.is_dir():
        if audformat_corpus.is_one(path):
            return audformat_corpus.read(path, to_check=to_check)
        if audio_folder.has_metadata(path):
            return audio_folder.read(path, to_check=to_check)
        if audio_folder.has_splits(path):
            return audio_folder.read_splits(path)
        return _read_ravdess(path) if _is_ravdess(path) else manifest.read_folder(path, to_check=to_check)
    if path is not None and (table := audformat_corpus.database_of(path)):
        return audformat_corpus.read(*table, to_check=to_check)
    if path is not None and path.suffix.lower() in manifest.FORMATS:
        return manifest.read(path, to_check=to_check)
    if path is not None:
        problem = f"'{name}' is not a table of recordings."
    elif Path(name).suffix.lower() in manifest.FORMATS or Path(name).name != name:
        problem = f"{name}: no such file or folder. Check the path."
    else:
        problem = suggest(name, cards.names(), "corpus") + ". There is no such file or folder either."
    raise CorpusNotFoundError(
        f"{problem} Give the path of a table ({', '.join(manifest.FORMATS)}) or of a folder with one sub-folder "
        "per emotion."
    )


def _is_ravdess(folder: Path) -> bool:
    """Whether a folder is RAVDESS: most recordings have its names, and no others lie in folders beside them.

    Raises:
        CorpusError: if the folders are those of RAVDESS, and there are others beside them.
    """
    paths = [Path(path).relative_to(folder) for path in folder_search.search(folder).recordings]
    if not any(ravdess.is_clip_id(path.stem) for path in paths):
        return False
    own = [path for path in paths if not ravdess.is_of_ravdess(path.stem)]
    in_folders = [path for path in own if len(path.parts) > 1]
    theirs = {path.parts[0] for path in paths if len(path.parts) > 1 and ravdess.is_of_ravdess(path.stem)}
    if 2 * len(own) >= len(paths) or (in_folders and not any(map(ravdess.is_folder_of_ravdess, theirs))):
        return False
    if beside := [path for path in in_folders if path.parts[0] not in theirs]:
        raise CorpusError(
            f"{folder} contains RAVDESS and {len(beside)} other recording{'s' if len(beside) > 1 else ''}, such as "
            f"{beside[0]}. Put the others into a folder of their own, or read RAVDESS alone: ravdess={folder}"
        )
    return True


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
