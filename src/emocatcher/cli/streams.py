"""The standard streams: closed ones, full disks, and encodings that lack characters must not end in a traceback."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys

# Each fallback is as wide as the original, because tables are laid out before they are encoded.
_FALLBACKS = {"█": "#", "■": "#", "▏": "|", "·": "-", "–": "-", "…": "~", "×": "x", "±": "~", "≤": "<", "→": ">"}  # noqa: RUF001
_FALLBACKS |= dict(zip("▁▂▃▄▅▆▇", "._-~=+*", strict=True))
_NAME = "emocatcher-fallback"


def prepare() -> None:
    """Make stdout and stderr accept every character, and replace streams that the caller closed.

    A closed stdin or stdout becomes one on which every operation fails with an `OSError`. Without it, the next file
    that is opened would get its number, and libraries in C would print into that file.
    """
    codecs.register_error(_NAME, _fall_back)
    for name, mode, flag in (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flag), mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def discard_rest() -> None:
    """Discard output that cannot be written, because the interpreter would try it again when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def problem(error: OSError) -> str:
    """Return the message for an error of the system that no command expected."""
    reason = error.strerror or type(error).__name__
    if error.errno is None:  # raised by Python, with a message of its own
        return f"The system refused: {error}. Check files, folders and free space"
    if error.filename is None:
        return f"The standard input or output cannot be used: {reason}. Open it, or redirect it to another place"
    return f"'{os.fsdecode(error.filename)}' cannot be used: {reason}. Fix that, or give another path"


def _fall_back(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    text = "".join(_FALLBACKS.get(one) or one.encode("ascii", "backslashreplace").decode() for one in missing)
    return text, error.end
