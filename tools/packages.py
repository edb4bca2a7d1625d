"""Build the wheel and the source archive, check them, and install each: `make packages`.

`twine check` reads what a package index would show. Then a new environment gets the wheel with the packages that it
names, and recognises a recording; then the source archive in its place, which must install the same files.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
_RATE = 16_000
# What an installer writes about itself, and when.
_OF_THE_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def run(*words: object, variables: dict[str, str] | None = None) -> str:
    """Run a command; return what it printed.

    Raises:
        SystemExit: if it fails, with its output.
    """
    # A checkout in PYTHONPATH would be used instead of what is installed.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | (variables or {})
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, env=own)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path, checkout: Path = ROOT) -> tuple[Path, Path]:
    """Build the wheel and the source archive; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]:
        left.unlink()
    building = f"import os; os.chdir({str(checkout)!r}); from hatchling.cli import hatchling; hatchling()"
    run(sys.executable, "-c", building, "build", "--directory", folder.resolve())
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, archive


def check_description(packages: Iterable[Path], folder: Path) -> str:
    """Run `twine check` on the packages; return what it printed.

    Args:
        packages: wheels and source archives.
        folder: for twine, which no environment needs to have.
    """
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder)
    run(*pip, "twine>=6")
    return run(sys.executable, "-m", "twine", "check", "--strict", *packages, variables={"PYTHONPATH": str(folder)})


def files_of(wheel: Path) -> dict[str, str]:
    """The files of a wheel, and the hash of each."""
    with zipfile.ZipFile(wheel) as opened:
        (record,) = (name for name in opened.namelist() if name.endswith(".dist-info/RECORD"))
        return _listed(opened.read(record).decode())


def install(package: Path, environment: Path, *options: str) -> dict[str, str]:
    """Install a package into a new or given environment, and recognise a recording; return its files and their hashes.

    Raises:
        SystemExit: if it cannot be installed, or does not recognise.
    """
    python = environment / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", "--without-pip", environment)
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    run(*pip, *options, package)
    times_s = np.arange(2 * _RATE) / _RATE
    recording = environment / "tone.wav"
    soundfile.write(recording, 0.3 * np.sin(2 * np.pi * 220 * times_s), _RATE)
    run(environment / "bin" / "emocatcher", "predict", recording, "--format", "json")
    place = "from importlib import metadata as m; print(m.distribution('emocatcher').read_text('RECORD'))"
    files = _listed(run(python, "-c", place))
    return {name: value for name, value in files.items() if not name.startswith("..")}  # not the command's script


def _listed(record: str) -> dict[str, str]:
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(record)) if row}
    return {
        name: value
        for name, value in rows.items()
        if not name.endswith(_OF_THE_INSTALLER) and "__pycache__" not in name
    }


def check(folder: Path, checkout: Path = ROOT) -> list[str]:
    """Build and check the packages; return what was found, a line each.

    Args:
        folder: where the packages are written.
        checkout: of the project.

    Raises:
        SystemExit: at the first fault.
    """
    packages = build(folder, checkout)
    lines = [f"{path.name}: {path.stat().st_size / 1e6:.1f} MB" for path in packages]
    with tempfile.TemporaryDirectory() as temporary:
        lines += check_description(packages, Path(temporary, "twine")).splitlines()
        expected = files_of(packages[0])
        for package, options in zip(packages, ((), ("--no-deps", "--force-reinstall")), strict=True):
            found = install(package, Path(temporary, "environment"), *options)
            differ = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            if differ:
                raise SystemExit(f"{package.name} installs other files than the wheel: {', '.join(differ[:9])}")
            lines.append(f"{package.name}: installed, {len(found)} files, and recognised a recording")
    return lines


if __name__ == "__main__":
    for line in check(Path(sys.argv[1])):
        print(line)
