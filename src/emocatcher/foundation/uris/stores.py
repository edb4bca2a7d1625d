"""Read, list and write object stores through fsspec, which is loaded with the first of their URIs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from emocatcher.foundation.errors import EmoCatcherError, UriError
from emocatcher.foundation.installation import install_command
from emocatcher.foundation.uris.attempts import Budget, attempt, limits
from emocatcher.foundation.uris.names import STORES, redacted, scheme_of
from emocatcher.foundation.uris.parts import BLOCK, Part

Result = TypeVar("Result")

_LISTING_UNITS = 60  # time limits that a listing may take


def read_part(uri: str, start: int, n: int) -> Part:
    """Read bytes `start` to `start + n`; the size is known once they are fewer. This is one attempt.

    Raises:
        UriError: if they cannot be read.
    """

    def read(system: Any, path: str) -> Part:
        try:
            content = bytes(system.cat_file(path, start=start, end=start + n))
        except OSError as error:
            if start == 0 and _code(error) in ("416", "InvalidRange"):  # an empty file has no such part
                return Part(b"", 0)
            raise
        return Part(content, start + len(content) if len(content) < n else None)

    return _translated(uri, read)


def size_of(uri: str) -> int:
    """Return the number of bytes of a file.

    Raises:
        UriError: if it cannot be asked for.
    """
    return _attempt(uri, lambda system, path: int(system.info(path)["size"]))


def kind_of(uri: str) -> str:
    """Return "file", "folder", or "" if there is neither.

    Raises:
        UriError: if it cannot be asked for.
    """
    try:
        kind = _attempt(uri, lambda system, path: str(system.info(path)["type"]))
    except UriError as error:
        if error.kind == "missing":
            return ""
        raise
    return "folder" if kind == "directory" else "file"


def names_in(uri: str) -> list[str]:
    """Return the files of a folder and of its sub-folders, relative to it, in order.

    Raises:
        UriError: if it cannot be listed.
    """

    def find(system: Any, path: str) -> list[str]:
        start = len(path.rstrip("/")) + 1
        return sorted(name[start:] for name in system.find(path) if len(name) > start and not name.endswith("/"))

    return _attempt(uri.rstrip("/"), find, _LISTING_UNITS)


def matching(uri: str) -> list[str]:
    """Return the URIs of the files and folders that a pattern matches, in order.

    Raises:
        UriError: if they cannot be listed.
    """

    def find(system: Any, pattern: str) -> list[str]:
        start = uri[: len(uri) - len(pattern.lstrip("/"))]
        return sorted(start + name.lstrip("/") for name in system.glob(pattern))

    return _attempt(uri, find, _LISTING_UNITS)


def put(uri: str, content: Path) -> None:
    """Write a local file to a URI: it appears there whole, when all of it has arrived.

    Raises:
        UriError: if it cannot be written; the old content is then unchanged.
    """

    def write(system: Any, path: str) -> None:
        if scheme_of(uri) == "memory":  # where a file that is being written can be seen
            system.pipe_file(path, content.read_bytes())
        else:
            system.put_file(str(content), path)

    try:
        _attempt(uri, write, 1 + content.stat().st_size // BLOCK)
    except UriError as error:
        raise _no_bucket(uri) if error.kind == "missing" else error from None


def check_bucket(uri: str) -> None:
    """Check that the bucket or container of a URI exists, where it may be asked for.

    Raises:
        UriError: if it does not exist, or the store cannot be reached.
    """
    start, bucket = uri.partition("://")[0], uri.partition("://")[2].partition("/")[0]
    try:
        if start.lower() != "memory" and not kind_of(f"{start}://{bucket}"):
            raise _no_bucket(uri)
    except UriError as error:
        if error.kind != "denied":  # to write does not need the permission to list
            raise


def _no_bucket(uri: str) -> UriError:
    return UriError(redacted(uri), "there is no such bucket or container. Make it first", "missing")


def _open(uri: str) -> tuple[Any, str]:
    """Return the file system of a URI, and its path there; credentials come from where its package looks for them."""
    scheme, package = scheme_of(uri), STORES[scheme_of(uri)]
    try:
        import fsspec

        system = fsspec.get_filesystem_class(scheme)
    except ImportError:
        needs = f"fsspec and {package}" if package else "fsspec"
        command = f"{install_command('cloud')} {package}".rstrip()
        raise UriError(redacted(uri), f"{scheme}:// needs {needs}. Install with: {command}") from None

    given = system._get_kwargs_from_urls(uri)  # noqa: SLF001 (what fsspec itself calls, but for chains by ::)
    if package == "s3fs":
        given |= {"config_kwargs": _s3_config(fsspec.config.conf)}
    return system(use_listings_cache=False, **given), system._strip_protocol(uri)  # noqa: SLF001


def _s3_config(configured: dict[str, Any]) -> dict[str, Any]:
    """Return the connection's own limits: without them, a store that hangs is left only after minutes."""
    timeout_s, _ = limits()
    found = {"connect_timeout": min(10.0, timeout_s), "read_timeout": timeout_s, "retries": {"max_attempts": 1}}
    return found | dict(configured.get("s3", {}).get("config_kwargs", {}))


def _attempt(uri: str, call: Callable[[Any, str], Result], n_units: int = 1) -> Result:
    return attempt(redacted(uri), lambda: _translated(uri, call), Budget(n_units))


def _translated(uri: str, call: Callable[[Any, str], Result]) -> Result:
    """Call a function with a file system and a path; a library's errors, which may contain secrets, are replaced."""
    try:
        return call(*_open(uri))
    except EmoCatcherError:
        raise
    except Exception as error:  # each store has its own
        raise _of_error(redacted(uri), error) from None


def _of_error(name: str, error: Exception) -> UriError:
    code = _code(error)
    kinds = {type(each).__name__ for each in (error, error.__cause__) if each is not None}
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError) or code in ("404", "410"):
        return UriError(name, "no such file", "missing")
    is_denied = any(word in kind for kind in kinds for word in ("Credential", "Token", "Auth", "Permission"))
    if is_denied or code in ("401", "403"):
        return UriError(
            name, "access is denied. Check the credentials in the environment, and what they permit", "denied"
        )
    if isinstance(error, ValueError | TypeError | NotImplementedError):
        return UriError(name, f"the store refuses it ({code or type(error).__name__})")
    if any(word in kind for kind in kinds for word in ("Connect", "Endpoint")):
        return UriError(name, "the store cannot be reached. Check its address, and the network", "unreachable")
    return UriError(
        name, f"the store does not answer as it should ({code or type(error).__name__}). Try again later", "unreachable"
    )


def _code(error: Exception) -> str:
    """Return the short code of a store's answer, such as "SlowDown" or "404"; "" if there is none."""
    for each in (error, error.__cause__):
        answer = getattr(each, "response", None)
        given = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
        for found in (given, *(getattr(each, name, None) for name in ("code", "status", "status_code"))):
            if isinstance(found, str | int) and str(found).isalnum() and len(str(found)) <= 40:
                return str(found)
    return ""
