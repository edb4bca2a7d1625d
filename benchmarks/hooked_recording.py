"""Recognise recordings in a process that does what some names ask for, as decoders do with some files."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np

from emocatcher.distributed.one_recording import OneRecording

ACTIONS = ("segfault", "hang", "memory", "unexpected")


class HookedRecording(OneRecording):
    """Ends its process, hangs, asks for 64 GiB, or raises an unexpected error; everything else is recognised."""

    def _predict(self, source: Any) -> Any:
        action = Path(source).stem if isinstance(source, str) else ""
        if action == "segfault":
            ctypes.string_at(0)
        while action == "hang":
            time.sleep(1)
        if action == "memory":
            np.ones(8 << 30)
        if action == "unexpected":
            raise IndexError("list index out of range")
        return super()._predict(source)
