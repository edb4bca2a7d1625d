"""Track a training with Trackio: in a database in the user's cache (TRACKIO_DIR), or on a server of the user's own."""

from __future__ import annotations

import contextvars
import os
import warnings
from collections.abc import Callable
from typing import Any

from emocatcher.training.tracking.messages import Finish, Start, Values
from emocatcher.training.tracking.targets import is_server

_PROJECT = "emocatcher"
# They count more than what `trackio.init` is given, and one is a place on the hub, which would be created. With the
# hub's token, it asks the hub for the user's name, also for a run that stays here.
_UNUSED = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "HF_TOKEN_PATH": os.devnull}


class TrackioProject:
    """Writes to a project of Trackio.

    Args:
        where: the project, or the address of a server; "" for the project "emocatcher".
    """

    def __init__(self, where: str) -> None:
        for name in _UNUSED:
            os.environ.pop(name, None)
        os.environ.update(_ENVIRONMENT)
        import trackio

        self._trackio, self._runs = trackio, dict[str, Any]()
        self._server = where if is_server(where) else None
        self._project = _PROJECT if self._server or not where else where

    def start(self, message: Start, known: str) -> str:
        """Begin a run, or continue the one of the same name."""
        name = known or message.name
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Trackio has one current run for each context, and a sweep has several runs at a time.
            self._runs[message.run] = contextvars.copy_context().run(
                self._trackio.init,
                project=self._project,
                name=name,
                group=message.group or None,
                server_url=self._server,
                config=dict(message.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        if self._server and caught:  # it would go on without the server
            raise ConnectionError(str(caught[0].message))
        return name

    def values(self, message: Values) -> None:
        """Add values with the names of curves behind them, such as `train_loss/fold_0`."""
        named = {f"{name}/{message.curve}" if message.curve else name: one for name, one in message.values.items()}
        self._runs[message.run].log(named, step=message.epoch)

    def finish(self, message: Finish, on_part: Callable[[], object]) -> None:  # noqa: ARG002 (it has a thread)
        """Add the result and the pictures, and end the run."""
        pictures = {f"figures/{one.stem}": self._trackio.Image(str(one)) for one in message.pictures}
        results = {f"result/{name}": one for name, one in message.results.items()}
        run = self._runs[message.run]
        run.log(results | pictures, step=message.epoch)
        run.finish()
        del self._runs[message.run]

    def flush(self) -> None:
        """Do nothing: Trackio sends in a thread of its own, twice a second."""

    def close(self) -> None:
        """Wait until everything is sent; a run can be continued."""
        for run in self._runs.values():
            run.finish()
