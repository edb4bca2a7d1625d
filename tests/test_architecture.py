"""The rules of the house, checked on the source: who may import whom, how large a module is, what stays light."""

import ast
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import emocatcher

SOURCE = Path(emocatcher.__file__).parent
MOST_LINES = 320
MOST_ENTRIES = 17

# In the order in which data passes through them. A module imports from its own room and from rows above it, never from
# its own row's neighbour and never from below.
ROWS = (
    ("foundation",),
    ("audio",),
    ("corpora", "features"),
    ("evaluation",),
    ("models",),
    ("recognition",),
    ("reports",),
    ("training",),
    ("client", "distributed", "integrations", "server"),
    ("cli",),
    ("__main__",),
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}
# The same inside the rooms that have rooms of their own; a module that is named nowhere stands in the last row.
ROWS_INSIDE = {
    "evaluation": (("scoring",), ("protocols",), ("audit",)),
    "models": (("model_folder",),),
    "recognition": (
        ("prediction",),
        ("cautions", "parallel"),
        ("failures",),
        ("timeline",),
        ("each_channel", "settling", "utterance"),
        ("embedding",),
        ("speakers",),
        ("recognizer",),
    ),
    "reports": (("run_report",), ("comparison", "matrix", "table_report")),
}
# Modules that share a name because they are the same thing in two rooms.
SAME_NAMES = {
    "app": "the command line's and the server's application",
    "cabg": "a network in PyTorch, and its ONNX twin",
    "encoder": "a network in PyTorch, and its ONNX twin",
    "residual": "a network in PyTorch, and its ONNX twin",
    "voiced_span": "the detector in NumPy, and its ONNX twin",
    "engine": "the loop of a batch, a timeline and a sweep",
    "reliability": "the reliability diagram of one run, and of several",
    "tables": "the tables of one run, and of several",
}

# Never loaded by recognition, nor by opening the package or the command line.
HEAVY = {"jinja2", "librosa", "matplotlib", "onnx", "pandas", "pooch", "pyarrow", "pytorch_optimizer", "requests"}
HEAVY |= {
    "aiohttp",
    "botocore",
    "fsspec",
    "mlflow",
    "pyspark",
    "ray",
    "s3fs",
    "scipy",
    "sklearn",
    "tensorboard",
    "torch",
}
HEAVY |= {"audformat", "datasets", "huggingface_hub", "livekit", "pipecat", "trackio", "yaml"}
TRAINING_ONLY = (
    "emocatcher.models.networks.",
    "emocatcher.models.onnx_graphs",
    "emocatcher.models.published_checkpoint",
    "emocatcher.training",
    "emocatcher.reports",
    "emocatcher.cli.",
)
MODULES = {
    ".".join(("emocatcher", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def row_inside(module: str) -> int:
    rows = ROWS_INSIDE.get(room_of(module), ())
    name = (*module.split("."), "")[2]
    return next((number for number, names in enumerate(rows) if name in names), len(rows))


@cache
def imports_of(module: str, *, at_the_top_only: bool = False) -> frozenset[str]:
    """Everything that a module's text imports, as full module names; type-only imports count too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if at_the_top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, in line {node.lineno}"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from emocatcher import audio` imports a module, `from emocatcher.audio import load` a name from one.
            modules = names & MODULES.keys()
            found |= modules | ({node.module} if names - modules else set())
    return frozenset(found)


def ours(names) -> set[str]:
    return {name for name in names if name in MODULES}


def test_imports_of_finds_every_kind_of_import():
    imports = imports_of("emocatcher.features.extraction")
    assert {"emocatcher.audio", "emocatcher.features.voiced_span", "emocatcher.foundation.settings", "numpy"} <= imports
    assert "av" in imports_of("emocatcher.audio.containers") - imports_of(
        "emocatcher.audio.containers", at_the_top_only=True
    )


def test_the_top_of_the_house_has_few_entries():
    entries = [entry.name for entry in SOURCE.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, f"{len(entries)} entries at the top of src/emocatcher: {sorted(entries)}"


def test_every_room_has_a_row():
    rooms = {room_of(module) for module in MODULES} - {"__init__"}
    assert rooms == ROW.keys(), "a room is missing from ROWS, or ROWS names one that is gone"
    assert len(ROW) == sum(map(len, ROWS))
    inside = {f"emocatcher.{room}.{name}" for room, rows in ROWS_INSIDE.items() for row in rows for name in row}
    assert inside <= MODULES.keys(), f"ROWS_INSIDE names what is gone: {inside - MODULES.keys()}"


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"emocatcher"}))
def test_imports_point_to_rows_above(module):
    room = room_of(module)
    for other in ours(imports_of(module)) - {"emocatcher"}:  # the top has the version and the public names
        if room_of(other) == room:
            same_place = module.split(".")[:3] == other.split(".")[:3]
            last = row_inside(other) == row_inside(module) == len(ROWS_INSIDE.get(room, ()))
            above = same_place or last or row_inside(other) < row_inside(module)
        else:
            above = ROW[room_of(other)] < ROW[room]
        assert above, f"{module} imports {other}, which is not above it"


def test_there_are_no_circular_imports():
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


def test_no_two_modules_share_a_name_for_different_things():
    stems = Counter(path.stem for path in MODULES.values() if path.stem not in {"__init__", "__main__"})
    commands = {path.stem for path in MODULES.values() if path.parent.name == "cli"}  # named after what they call
    shared = {stem for stem, n in stems.items() if n > 1} - commands
    assert shared == SAME_NAMES.keys() - commands


@pytest.mark.parametrize("name", ["recognition.recognizer", "recognition.batch", "models.hub", "client"])
def test_recognition_never_reaches_training(name):
    """Through any chain of imports, also those inside functions."""
    reached, waiting = set(), [f"emocatcher.{name}"]
    while waiting:
        module = waiting.pop()
        reached.add(module)
        # Importing a package's module runs the package too.
        packages = {other.rpartition(".")[0] for other in ours(imports_of(module))}
        waiting += (ours(imports_of(module)) | packages) - reached - {"emocatcher", ""}
    assert not {module for module in reached if module.startswith(TRAINING_ONLY)}
    outside = {imported.split(".")[0] for module in reached for imported in imports_of(module)}
    assert not outside & {"torch", "sklearn", "librosa", "scipy", "pandas", "matplotlib", "onnx"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_has_a_docstring_and_one_subject(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{module} has no docstring"
    assert text.count("\n") < MOST_LINES, f"{module} is long: it usually has two subjects then"
    assert not set(module.split(".")) & {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize(
    "module", ["emocatcher", "emocatcher.recognition.recognizer", "emocatcher.cli.app", "emocatcher.corpora"]
)
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


def test_every_public_name_is_importable_from_the_top():
    assert all(getattr(emocatcher, name) is not None for name in emocatcher.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        emocatcher.no_such_name  # noqa: B018
