"""The command line: thin doors that parse, call and print. One file per command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `emocatcher`; errors that a user can mend are one line on stderr, with exit code 2."""
    # NumPy's threads on matrices of this size wait for each other; must be said before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from emocatcher.cli.app import app
    from emocatcher.errors import EmoCatcherError

    try:
        app()
    except EmoCatcherError as error:
        # A file name may hold a line break or bytes that are not text; the message stays one printable line.
        text = " ".join(str(error).splitlines()).encode(errors="backslashreplace").decode()
        print(f"Error: {text}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
