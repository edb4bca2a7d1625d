"""The command line: thin doors that parse, call and print. One file per command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `emocatcher`; errors that a user can mend are one line on stderr, with exit code 2."""
    # NumPy's threads on matrices of this size wait for each other; must be said before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from emocatcher.cli import screen
    from emocatcher.cli.app import app
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import EmoCatcherError

    process_setup.keep_memory()
    try:
        app()
    except EmoCatcherError as error:
        print(f"Error: {screen.one_line(error)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
