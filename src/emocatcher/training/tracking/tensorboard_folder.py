"""Track a training in a folder that TensorBoard reads: a sub-folder for each curve, one more for each run of a sweep.

The package `tensorboard` writes such files alone; neither TensorFlow nor PyTorch is loaded.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emocatcher.training.tracking.messages import Finish, Start, Values

_RGBA = 4
_UNFIT = re.compile(r"[^\w.,=+ -]")  # in names of folders


class TensorBoardFolder:
    """Writes event files.

    Args:
        where: the folder.
        is_shared: whether other trainings may be tracked there; each run then has a sub-folder of its unique name.
    """

    def __init__(self, where: str, *, is_shared: bool = True) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        self._is_shared, self._folders = is_shared, dict[str, Path]()
        self._folder, self._event, self._summary = Path(where), event_pb2.Event, summary_pb2.Summary
        self._writers: dict[tuple[str, str], Any] = {}

    def start(self, message: Start, known: str) -> str:
        """Write the settings, for the page of hyperparameters and as text."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.text.summary_v2 import text_pb

        name = known or _UNFIT.sub("_", message.name if self._is_shared else message.run)
        taken = {folder.name for run, folder in self._folders.items() if run != message.run}
        while not known and name in taken:  # of two settings of a sweep that differ in such characters
            name += "_"
        self._folders[message.run] = self._folder / _UNFIT.sub("_", name)
        if not known:
            rows = "\n".join(f"    {name} = {value}" for name, value in message.settings.items())
            self._write(message.run, "", text_pb("settings", rows), 0, time.time())
            if message.settings:
                self._write(message.run, "", hparams_pb(dict(message.settings), trial_id=message.run), 0, time.time())
        return name or "."

    def values(self, message: Values) -> None:
        """Write scalars into the sub-folder of the curve, so that those of all folds share a diagram."""
        points = [self._summary.Value(tag=name, simple_value=value) for name, value in message.values.items()]
        self._write(message.run, message.curve, self._summary(value=points), message.epoch, message.at_s)

    def finish(self, message: Finish, on_part: Callable[[], object]) -> None:  # noqa: ARG002 (a disk is fast)
        """Write the result, and the pictures as they are."""
        points = [self._summary.Value(tag=f"result/{name}", simple_value=one) for name, one in message.results.items()]
        for picture in message.pictures:
            png = picture.read_bytes()
            width, height = struct.unpack(">II", png[16:24])  # of the header, IHDR
            image = self._summary.Image(height=height, width=width, colorspace=_RGBA, encoded_image_string=png)
            points.append(self._summary.Value(tag=f"figures/{picture.stem}", image=image))
        self._write(message.run, "", self._summary(value=points), message.epoch, time.time())

    def flush(self) -> None:
        """Write what is waiting."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, run: str, curve: str, summary: Any, step: int, at_s: float) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if (run, curve) not in self._writers:
            self._writers[run, curve] = EventFileWriter(str(self._folders[run] / curve))
        self._writers[run, curve].add_event(self._event(wall_time=at_s, step=step, summary=summary))
