"""What a URI is, what of it may be shown, and how the names of files are put together."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeGuard
from urllib.parse import quote, unquote

from emocatcher.foundation.errors import UriError

# By scheme: the package that reads and writes it through fsspec; "" for what needs no other one.
STORES = {
    "s3": "s3fs", "s3a": "s3fs",
    "gs": "gcsfs", "gcs": "gcsfs",
    "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs",
    "memory": "",
}  # fmt: skip
WEB = ("http", "https")
_SCHEMES = {*STORES, *WEB, "file"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_REST = "?…"  # stands for a query in what is shown
# A user with a password, in which a / may be; a number behind the colon is a port.
_PASSWORD = re.compile(r"[^/?#@]*:(?!\d*(?:[/?#]|$))[^@]*@")
_CONTAINERS = ("abfs", "abfss", "az")  # where container@account names a place, not a user


def is_uri(name: object) -> TypeGuard[str]:
    r"""Whether a name is a URI of a scheme that can be read; a path is not, nor one with a drive of Windows.

    Examples:
        >>> [is_uri(name) for name in ("s3://bucket/a.wav", "memory://a.wav", "a:b.wav", r"C:\a.wav", "s3:/a.wav")]
        [True, True, False, False, False]
    """
    found = _SCHEME.match(name) if isinstance(name, str) else None
    return found is not None and found[1].lower() in _SCHEMES


def unknown_scheme(name: str) -> str:
    """Return a sentence about a name that begins like a URI, but with a scheme that cannot be read; "" for others.

    Examples:
        >>> unknown_scheme("ftp://host/a.wav"), unknown_scheme("a.wav")
        (' ftp:// cannot be read. Allowed: s3, gs, abfs, https, http, memory, file.', '')
    """
    found = _SCHEME.match(name)
    if found is None or is_uri(name):
        return ""
    return f" {found[1]}:// cannot be read. Allowed: s3, gs, abfs, https, http, memory, file."


def scheme_of(uri: str) -> str:
    """Return the scheme of a URI in small letters."""
    return uri.partition("://")[0].lower()


def redacted(name: str) -> str:
    """Return a URI without what may be secret: user and password, query and fragment. Paths stay as they are.

    The scheme may be one that cannot be read, such as that of a database.

    Examples:
        >>> redacted("https://me:secret@host/a b.wav?X-Amz-Signature=1#t")
        'https://host/a b.wav?…'
        >>> redacted("s3://KEY:sec/ret@bucket/what?.wav"), redacted("me@home.wav")
        ('s3://bucket/what?.wav', 'me@home.wav')
        >>> redacted("postgresql://me:secret@host/runs?password=secret")
        'postgresql://host/runs?…'
    """
    if not _SCHEME.match(name) or (scheme := scheme_of(name)) == "file":
        return name
    start, rest = name[: len(scheme) + 3], name[len(scheme) + 3 :]
    rest = rest[len(_user_info(scheme, rest)) :]
    if scheme not in STORES:
        rest, mark, _ = re.split(r"#", rest, maxsplit=1)[0].partition("?")
    elif mark := "?" if re.search(r"\?[^/]*=", rest) else "":
        rest = rest.partition("?")[0]  # such as a token behind a name in Azure; a name may have a ? of its own
    return f"{start}{rest}{_REST if mark else ''}"


def check(uri: str) -> None:
    """Check that a URI holds no user and no password.

    Raises:
        UriError: if it does: a command line can be read by everyone on a machine, and is kept in its history.
    """
    scheme = scheme_of(uri)
    if scheme != "file" and _user_info(scheme, uri[len(scheme) + 3 :]):
        what = "~/.netrc" if scheme in WEB else "the environment or the usual files of the store"
        raise UriError(redacted(uri), f"has a user or a password. Leave them out, and put them into {what}")


def _user_info(scheme: str, rest: str) -> str:
    """Return the user and password before a host or bucket, with the @ behind them."""
    if found := _PASSWORD.match(rest):
        return found[0]
    authority = re.split("/" if scheme in STORES else r"[/?#]", rest, maxsplit=1)[0]
    before, at, _ = authority.rpartition("@")
    return "" if scheme in _CONTAINERS or scheme == "memory" else before + at


def local_path(uri: str) -> Path:
    """Return the path of a `file://` URI, in which special characters may be written as %20, or as they are.

    Raises:
        UriError: if it is of another computer.

    Examples:
        >>> local_path("file:///calls/a%20b.wav").as_posix(), local_path("file://localhost/a b.wav").as_posix()
        ('/calls/a b.wav', '/a b.wav')
    """
    host, slash, path = uri[len("file://") :].partition("/")
    if host not in ("", "localhost"):
        raise UriError(uri, f"is a file of the computer '{host}'. Give file:///PATH, or a path", "missing")
    path = path if os.name == "nt" else slash + path
    literal, decoded = Path(path), Path(unquote(path, errors="surrogateescape"))
    return literal if os.path.lexists(literal) and not os.path.lexists(decoded) else decoded


def beside(uri: str, name: str) -> str:
    """Return the URI of a file that a list at a URI names: another URI, an absolute path, or relative to the list.

    Examples:
        >>> beside("s3://bucket/calls/list.csv", "may/a#1.wav"), beside("https://host/list.csv?t=1", "a#1.wav")
        ('s3://bucket/calls/may/a#1.wav', 'https://host/a%231.wav')
    """
    if is_uri(name) or os.path.isabs(name):  # noqa: PTH117
        return name
    if scheme_of(uri) in WEB:
        uri, name = re.split(r"[?#]", uri, maxsplit=1)[0], quote(name)
    return f"{uri.rpartition('/')[0]}/{name}"
