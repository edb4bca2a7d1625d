"""Where a training is tracked, and what the libraries are told of it."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from emocatcher.foundation.errors import SettingError
from emocatcher.training.tracking import mlflow_run, targets, tracker_process, trackio_project
from emocatcher.training.tracking.messages import Finish, Start
from emocatcher.training.tracking.targets import parse


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "find_spec", lambda _: True)


def test_the_address_in_a_variable_is_treated_as_one_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:geheim@host:port")
    target = parse("mlflow", tmp_path)
    assert str(target) == "MLflow at http://host:port"
    # As a library may say it.
    assert (
        tracker_process.reason_of(ValueError("Failed to parse: http://me:geheim@host:port/api"), target) == "ValueError"
    )
    assert parse("mlflow:mlruns", tmp_path).where == "mlruns"


def test_an_address_that_is_none_is_refused_and_ends_in_no_other_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not a project of Trackio"):
        parse("trackio:ftp://me:secret@[x/", tmp_path)
    assert parse("trackio:http://[::1]:7860/?write_token=1", tmp_path).kind == "trackio"
    assert parse("trackio:http://[x/", tmp_path).where == "http://[x/"


def test_trackio_sends_to_no_place_that_the_command_does_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables count more than its arguments, and with a token it asks the hub whose it is."""
    monkeypatch.setitem(sys.modules, "trackio", ModuleType("trackio"))
    names = {"TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "HF_TOKEN"}
    monkeypatch.setattr(os, "environ", {**os.environ, **dict.fromkeys(names, "secret"), "HF_HUB_OFFLINE": "0"})
    trackio_project.TrackioProject("voices")
    assert not names & set(os.environ)
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["HF_TOKEN_PATH"]) == ("1", os.devnull)


def test_mlflow_is_used_in_parts_and_beside_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment may be created by another process meanwhile, and the time limit is for one file of a result."""
    uploaded: list[tuple[str, str | None]] = []

    class MlflowException(Exception): ...  # noqa: N818 (its name)

    class Client:
        def __init__(self, _: str | None) -> None:
            self.created = False

        def get_experiment_by_name(self, _: str) -> object:
            return SimpleNamespace(experiment_id="7") if self.created else None

        def create_experiment(self, _: str) -> str:
            self.created = True
            raise MlflowException

        def create_run(self, experiment: str, run_name: str) -> object:
            return SimpleNamespace(info=SimpleNamespace(run_id=f"{run_name} in {experiment}"))

        def log_artifact(self, _: str, path: str, folder: str | None) -> None:
            uploaded.append((path, folder))

        def log_batch(self, *_: object, **__: object) -> None: ...

        def set_terminated(self, _: str) -> None: ...

    exceptions, entities, package = (ModuleType(f"mlflow{name}") for name in (".exceptions", ".entities", ""))
    vars(exceptions)["MlflowException"], vars(package)["MlflowClient"] = MlflowException, Client
    vars(entities).update(Param=None, RunTag=None, Metric=None)
    for module in (exceptions, entities, package):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    tracker = mlflow_run.MLflowRun("file:///somewhere")
    assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"
    assert tracker.start(Start(run="", name="mine"), "") == "mine in 7"
    picture, page = tmp_path / "a.png", tmp_path / "report.html"
    seen: list[int] = []
    finish = Finish(run="", epoch=1, results={}, pictures=(picture,), files=(page,))
    tracker.finish(finish, lambda: seen.append(len(uploaded)))
    assert uploaded == [(str(picture), "figures"), (str(page), None)]
    assert seen == [1, 2]
