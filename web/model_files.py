"""Write the model's files for the page: `python web/model_files.py DIR [MODEL]`.

Writes `model/waveform.onnx`, the graph that the browser runs, and `model/model.json`, its description. Needs the extra
`export`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import EmoCatcherError
from emocatcher.models import finding, model_folder
from emocatcher.server.model_description import describe

FOLDER, GRAPH, DESCRIPTION = "model", "waveform.onnx", "model.json"


def write(folder: Path, model: str | None = None) -> None:
    """Write the page's model.

    Args:
        folder: the built page's folder.
        model: as for `emocatcher.load`.

    Raises:
        ModelError: if the model cannot be read.
        OSError: if the folder cannot be written.
    """
    # Imports onnx, which is not needed to serve a built page.
    from emocatcher.models.onnx_graphs import as_onnx

    opened = model_folder.read(finding.find_folder(model))
    description = msgspec.json.encode(describe(opened, waveform_onnx=GRAPH))
    atomic_files.write_bytes(folder / FOLDER / GRAPH, as_onnx(opened, waveform=True))
    atomic_files.write_bytes(folder / FOLDER / DESCRIPTION, description)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python web/model_files.py", description=write.__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the built page's folder")
    parser.add_argument("model", nargs="?", help="a model folder; by default the model in the package")
    options = parser.parse_args(arguments)
    try:
        write(options.folder, options.model)
    except EmoCatcherError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        print(f"Error: {options.folder} cannot be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
