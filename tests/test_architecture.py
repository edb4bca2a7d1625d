"""The house rules of DESIGN, held by reading the source: who may import whom, how large a room is, what is light."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import emocatcher

SOURCE = Path(emocatcher.__file__).parent
MOST_LINES = 320

# DESIGN's table, each of its rows cut so fine that a module imports only from lines above its own: never from its own
# line, never from below. A package is one room; inside it, its modules may import each other, but not in circles.
ROWS = (
    # 0 facts
    ("errors", "labels"),
    ("bootstrap", "prediction", "settings"),
    ("config",),
    # 1 leaves
    ("audio", "executor", "machine", "mel", "metrics", "pitch", "result", "selective", "significance"),
    ("softmax", "storage", "vad"),
    ("calibration", "faithfulness"),
    ("corpora",),
    # 2
    ("convolution", "features", "loss", "optimiser", "padding", "protocols", "recurrent", "schedule", "silero"),
    ("emotion_network",),
    ("augment", "model", "networks", "residual", "speech"),
    ("conditions",),
    ("cautions",),
    # 3
    ("audit", "bundle", "dataset", "timeline", "workers"),
    ("hub", "pool"),
    # 4
    ("distillation", "export", "inference"),
    ("train",),
    ("convert", "fold"),
    # 5
    ("batch", "evaluation", "report", "run_writer", "schema", "summary"),
    ("experiment",),
    # 6
    ("comparison", "finalise", "sweep"),
    # 7
    ("client", "server"),
    ("cli",),
    ("__main__",),
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}

# Never loaded by what runs on the user's machine, nor needed to open the package, the recogniser or the command line.
HEAVY = {"jinja2", "librosa", "matplotlib", "onnx", "pandas", "pooch", "pyarrow", "pytorch_optimizer", "requests"}
HEAVY |= {"scipy", "sklearn", "torch"}
INFERENCE = ("audio", "bundle", "config", "dataset", "errors", "features", "inference", "labels", "storage", "vad")
MODULES = {
    ".".join(("emocatcher", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imports_of(module: str, *, at_the_top_only: bool = False) -> frozenset[str]:
    """Everything a module's text imports, as full module names; types-only imports count as well."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if at_the_top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, in line {node.lineno}"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from emocatcher import audio` is of a module, `from emocatcher.audio import load` of a name in one.
            modules = names & MODULES.keys()
            found |= modules | ({node.module} if names - modules else set())
    return frozenset(found)


def ours(names) -> set[str]:
    return {name for name in names if name in MODULES}


def test_the_reader_sees_every_kind_of_import():
    assert {"emocatcher.audio", "emocatcher.vad", "emocatcher.config", "numpy"} <= imports_of("emocatcher.features")
    assert "av" in imports_of("emocatcher.audio.decoding") - imports_of(
        "emocatcher.audio.decoding", at_the_top_only=True
    )


def test_every_module_has_a_place_in_the_table():
    rooms = {room_of(module) for module in MODULES} - {"__init__"}
    assert rooms == ROW.keys(), "a module is missing from ROWS, or ROWS names one that is gone"
    assert len(ROW) == sum(map(len, ROWS))


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"emocatcher"}))
def test_a_module_imports_only_from_rows_above_its_own(module):
    room = room_of(module)
    for other in ours(imports_of(module)) - {"emocatcher"}:  # the top holds the version only
        above = ROW[room_of(other)] < ROW[room]
        assert above or room_of(other) == room, f"{module} imports {other}, which is not above it"


def test_the_top_reaches_inference_and_nothing_else():
    assert {room_of(name) for name in ours(imports_of("emocatcher"))} == {"inference", "prediction"}


def test_there_are_no_circles():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for other in sorted(ours(imports_of(module, at_the_top_only=True)) - {"emocatcher", module}):
                visit(other)
            done.add(path.pop())

    for module in sorted(MODULES):
        visit(module)


@pytest.mark.parametrize("name", INFERENCE)
def test_inference_never_reaches_training(name):
    """Through any chain of imports, also those inside functions."""
    reached, waiting = set(), [f"emocatcher.{name}"]
    while waiting:
        module = waiting.pop()
        reached.add(module)
        # Who imports a package's module opens the package too.
        packages = {other.rpartition(".")[0] for other in ours(imports_of(module))}
        waiting += (ours(imports_of(module)) | packages) - reached - {"emocatcher", ""}
    rooms = {room_of(module) for module in reached}
    assert not rooms & {"train", "fold", "model", "experiment", "export", "convert", "evaluation", "report", "cli"}
    outside = {imported.split(".")[0] for module in reached for imported in imports_of(module)}
    assert not outside & {"torch", "sklearn", "librosa", "scipy", "pandas", "matplotlib", "onnx"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_told_in_its_docstring_and_is_easy_to_hold_in_the_head(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{module} has no docstring"
    assert text.count("\n") < MOST_LINES, f"{module} is long: it usually has two subjects then"
    assert not set(module.split(".")) & {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("module", ["emocatcher", "emocatcher.inference", "emocatcher.cli.app", "emocatcher.corpora"])
def test_opening_the_package_is_light(module):
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(SOURCE.parent)},
    )
    assert run.returncode == 0, run.stderr
    assert "emocatcher" in run.stdout.split()
    assert not HEAVY & set(run.stdout.split())


def test_the_public_names_are_there():
    assert all(getattr(emocatcher, name) is not None for name in emocatcher.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        emocatcher.no_such_name  # noqa: B018
