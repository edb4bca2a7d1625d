"""A table whose place is a URI: it grows in a folder of this computer, and appears at the URI when it is finished."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from emocatcher.foundation import uris
from emocatcher.foundation.errors import OutputError, UriError
from emocatcher.recognition.batch.starting import note_path


@contextlib.contextmanager
def staged(uri: str, *, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Give a batch a local file for its table, and write that to the URI at the end: whole, or not at all.

    After an error, an interruption or a kill, the file stays, so that the batch can be resumed, on this computer only.

    Args:
        uri: of the table.
        resume: the batch resumes a table: the unfinished one of this computer if there is one, else the one at the URI.
        overwrite: the batch replaces a table.

    Yields:
        the path of the local file; an `OutputError` that names it is raised again with the name of the URI.

    Raises:
        OutputError: if the table exists and is neither resumed nor replaced, or cannot be read or written.
    """
    name = uris.redacted(uri)
    path = local_path(uri)
    with _output_errors(name, path):
        uris.check_place(uri)
        kind = uris.kind_of(uri)
        if kind == "folder" or not Path(uri).suffix:
            raise OutputError(f"{name} is a folder. Give a file to --out")
        has_rows = path.exists() or note_path(path).exists()
        if path.exists() and not note_path(path).exists() and not resume and not overwrite:
            raise OutputError(
                f"{name} was not written yet, but is finished on this computer: give --resume to write it"
            )
        if kind == "file" and not has_rows and not resume and not overwrite:
            raise OutputError(f"{name} exists: give --overwrite to replace it")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if kind == "file" and not has_rows and resume:
                uris.download(uri, path)
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # if no row was written
        try:
            uris.write(uri, path)
        except UriError as error:
            todo = "The table is kept on this computer: fix the problem, then rerun with --resume"
            raise OutputError(f"{name} cannot be written: {error.reason}. {todo}") from None
        shutil.rmtree(path.parent, ignore_errors=True)


def local_path(uri: str) -> Path:
    """Return where the table of a URI grows."""
    from emocatcher.corpora.places import cache_dir  # few calls need it

    place = hashlib.sha256(uri.encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_dir() / "unfinished-tables" / place / f"table{Path(uri).suffix}"


@contextlib.contextmanager
def _output_errors(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace(str(path), name)) from None
    except UriError as error:
        raise OutputError(f"{name} cannot be used: {error.reason}") from None
    except OSError as error:
        raise OutputError(f"{name} cannot be prepared on this computer: {error.strerror}") from None
