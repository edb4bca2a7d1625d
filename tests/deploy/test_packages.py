"""The packages: what `pip` and `conda` are told of, and what they install."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import emocatcher
import packages

yaml = pytest.importorskip("yaml", reason="needs the extra 'exchange'")

ROOT = Path(__file__).parents[2]
FOR_DEVELOPERS = {"dev", "docs"}
CONDA_NAMES = {"pysoundfile": "soundfile", "soxr-python": "soxr"}  # of conda-forge, where it has others


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_the_extra_all_has_every_extra_for_users(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    (named,) = (re.fullmatch(r"emocatcher\[(.+)\]", line)[1] for line in extras["all"])
    assert named.split(",") == sorted(extras.keys() - FOR_DEVELOPERS - {"all"})


def test_the_documentation_explains_every_extra_for_users(project: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, flags=re.MULTILINE)
    explained = re.findall(r"`(\w+)`", " ".join(first_cells))
    assert sorted(explained) == sorted(project["optional-dependencies"].keys() - FOR_DEVELOPERS)


def test_the_conda_recipe_needs_what_pip_installs(project: dict[str, Any]) -> None:
    template = (ROOT / "deploy" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    (version,) = re.findall(r'set version = "(.+)"', template)
    recipe = yaml.safe_load(
        re.sub(r"{%.*%}", "", template).replace("{{ version }}", version).replace("{{ PYTHON }}", "python")
    )
    assert recipe["package"] == {"name": project["name"], "version": emocatcher.__version__}
    needed = dict(line.split(" ") for line in recipe["requirements"]["run"])
    assert needed.pop("python") == project["requires-python"]
    found = {CONDA_NAMES.get(name, name): versions for name, versions in needed.items()}
    assert found == dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in project["dependencies"])
    assert "hatchling >=1.27" in recipe["requirements"]["host"]
    assert recipe["build"]["entry_points"] == [f"emocatcher = {project['scripts']['emocatcher']}"]
    assert [recipe["about"][name] for name in ("summary", "license", "license_file")] == [
        project["description"], project["license"], project["license-files"],
    ]  # fmt: skip


def test_a_command_that_fails_ends_the_check_with_its_output() -> None:
    with pytest.raises(SystemExit, match=r"exit\('broken'\)\nbroken\n"):
        packages.run(sys.executable, "-c", "exit('broken')")


@pytest.mark.index
def test_the_wheel_and_the_source_archive_install_the_same_and_recognise(tmp_path: Path) -> None:
    lines = packages.check(tmp_path)
    assert len([line for line in lines if "PASSED" in line]) == 2, lines
    assert len([line for line in lines if line.endswith("recognised a recording")]) == 2, lines
