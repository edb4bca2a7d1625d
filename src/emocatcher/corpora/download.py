"""Fetch RAVDESS: a transfer that resumes, a hash before anything is unpacked, and a folder that appears whole."""

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
from emocatcher.errors import DownloadError, HashMismatchError, MissingExtraError

if TYPE_CHECKING:
    import requests

RAVDESS_URL = "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1"
RAVDESS_MD5 = "bc696df654c87fed845eb13823edef8a"
RAVDESS_SIZE = 208_468_073  # bytes

OnProgress = Callable[[int, int], None]

_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # before each further attempt, while none brings the transfer forward
_TIMEOUT_S = (10.0, 30.0)  # to connect, and between two arrivals of data
_CHUNK = 1 << 14  # bytes; what of a chunk has come when a transfer breaks is lost
_UNPACKED_RATIO = 2.6  # of the published archive; the exact figure is known once it is here
_GOOD_LATER = frozenset({408, 425, 429})  # of 400 to 499: the statuses that a second attempt can mend


class _BrokenTransferError(Exception):
    """An attempt that ended early, and may be followed by another."""


class _UnreachableError(_BrokenTransferError):
    """An attempt for which no connection came about."""


def fetch_ravdess(
    to: Path | None = None,
    *,
    url: str = RAVDESS_URL,
    md5: str = RAVDESS_MD5,
    size: int = RAVDESS_SIZE,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download, verify and unpack RAVDESS's speech recordings.

    What has arrived stays in a `.part` file beside the folder, and the next attempt, or the next call, goes on from
    there. The folder appears only when the archive's hash is right and all of it is unpacked.

    Args:
        to: the folder to make; None for the user's cache.
        url: where the archive is.
        md5: the archive's MD5, in hexadecimal digits.
        size: of the archive, in bytes.
        on_progress: called with (bytes here, bytes in all).

    Returns:
        the folder; at once, if recordings are there already.

    Raises:
        HashMismatchError: if other bytes came than the published ones; they are removed, and nothing is unpacked.
        DownloadError: if the archive cannot be had, stored or unpacked.
        MissingExtraError: if pooch or requests is not installed.
    """
    try:
        import pooch
        import requests  # noqa: F401 - it comes with pooch; this is the place to say that it is missing
    except ImportError:
        raise MissingExtraError("downloading a corpus", "train") from None
    folder = to or find_corpus("ravdess") or corpus_dir("ravdess")
    part = folder.with_name(f"{folder.name}.zip.part")
    try:
        if folder.exists():
            if next(ravdess.find_recordings(folder), None):
                part.unlink(missing_ok=True)  # of a fetch that was killed with its work done
                return folder
            if not folder.is_dir() or any(folder.iterdir()):
                raise DownloadError(f"{folder} holds other things. Give a new or empty folder with --to.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _require_space(folder.parent, round(size * (1 + _UNPACKED_RATIO)) - _size_of(part))
        _transfer(url, part, size, on_progress)
        found = pooch.file_hash(str(part), alg="md5")
        if found != md5:
            part.unlink()
            raise HashMismatchError(
                f"The archive from {url} has the MD5 {found}, not {md5}: it was removed, and nothing was unpacked. "
                "Run the command again; if that does not help, something on the way alters downloads."
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
    """Bring `part` to `size` bytes, by as many attempts as bring it forward."""
    # Our own loop, because pooch starts every transfer from the first byte (its HTTPDownloader sends no Range) and
    # would throw away 200 MB for a lost connection.
    furthest, n_vain = _size_of(part), 0
    for n_before in itertools.count():
        if _size_of(part) > size:
            part.unlink()  # of another archive, or of two processes at once
        if _size_of(part) == size:
            return
        try:
            _attempt(url, part, size, on_progress)
        except _BrokenTransferError as error:
            if isinstance(error, _UnreachableError) and n_before == 0:
                # Pauses would only delay the news. A network that was there and went is waited for.
                host = urllib.parse.urlsplit(url).hostname
                raise DownloadError(f"No connection to {host}. Connect to a network and run it again.") from None
            if _size_of(part) > furthest:
                furthest, n_vain = _size_of(part), 0
            if n_vain == len(_PAUSES_S):
                raise DownloadError(
                    f"{url} broke off {n_vain + 1} times at {_size_of(part):,} of {size:,} bytes ({error}). "
                    "Run the command again later: it goes on from there."
                ) from None
            time.sleep(_PAUSES_S[n_vain])
            n_vain += 1


def _attempt(url: str, part: Path, size: int, on_progress: OnProgress | None) -> None:
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
            _require_content(response, part, resumes)
            if not resumes:
                n_here = 0  # the server knows no ranges and sends all of it
            with part.open("ab" if resumes else "wb") as file:
                for chunk in response.iter_content(_CHUNK):
                    # What is longer than the archive is not the archive: the hash will say so.
                    n_here += file.write(chunk[: size - n_here])
                    if on_progress is not None:
                        on_progress(n_here, size)
                    if n_here == size:
                        return
    except requests.RequestException as error:
        # requests wraps urllib3's errors, whose text names objects at addresses; the kind says enough.
        kind = _UnreachableError if _is_unreachable(error) else _BrokenTransferError
        raise kind(type(error).__name__) from None
    raise _BrokenTransferError("the server closed the connection")


def _require_content(response: requests.Response, part: Path, resumes: bool) -> None:
    status = response.status_code
    if resumes or status == 200:
        return
    if status in (206, 416):
        part.unlink(missing_ok=True)  # another range than was asked for, or none: only a fresh start helps
    elif 400 <= status < 500 and status not in _GOOD_LATER:
        raise DownloadError(
            f"{response.url} answers {status} {response.reason}. Look whether the archive has moved, "
            "or download it by hand and unpack it into $EMOCATCHER_CORPORA/ravdess."
        )
    raise _BrokenTransferError(f"it answers {status} {response.reason}")


def _is_unreachable(error: requests.RequestException) -> bool:
    """Whether no connection came about at all: no network, no such host, nobody listening."""
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
    # NotImplementedError is zipfile's word for a compression it lacks, RuntimeError for an archive under a password.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DownloadError(f"{archive} cannot be unpacked: {error}. Remove it and run the command again.") from None


def _require_inside(member: zipfile.ZipInfo, folder: Path) -> None:
    # ZipFile.extract would mend such names silently; an archive that has them is not RAVDESS.
    name = member.filename.replace("\\", "/")
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or ":" in name or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise DownloadError(f"The archive holds '{member.filename}', which lies outside its folder: not unpacked.")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise DownloadError(
            f"{folder} has {free / 1e6:,.0f} MB free and {n_bytes / 1e6:,.0f} MB are needed. "
            "Free some space, or choose another folder with --to."
        )
