"""Where corpora and other derived files live on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

_STALE_AFTER_S = 24 * 3600  # no generation or unpacking takes a day


def cache_dir() -> Path:
    """The folder for everything that can be made or fetched again; it may not exist yet.

    The environment variable EMOCATCHER_CACHE, where set, stands in for the user's cache folder.
    """
    override = os.environ.get("EMOCATCHER_CACHE")
    return Path(override).expanduser() if override else Path(platformdirs.user_cache_dir("emocatcher"))


def corpus_dir(name: str) -> Path:
    """Where a corpus of this name is put when nobody says otherwise."""
    return cache_dir() / "corpora" / name


def find_corpus(name: str) -> Path | None:
    """The folder of a corpus: in `$EMOCATCHER_CORPORA`, else in the cache, else None."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    folders = [Path(root).expanduser() / name] if root else []
    return next((folder for folder in (*folders, corpus_dir(name)) if folder.is_dir()), None)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name whole, or not at all.

    Args:
        target: the folder to make; missing, or empty.

    Yields:
        a new folder beside `target`, which is renamed to it on success and removed on failure.

    Raises:
        OSError: if `target` holds something by the time of the renaming.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # What a killed process left behind; a living one's folder is younger.
    for leftover in target.parent.glob(f".{target.name}.partial-*"):
        if time.time() - leftover.stat().st_mtime > _STALE_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)
    staging = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        if target.is_dir():
            target.rmdir()  # refuses unless empty; Windows renames onto no folder at all
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
