"""The command line. One module per command: parse the arguments, call the library, print the result."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `emocatcher`. Print user errors as one line on stderr and exit with code 2."""
    # On matrices this small, NumPy's threads only wait for each other. Must be set before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from emocatcher.cli import streams
    from emocatcher.cli.app import app
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import EmoCatcherError, one_line

    process_setup.keep_memory()
    streams.prepare()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except EmoCatcherError as error:
        message = str(error)
    except BrokenPipeError:  # the reader, such as `head`, needs no more
        streams.discard_rest()
        raise SystemExit(1) from None
    except OSError as error:
        streams.discard_rest()
        message = streams.problem(error)
    except MemoryError:
        message = "There is not enough memory. Process less at once, or close other programs"
    print(f"Error: {one_line(message)}", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None
