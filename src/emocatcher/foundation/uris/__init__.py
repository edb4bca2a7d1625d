"""Read, list and write files by URI: object stores, web servers, memory and this computer, with limits of time.

Credentials come only from the environment or the usual files of a store (`~/.aws`, `gcloud`, `~/.netrc`). No message of
this room contains a user, a password or a query, nor the text of a library's error, which may contain them.

An attempt takes a minute at most, and what may work later is tried again four times with growing pauses; the
environment variables `EMOCATCHER_URI_TIMEOUT_S` and `EMOCATCHER_URI_RETRIES` change that. A file that does not exist or
is not permitted is not tried again.

```
is_uri(name)          whether a name is one; everything else is a path
redacted(name)        what may be shown of it; a path stays as it is
RemoteFile(uri)       open for reading: `.open()`, `.size`, `.fetch()` into a temporary file
read_bytes(uri, most) its content
download(uri, path)   copy it to a local file
write(uri, path)      whole or absent
write_bytes(uri, …)   whole or absent
kind_of(uri)          "file", "folder" or ""
names_in(uri)         the files of a folder
matching(uri)         the files and folders that a pattern matches
beside(uri, name)     the URI of what a list at a URI names
```
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import UriError
from emocatcher.foundation.uris import stores
from emocatcher.foundation.uris.names import (
    STORES,
    WEB,
    beside,
    check,
    is_uri,
    local_path,
    redacted,
    scheme_of,
    unknown_scheme,
)
from emocatcher.foundation.uris.remote_file import LARGEST, RemoteFile, download, read_bytes

__all__ = [
    "LARGEST",
    "STORES",
    "WEB",
    "RemoteFile",
    "beside",
    "check",
    "check_place",
    "check_writable",
    "download",
    "is_uri",
    "kind_of",
    "local_path",
    "matching",
    "names_in",
    "read_bytes",
    "redacted",
    "scheme_of",
    "unknown_scheme",
    "write",
    "write_bytes",
]


def kind_of(uri: str) -> str:
    """Return "file", "folder", or "" if there is neither. Of a web server, everything is a file until it is read.

    Raises:
        UriError: if it cannot be asked for.
    """
    check(uri)
    if scheme_of(uri) in WEB:
        return "file"
    if scheme_of(uri) == "file":
        path = local_path(uri)
        return "folder" if path.is_dir() else "file" if path.exists() else ""
    return stores.kind_of(uri)


def names_in(uri: str) -> list[str]:
    """Return the files of a folder in a store and of its sub-folders, relative to it, in order.

    Raises:
        UriError: if it cannot be listed, as on a web server.
    """
    check(uri)
    if scheme_of(uri) not in STORES:
        raise UriError(redacted(uri), "a web server gives no list of its files. Give the files, or a table of them")
    return stores.names_in(uri)


def matching(uri: str) -> list[str]:
    """Return the URIs of the files and folders in a store that a pattern matches, in order.

    Raises:
        UriError: if they cannot be listed.
    """
    check(uri)
    return stores.matching(uri)


def check_writable(uri: str) -> None:
    """Check that a URI is of a scheme that can be written, and has no secret; the place itself is not asked.

    Raises:
        UriError: if not.
    """
    check(uri)
    if scheme_of(uri) in WEB:
        raise UriError(redacted(uri), "a web server cannot be written to. Give a path, or a URI such as s3://…")


def check_place(uri: str) -> None:
    """Check that a file can be written to a URI, before hours of work for it; its permission is not tested.

    Raises:
        UriError: if the scheme cannot be written, there is no such bucket, or the store cannot be reached.
    """
    check_writable(uri)
    if scheme_of(uri) in STORES:
        stores.check_bucket(uri)


def write(uri: str, content: Path) -> None:
    """Write the content of a local file to a URI: it is there whole, or not at all.

    Raises:
        UriError: if it cannot be written; the old content is then unchanged.
    """
    check_writable(uri)
    if scheme_of(uri) != "file":
        stores.put(uri, content)
        return
    try:
        with atomic_files.replacing(local_path(uri)) as target, content.open("rb") as source:
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise UriError(uri, f"cannot be written: {error.strerror or os.strerror(error.errno or 0)}") from None


def write_bytes(uri: str, content: bytes) -> None:
    """Write some content to a URI, like `write`.

    Raises:
        UriError: if it cannot be written; the old content is then unchanged.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        write(uri, path)
