"""Locate corpora and the cache on this machine, and create folders atomically."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from emocatcher.audio.folder_search import expand_home

_STALE_AFTER_S = 24 * 3600  # no generation or unpacking takes a day


def cache_dir() -> Path:
    """Return the folder for everything that can be generated or downloaded again; it may not exist yet.

    The environment variable EMOCATCHER_CACHE overrides the user's cache folder.
    """
    override = os.environ.get("EMOCATCHER_CACHE")
    return expand_home(override) if override else Path(platformdirs.user_cache_dir("emocatcher"))


def corpus_dir(name: str) -> Path:
    """Return the default folder of a corpus, in the cache."""
    return cache_dir() / "corpora" / name


def find_corpus(name: str) -> Path | None:
    """Return the folder of a corpus, in `$EMOCATCHER_CORPORA` or else in the cache; None if there is none."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    folders = [expand_home(root) / name] if root else []
    return next((folder for folder in (*folders, corpus_dir(name)) if folder.is_dir()), None)


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Create a folder atomically: it appears with all its files, or not at all.

    Args:
        target: the folder to create; missing, or empty.

    Yields:
        a new folder next to `target`, which is renamed to `target` on success and removed on failure.

    Raises:
        OSError: if `target` is not empty at the time of the renaming.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Remove leftovers of killed processes; the folder of a running process is younger.
    for leftover in target.parent.glob(f".{target.name}.partial-*"):
        if time.time() - leftover.stat().st_mtime > _STALE_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)
    staging = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        if target.is_dir():
            target.rmdir()  # fails unless empty; Windows cannot rename onto an existing folder
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
