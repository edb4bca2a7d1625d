"""The command that adds an extra to this installation."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this package from where this copy came from.

    A copy of a source folder, an archive or a repository cannot be found by its name at a package index. Where the
    origin is not known or no longer there, the command names the packages of the extra themselves.

    Args:
        extra: for example "batch".
    """
    pip = _pip()
    try:
        package = metadata.distribution("emocatcher")
    except metadata.PackageNotFoundError:
        return f"{pip} install 'emocatcher[{extra}]'"
    if (package.read_text("INSTALLER") or "").strip() == "uv":
        pip = "uv pip"
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if not origin:
        return f"{pip} install 'emocatcher[{extra}]'"
    if found := _requirement(origin, extra):
        return f"{pip} install {found}"
    return f"{pip} install {' '.join(shlex.quote(name) for name in _packages(package.requires or [], extra))}"


def _pip() -> str:
    """Return `pip` if that is the one of this Python, else the one of this Python by its path."""
    found = shutil.which("pip")
    is_ours = found is not None and Path(found).parent == Path(sys.executable).parent
    return "pip" if is_ours else f"{shlex.quote(sys.executable)} -m pip"


def _requirement(origin: dict[str, Any], extra: str) -> str:
    """Return the requirement that names this origin (PEP 610); "" if it is no longer there."""
    url = str(origin.get("url", ""))
    name = f"emocatcher[{extra}]"
    if vcs := origin.get("vcs_info"):
        revision = vcs.get("requested_revision") or vcs.get("commit_id")
        return shlex.quote(f"{name} @ {vcs.get('vcs', 'git')}+{url}" + (f"@{revision}" if revision else ""))
    if urlsplit(url).scheme != "file":
        return shlex.quote(f"{name} @ {url}")
    path = Path(url2pathname(unquote(urlsplit(url).path)))
    if not path.exists():
        return ""
    if "dir_info" in origin:
        # PyTorch's version is pinned there; an unpinned one may download gigabytes of CUDA.
        pinned = path / "constraints.txt"
        pins = f"-c {shlex.quote(str(pinned))} " if extra == "train" and pinned.exists() else ""
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return pins + editable + shlex.quote(f"{path}[{extra}]")
    return shlex.quote(f"{name} @ {url}")


def _packages(requirements: list[str], extra: str) -> list[str]:
    """Return the requirements of one extra, without their markers."""
    wanted = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    return [line.partition(";")[0].strip() for line in requirements if wanted.search(line)]
