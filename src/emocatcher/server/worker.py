"""A worker process: takes one task after the other from a socket, within limits, until the socket closes.

Imported before the processes fork off, so that they are there at once; nothing here may start a thread while it is
imported.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec

# What recognising needs is imported here, once for all workers.
import numpy as np
import onnxruntime  # noqa: F401
import soundfile

from emocatcher import audio
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import AudioError, EmoCatcherError, SettingError, TooLongError, one_line
from emocatcher.models import model_folder
from emocatcher.recognition import recognizer
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Stream, Window, formats
from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.model_description import describe

_DTYPES: dict[tasks.Encoding, str] = {"pcm16": "<i2", "float32": "<f4"}
_WARM_UP_S = 3.7
_SPARE_S = 1.0  # of processor time, beyond what the clock allows: the clock is the kinder judge


class Worker:
    """Answers tasks.

    Args:
        folder: the model's; None for the one that comes with the package.
        limits: of the server.
    """

    def __init__(self, folder: str | None, limits: Limits) -> None:
        self._limits = limits
        self._model = model_folder.read(recognizer.folder_of(folder))
        self._recognizer = Recognizer(self._model)
        self._streams: dict[int, Stream] = {}

    def describe(self) -> bytes:
        """The model's description, as JSON."""
        return msgspec.json.encode(describe(self._model, waveform_onnx=None))

    def warm_up(self) -> None:
        """Do once what is slower the first time."""
        noise = np.random.default_rng(0).normal(0.0, 0.1, round(_WARM_UP_S * 48_000))
        self._recognizer.predict((noise.astype(np.float32), 48_000))

    def answer(self, task: tasks.Task) -> tasks.Answer:
        """Do a task; whatever goes wrong with it is an answer too."""
        try:
            return tasks.Done(self._do(task))
        except AudioError as error:
            return tasks.Refused(type(error).__name__, one_line(error.reason))
        except EmoCatcherError as error:
            return tasks.Refused(type(error).__name__, one_line(error))
        except MemoryError:
            return tasks.Refused("MemoryError", "there is not enough memory for it")

    def _do(self, task: tasks.Task) -> bytes:
        match task:
            case tasks.Predict():
                _limit_processor_time(self._limits.predict_s)
                heard = self._recognizer.predict(
                    task.path, abstain_below=task.abstain_below, longest_s=self._limits.utterance_s
                )
                return msgspec.json.encode(msgspec.structs.replace(heard, path=task.name))
            case tasks.MakeTimeline():
                _limit_processor_time(self._limits.timeline_s)
                return self._timeline(task)
            case tasks.MeasureClips():
                return msgspec.json.encode([_duration_s(path) for path in task.paths])
            case tasks.ReadClip():
                return _wav(task.path)
            case tasks.ExportWaveform():
                from emocatcher.models.onnx_graphs import as_onnx

                return as_onnx(self._model, waveform=True)
            case tasks.OpenStream():
                stream = self._recognizer.stream(
                    task.sample_rate, task.window_s, task.hop_s, abstain_below=task.abstain_below
                )
                self._streams[task.stream] = stream
                return b""
            case tasks.PushStream():
                return self._push(task)
            case tasks.FinishStream():
                stream = self._streams.pop(task.stream)
                return _windows(stream, stream.finish())
            case tasks.DropStream():
                self._streams.pop(task.stream, None)
                return b""

    def _timeline(self, task: tasks.MakeTimeline) -> bytes:
        n_left = self._limits.recording_s * self._recognizer.config.settings.front_end.sample_rate

        def count(block: audio.Waveform) -> None:
            nonlocal n_left
            n_left -= len(block)
            if n_left < 0:
                raise TooLongError(task.name, f"is longer than {self._limits.recording_s:g} s. Cut it into parts")

        # One thread: there is a worker for each core.
        heard = self._recognizer.timeline(
            task.path, task.window_s, task.hop_s, abstain_below=task.abstain_below, on_block=count, threads=1
        )
        return formats.encode(msgspec.structs.replace(heard, path=task.name), "json")

    def _push(self, task: tasks.PushStream) -> bytes:
        stream, dtype = self._streams[task.stream], np.dtype(_DTYPES[task.encoding])
        if len(task.samples) % dtype.itemsize:
            raise SettingError(
                f"A message holds {len(task.samples)} bytes. In {task.encoding}, give a multiple of {dtype.itemsize}"
            )
        samples = np.frombuffer(task.samples, dtype)
        if len(samples) > self._limits.stream_chunk_s * stream.sample_rate:
            longest = f"{self._limits.stream_chunk_s:g} s"
            raise TooLongError(
                "the message", f"holds {len(samples) / stream.sample_rate:.1f} s of sound. Give {longest} at most"
            )
        return _windows(stream, stream.push(samples))


def run(connection: socket.socket, folder: str | None, limits: Limits, spool: str) -> None:
    """A worker process's whole life: say who one is, then answer until the other side closes.

    Args:
        connection: to the server.
        folder: as for `Worker`.
        limits: of the server.
        spool: the folder of its uploads, which goes when the server is killed.
    """
    # The server alone answers signals that reach the whole group; it lets its workers finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_leave_with_the_server, args=(spool,), daemon=True).start()
    process_setup.keep_memory()
    # The other side may close at any time, and then there is nobody to tell.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), connection, connection.makefile("rb") as incoming:
        try:
            worker = Worker(folder, limits)
            worker.warm_up()
        except EmoCatcherError as error:
            connection.sendall(tasks.frame(tasks.Refused(type(error).__name__, one_line(error))))
            return
        _limit_memory(limits.worker_bytes)
        connection.sendall(tasks.frame(tasks.Done(worker.describe())))
        while len(head := incoming.read(tasks.LENGTH.size)) == tasks.LENGTH.size:
            task = tasks.task_decoder.decode(incoming.read(tasks.LENGTH.unpack(head)[0]))
            connection.sendall(tasks.frame(worker.answer(task)))


def _leave_with_the_server(spool: str) -> None:
    import multiprocessing

    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        shutil.rmtree(spool, ignore_errors=True)
        os._exit(1)


def _limit_memory(more: int) -> None:
    """Refuse this process memory beyond what it has now, where the system keeps such accounts; and no core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = n_pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_processor_time(seconds: float) -> None:
    """End this process if what follows takes longer; the limit is of the whole process's life, so it moves on."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds + _SPARE_S) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _duration_s(path: str) -> float | None:
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, RuntimeError):
        return None


def _wav(path: str) -> bytes:
    import io

    waveform, sample_rate = audio.load(path)
    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _windows(stream: Stream, windows: list[Window]) -> bytes:
    encoded: list[Any] = [b'{"type":"window",' + msgspec.json.encode(window)[1:] for window in windows]
    return tasks.encode(tasks.Windows(encoded, stream.duration_s))
