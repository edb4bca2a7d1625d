"""A hint names a command that works for how this copy was installed."""

import importlib
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from emocatcher.foundation.installation import install_command


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package of this name, as far as its metadata goes."""

    def install(origin=None, installer="pip"):
        folder = tmp_path / "site" / "emocatcher-9.dist-info"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: emocatcher\nVersion: 9\nRequires-Dist: numpy>=2\n"
            "Requires-Dist: pyarrow>=17; extra == 'batch'\nRequires-Dist: onnx>=1; extra == 'export'\n"
        )
        (folder / "INSTALLER").write_text(f"{installer}\n")
        if origin is not None:
            (folder / "direct_url.json").write_text(json.dumps(origin))

    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    importlib.invalidate_caches()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").touch(mode=0o755)
    return install


def test_a_source_folder_is_named_by_its_path(installed, tmp_path):
    source = tmp_path / "my sources"
    source.mkdir()
    origin = {"url": source.as_uri(), "dir_info": {}}
    installed(origin)
    assert shlex.split(install_command("batch")) == ["pip", "install", f"{source}[batch]"]
    installed(origin | {"dir_info": {"editable": True}})
    assert shlex.split(install_command("batch")) == ["pip", "install", "-e", f"{source}[batch]"]
    (source / "constraints.txt").touch()
    assert shlex.split(install_command("train"))[:4] == ["pip", "install", "-c", str(source / "constraints.txt")]
    installed(origin, installer="uv")
    assert shlex.split(install_command("batch"))[:3] == ["uv", "pip", "install"]


def test_an_archive_and_a_repository_are_named_by_their_address(installed, tmp_path):
    wheel = tmp_path / "emocatcher-9-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert shlex.split(install_command("batch"))[2:] == [f"emocatcher[batch] @ {wheel.as_uri()}"]
    installed({"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "0123"}})
    assert shlex.split(install_command("batch"))[2:] == ["emocatcher[batch] @ git+https://example.org/x.git@0123"]


def test_packages_are_named_where_the_origin_is_gone(installed, tmp_path):
    installed({"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert shlex.split(install_command("batch")) == ["pip", "install", "pyarrow>=17"]


def test_a_copy_from_an_index_is_named_by_its_name(installed):
    installed()
    assert shlex.split(install_command("batch")) == ["pip", "install", "emocatcher[batch]"]


def test_the_pip_of_another_python_is_not_named(installed, tmp_path, monkeypatch):
    installed()
    monkeypatch.setenv("PATH", str(Path(__file__).parent))
    python = str(tmp_path / "bin" / "python")
    assert shlex.split(install_command("batch"))[:3] == [python, "-m", "pip"]
