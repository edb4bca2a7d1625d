"""The command line. One module per command: parse the arguments, call the library, print the result."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `emocatcher`. Print user errors as one line on stderr and exit with code 2."""
    # On matrices this small, NumPy's threads only wait for each other. Must be set before NumPy is imported.
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
