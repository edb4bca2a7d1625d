"""Track a training with MLflow: on a server, or in a folder, which the small package `mlflow-skinny` can write too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from emocatcher.training.tracking.messages import Finish, Start, Values

_EXPERIMENT = "emocatcher"
_MOST_SETTINGS = 100  # that the server takes at once
_LONGEST = 500  # characters of a setting, in old servers
_FOLDER = "mlruns"
# Nothing is sent but to the server that was named; what does not answer is tried again later, by the caller.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


class MLflowRun:
    """Writes to an MLflow store.

    Args:
        where: the address of a server or a folder; "" for MLflow's default.
    """

    def __init__(self, where: str) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if not where and find_spec("sqlalchemy") is None:
            where = _FOLDER  # the default is a database, which mlflow-skinny cannot write
        if where and ("://" not in where or where.startswith("file:")):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        self._client = MlflowClient(where or None)
        self._ids: dict[str, str] = {}

    def start(self, message: Start, known: str) -> str:
        """Begin a run in the experiment of MLFLOW_EXPERIMENT_NAME, or else "emocatcher"."""
        from mlflow.entities import Param, RunTag

        if known and message.run not in self._ids:
            self._client.update_run(known, status="RUNNING")
            self._ids[message.run] = known
        if message.run not in self._ids:
            experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT)
            self._ids[message.run] = self._client.create_run(experiment, run_name=message.name).info.run_id
        run = self._ids[message.run]
        # Also of a run that continues, because the last attempt may have ended here; the same values change nothing.
        settings = [Param(key, str(value)[:_LONGEST]) for key, value in message.settings.items()]
        for first in range(0, len(settings), _MOST_SETTINGS):
            self._client.log_batch(run, params=settings[first : first + _MOST_SETTINGS])
        if message.group:
            self._client.log_batch(run, tags=[RunTag("group", message.group)])
        return run

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if (found := self._client.get_experiment_by_name(name)) is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process, such as that of another seed, may have created it meanwhile
            if (found := self._client.get_experiment_by_name(name)) is None:
                raise
            return str(found.experiment_id)

    def values(self, message: Values) -> None:
        """Add metrics with the names of curves behind them, such as `train_loss/fold_0`."""
        named = {f"{name}/{message.curve}" if message.curve else name: one for name, one in message.values.items()}
        self._log(message.run, named, message.epoch, message.at_s)

    def finish(self, message: Finish, on_part: Callable[[], object]) -> None:
        """Add the result as metrics, pictures and files as artefacts, and end the run."""
        results = {f"result/{name}": one for name, one in message.results.items()}
        self._log(message.run, results, message.epoch, time.time())
        run = self._ids[message.run]
        for path in (*message.pictures, *message.files):
            self._client.log_artifact(run, str(path), "figures" if path in message.pictures else None)
            on_part()
        self._client.set_terminated(run)

    def flush(self) -> None:
        """Do nothing: every call waits for the answer."""

    def close(self) -> None:
        """Do nothing: a run without a result stays as running, until it is continued."""

    def _log(self, run: str, values: dict[str, float], step: int, at_s: float) -> None:
        from mlflow.entities import Metric

        points: list[Any] = [Metric(name, value, int(1000 * at_s), step) for name, value in values.items()]
        self._client.log_batch(self._ids[run], metrics=points)
