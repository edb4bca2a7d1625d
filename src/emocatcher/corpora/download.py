"""Download RAVDESS: resume interrupted transfers, verify the hash before unpacking, create the folder atomically."""

from __future__ import annotations

import itertools
import shutil
import stat
import time
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from emocatcher.corpora import ravdess
from emocatcher.corpora.places import corpus_dir, find_corpus, staged
from emocatcher.foundation.errors import DownloadError, HashMismatchError, MissingExtraError

if TYPE_CHECKING:
    import requests

RAVDESS_URL = "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1"
RAVDESS_MD5 = "bc696df654c87fed845eb13823edef8a"
RAVDESS_SIZE = 208_468_073  # bytes

OnProgress = Callable[[int, int], None]

_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # before each retry, as long as no attempt makes progress
_TIMEOUT_S = (10.0, 30.0)  # to connect, and between two arrivals of data
_CHUNK = 1 << 14  # bytes; an incomplete chunk is lost when the transfer is interrupted
_UNPACKED_RATIO = 2.6  # of the published archive; the exact size is read from the downloaded archive
_RETRYABLE = frozenset({408, 425, 429})  # the statuses from 400 to 499 for which a retry can succeed


class _InterruptedTransferError(Exception):
    """An attempt that ended early and may be retried."""


class _UnreachableError(_InterruptedTransferError):
    """An attempt that could not connect."""


def fetch_ravdess(
    to: Path | None = None,
    *,
    url: str = RAVDESS_URL,
    md5: str = RAVDESS_MD5,
    size: int = RAVDESS_SIZE,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download, verify and unpack RAVDESS's speech recordings.

    The received bytes are kept in a `.part` file next to the folder, and the next attempt or call resumes there. The
    folder is created only after the archive's hash is verified and all of it is unpacked.

    Args:
        to: the folder to create; None for the user's cache.
        url: the archive's address.
        md5: the archive's MD5, in hexadecimal digits.
        size: size of the archive, in bytes.
        on_progress: called with (bytes received, bytes in total).

    Returns:
        the folder; immediately if it already contains recordings.

    Raises:
        HashMismatchError: if the received bytes differ from the published archive; they are removed, and nothing is
            unpacked.
        DownloadError: if the archive cannot be downloaded, stored or unpacked.
        MissingExtraError: if pooch or requests is not installed.
    """
    try:
        import pooch
        import requests  # noqa: F401 - a dependency of pooch, imported here to report that it is missing
    except ImportError:
        raise MissingExtraError("Downloading a corpus", "train") from None
    folder = to or find_corpus("ravdess") or corpus_dir("ravdess")
    part = folder.with_name(f"{folder.name}.zip.part")
    try:
        if folder.exists():
            if next(ravdess.find_recordings(folder), None):
                part.unlink(missing_ok=True)  # left by a download that was killed after unpacking
                return folder
            if not folder.is_dir() or any(folder.iterdir()):
                raise DownloadError(f"{folder} contains other files. Give a new or empty folder with --to.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _require_space(folder.parent, round(size * (1 + _UNPACKED_RATIO)) - _size_of(part))
        _transfer(url, part, size, on_progress)
        found = pooch.file_hash(str(part), alg="md5")
        if found != md5:
            part.unlink()
            raise HashMismatchError(
                f"The archive from {url} has the MD5 {found}, not {md5}: it was removed, and nothing was unpacked. "
                "Run the command again; if that does not help, a proxy or filter in your network alters downloads."
            )
        _unpack(part, folder)
        part.unlink()
    except OSError as error:
        raise DownloadError(
            f"RAVDESS cannot be stored in {folder}: {error.strerror or error}. "
            "Free some space there, or choose another folder with --to."
        ) from error
    return folder


def _transfer(url: str, part: Path, size: int, on_progress: OnProgress | None) -> None:
    """Download until `part` has `size` bytes, and retry as long as attempts make progress."""
    # pooch starts every transfer from the first byte (its HTTPDownloader sends no Range), so a lost connection would
    # discard up to 200 MB.
    furthest, n_failed = _size_of(part), 0
    for n_before in itertools.count():
        if _size_of(part) > size:
            part.unlink()  # left by another archive, or written by two processes at once
        if _size_of(part) == size:
            return
        try:
            _request_rest(url, part, size, on_progress)
        except _InterruptedTransferError as error:
            if isinstance(error, _UnreachableError) and n_before == 0:
                # Without a network retries are pointless. A connection lost during the transfer is retried.
                host = urllib.parse.urlsplit(url).hostname
                raise DownloadError(f"No connection to {host}. Check the network and run the command again.") from None
            if _size_of(part) > furthest:
                furthest, n_failed = _size_of(part), 0
            if n_failed == len(_PAUSES_S):
                raise DownloadError(
                    f"The transfer from {url} was interrupted {n_failed + 1} times at {_size_of(part):,} of {size:,} "
                    f"bytes ({error}). Run the command again later: it resumes there."
                ) from None
            time.sleep(_PAUSES_S[n_failed])
            n_failed += 1


def _request_rest(url: str, part: Path, size: int, on_progress: OnProgress | None) -> None:
    import requests

    n_here = _size_of(part)
    headers = {"Accept-Encoding": "identity"}
    if n_here:
        headers["Range"] = f"bytes={n_here}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            resumes = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {n_here}-"
            )
            _check_status(response, part, resumes)
            if not resumes:
                n_here = 0  # the server does not support ranges and sends the whole archive
            with part.open("ab" if resumes else "wb") as file:
                for chunk in response.iter_content(_CHUNK):
                    # A longer answer is not the archive, and the hash will differ.
                    n_here += file.write(chunk[: size - n_here])
                    if on_progress is not None:
                        on_progress(n_here, size)
                    if n_here == size:
                        return
    except requests.RequestException as error:
        # requests wraps urllib3's errors, whose text contains memory addresses; the type is informative enough.
        kind = _UnreachableError if _is_unreachable(error) else _InterruptedTransferError
        raise kind(type(error).__name__) from None
    raise _InterruptedTransferError("the server closed the connection")


def _check_status(response: requests.Response, part: Path, resumes: bool) -> None:
    status = response.status_code
    if resumes or status == 200:
        return
    if status in (206, 416):
        part.unlink(missing_ok=True)  # not the requested range, or none: only a restart helps
    elif 400 <= status < 500 and status not in _RETRYABLE:
        raise DownloadError(
            f"{response.url} returned {status} {response.reason}. Check whether the archive has moved, "
            "or download it by hand and unpack it into $EMOCATCHER_CORPORA/ravdess."
        )
    raise _InterruptedTransferError(f"the server returned {status} {response.reason}")


def _is_unreachable(error: requests.RequestException) -> bool:
    """Whether no connection was established: no network, no such host, or no server listening."""
    import requests
    import urllib3

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, (requests.exceptions.ProxyError, requests.exceptions.ConnectTimeout)) or isinstance(
        reason, urllib3.exceptions.NewConnectionError
    )


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file, staged(folder) as staging:
            members = file.infolist()
            for member in members:
                _require_inside(member, staging)
            _require_space(folder.parent, sum(member.file_size for member in members))
            for member in members:
                file.extract(member, staging)
    # zipfile raises NotImplementedError for an unsupported compression, RuntimeError for a password-protected archive.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DownloadError(f"{archive} cannot be unpacked: {error}. Remove it and run the command again.") from None


def _require_inside(member: zipfile.ZipInfo, folder: Path) -> None:
    # ZipFile.extract would silently sanitise such names; an archive that has them is not RAVDESS.
    name = member.filename.replace("\\", "/")
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or ":" in name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise DownloadError(
            f"The archive contains '{member.filename}', which lies outside its folder: it was not unpacked. "
            "Check the archive's address."
        )


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise DownloadError(
            f"{folder} has {free / 1e6:,.0f} MB of free space, but {n_bytes / 1e6:,.0f} MB are needed. "
            "Free some space, or choose another folder with --to."
        )
