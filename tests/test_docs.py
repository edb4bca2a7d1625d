"""The documents are correct: their commands and flags exist, their links lead somewhere, their Python runs."""

import re
import shlex
from pathlib import Path

import pytest

import source_map
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import presets

ROOT = Path(__file__).parents[1]
PATHS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
PLACES = (ROOT, ROOT / "src" / "emocatcher", ROOT / "web" / "src")
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}


def _blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for found, block in fenced if found == language]


def _commands() -> list[list[str]]:
    lines = "\n".join(block for text in TEXTS.values() for block in _blocks(text, "")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("emocatcher ")]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_in_the_documents_is_one_that_parses(words: list[str]) -> None:
    import typer

    from emocatcher.cli.app import app

    group = typer.main.get_command(app)
    command = group.get_command(None, words[1])
    assert command is not None, f"no such command: {words[1]}"
    context = command.make_context(words[1], words[2:], resilient_parsing=False)
    named = context.params.get("protocol")
    assert named is None or re.sub(r"\d+$", "K", named) in protocols.names() or named in protocols.names()
    assert context.params.get("preset") in (None, *presets())


def test_the_documents_show_commands() -> None:
    assert len(_commands()) >= 9


@pytest.mark.parametrize(
    "target", ["demo", "test", "test-all", "page", "test-page", "lint", "types", "format", "map", "bench", "paper"]
)
def test_every_make_target_in_the_documents_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_files_the_documents_point_to_exist() -> None:
    for path, text in zip(PATHS, TEXTS.values(), strict=True):
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (path.parent / link).exists(), f"{path.name} points to {link}"
        for folder in re.findall(r"`([a-z_]+/(?:[a-z_]+(?:/|\.py))*)`", text):
            rooms = [place for place in PLACES if (place / folder.partition("/")[0]).exists()]  # not a user's folder
            assert not rooms or any((place / folder).exists() for place in rooms), f"{path.name} names {folder}"


def test_the_map_of_the_source_is_current() -> None:
    assert TEXTS["CONTRIBUTING.md"] == source_map.with_map(TEXTS["CONTRIBUTING.md"]), "run `make map`"


def test_the_readme_is_short() -> None:
    assert TEXTS["README.md"].count("\n") < 200


def test_the_python_of_the_readme_compiles_and_names_what_is_public() -> None:
    import emocatcher

    (block,) = _blocks(TEXTS["README.md"], "python")
    compile(block, "README.md", "exec")
    for name in re.findall(r"from emocatcher import (\w+)", block):
        assert callable(getattr(emocatcher, name))


def test_the_sweep_in_the_documents_can_be_read(tmp_path: Path) -> None:
    from emocatcher.training import sweep

    (block,) = _blocks(TEXTS["docs/training.md"], "toml")
    (tmp_path / "sweep.toml").write_text(block, encoding="utf-8")
    plan = sweep.read(tmp_path / "sweep.toml")
    assert plan.file.protocol in protocols.names()
    assert [choice.name for choice in plan.choices][:2] == ["baseline", "smoother"]
    assert len(plan.choices) == 4
