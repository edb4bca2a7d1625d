"""Keep all temporary files of a server in one folder, and remove the folders that killed servers left behind."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from emocatcher.foundation.errors import SettingError

_PREFIX = "emocatcher-serve-"
_LOCK = "lock"  # a file that is locked as long as its server runs
_SOCKETS = "sockets"  # a link to the folder of `multiprocessing`, whose sockets' paths must be shorter than in this one
# Of the temporary folder's path, so that 32 bytes are left for multiprocessing's part of a socket's path (unix(7)).
_LONGEST_ROOT = 107 - 32


class TemporaryFolder:
    """A folder that only this user can read, removed when this process ends.

    Raises:
        SettingError: if it cannot be made.
    """

    def __init__(self) -> None:
        root = tempfile.gettempdir()
        if (n_bytes := len(os.fsencode(root))) > _LONGEST_ROOT:
            raise SettingError(
                f"The temporary folder's path has {n_bytes} bytes, which is too long for sockets: {root}. Set TMPDIR "
                f"to one of at most {_LONGEST_ROOT}"
            )
        try:
            self.path = tempfile.mkdtemp(prefix=_PREFIX, dir=root)
            lock = Path(self.path, _LOCK)
            self._lock = os.open(lock.with_suffix(".new"), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            lock.with_suffix(".new").rename(lock)  # only now, because others remove a folder with a free lock
        except OSError as error:
            reason = f"No temporary folder can be made: {error.strerror or error}"
            raise SettingError(f"{reason}. Free some space, or set TMPDIR to another folder") from error
        atexit.register(self.remove)
        _remove_left(Path(root))

    def link(self, sockets: str) -> None:
        """Note the folder of `multiprocessing`, which removes it only if this process is not killed."""
        Path(self.path, _SOCKETS).symlink_to(sockets)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def remove_all(path: str | Path) -> None:
    """Delete the temporary folder of a server that has ended, and that of `multiprocessing`."""
    with contextlib.suppress(OSError):
        shutil.rmtree(Path(path, _SOCKETS).readlink())
    shutil.rmtree(path, ignore_errors=True)


def _remove_left(root: Path) -> None:
    for lock in root.glob(f"{_PREFIX}*/{_LOCK}"):
        if not _is_ours(lock.parent):
            continue
        with contextlib.suppress(OSError):  # it is just being removed
            file = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises BlockingIOError while its server runs
                remove_all(lock.parent)
            finally:
                os.close(file)


def _is_ours(folder: Path) -> bool:
    """Whether only this user can have written in a folder: a link in another one could name any folder of this user."""
    with contextlib.suppress(OSError):
        status = folder.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return False
