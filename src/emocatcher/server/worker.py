"""Run a worker process, which processes one task after the other from a socket, within limits, until it closes.

This module is imported before the processes fork, so that they start quickly; its import must not start a thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from typing import Any

import msgspec

# Imports for recognition, loaded once for all workers.
import numpy as np
import onnxruntime  # noqa: F401
import soundfile

from emocatcher import audio
from emocatcher.audio.channels import index_of
from emocatcher.audio.decoding import declared_duration_s
from emocatcher.features import extraction
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import AudioError, EmoCatcherError, one_line
from emocatcher.models import finding, model_folder
from emocatcher.recognition import settling
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.settling import Settled
from emocatcher.recognition.timeline import Stream, Window, formats
from emocatcher.server import tasks, temporary_folder
from emocatcher.server.limits import Limits
from emocatcher.server.model_description import describe

_DTYPES: dict[tasks.Encoding, str] = {"pcm16": "<i2", "float32": "<f4"}
_WARM_UP_S = 3.7
_NOTICE_S = 2.0  # until a process has noticed that its server was killed, and has cleaned up


class Worker:
    """Processes tasks.

    Args:
        folder: the model folder; None for the default model of the package.
        limits: the server's limits.
    """

    def __init__(self, folder: str | None, limits: Limits) -> None:
        self._limits = limits
        self._model = model_folder.read(finding.find_folder(folder))
        self._recognizer = Recognizer(self._model)
        self._streams: dict[int, Stream] = {}

    def describe(self) -> bytes:
        """Return the model's description, as JSON."""
        return msgspec.json.encode(describe(self._model, waveform_onnx=None))

    def warm_up(self) -> None:
        """Recognise noise once, because the first recognition is slower."""
        noise = np.random.default_rng(0).normal(0.0, 0.1, round(_WARM_UP_S * 48_000)).astype(np.float32)
        self._recognizer.predict((noise, 48_000))
        # Noise is not speech, so the network has not run yet.
        settings = self._recognizer.config.settings
        self._recognizer.run([extraction.extract(noise, settings.front_end, settings.vad).channels])

    def answer(self, task: tasks.Task) -> tasks.Answer:
        """Process a task; errors become answers too."""
        try:
            return tasks.Done(self._do(task))
        except AudioError as error:
            return tasks.Refused(type(error).__name__, one_line(error.reason))
        except EmoCatcherError as error:
            return tasks.Refused(type(error).__name__, one_line(error))
        except MemoryError:
            return tasks.Refused("MemoryError", "there is not enough memory for it. Send a shorter recording")

    def _do(self, task: tasks.Task) -> bytes:
        match task:
            case tasks.Predict():
                process_setup.limit_processor_time(self._limits.predict_s)
                prediction = self._adjusted(task.adjustment).predict(
                    task.path,
                    channels=task.channels,
                    abstain_below=task.abstain_below,
                    longest_s=self._limits.utterance_s,
                    threads=1,
                )
                return msgspec.json.encode(msgspec.structs.replace(prediction, path=task.name))
            case tasks.MakeTimeline():
                process_setup.limit_processor_time(self._limits.timeline_s)
                return self._timeline(task)
            case tasks.Settle():
                answers = [msgspec.json.decode(one, type=Prediction) for one in task.predictions]
                return msgspec.json.encode(settling.estimate(answers, self._recognizer.config))
            case tasks.CheckProfile():
                return msgspec.json.encode(self._decode_profile(task.content))
            case tasks.MeasureClips():
                return msgspec.json.encode([declared_duration_s(path) for path in task.paths])
            case tasks.ReadClip():
                return _wav(task)
            case tasks.ExportWaveform():
                from emocatcher.models.onnx_graphs import as_onnx

                return as_onnx(self._model, waveform=True)
            case tasks.OpenStream():
                stream = self._adjusted(task.adjustment).stream(
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

    def _adjusted(self, adjustment: tasks.Adjustment) -> Recognizer:
        recognizer = self._recognizer
        if adjustment.profile:
            recognizer = recognizer.with_settled(self._decode_profile(adjustment.profile))
        return recognizer if adjustment.emotions is None else recognizer.only(adjustment.emotions)

    def _decode_profile(self, content: bytes) -> Settled:
        return settling.decode(content, "The profile", self._recognizer.config)

    def _timeline(self, task: tasks.MakeTimeline) -> bytes:
        timeline = self._adjusted(task.adjustment).timeline(
            task.path,
            task.window_s,
            task.hop_s,
            abstain_below=task.abstain_below,
            longest_s=self._limits.recording_s,
            threads=1,  # because there is a worker for each core
        )
        return formats.encode(msgspec.structs.replace(timeline, path=task.name), "json")

    def _push(self, task: tasks.PushStream) -> bytes:
        stream, dtype = self._streams[task.stream], np.dtype(_DTYPES[task.encoding])
        return _windows(stream, stream.push(np.frombuffer(task.samples, dtype)))


def run(connection: socket.socket, folder: str | None, limits: Limits, spool: str) -> None:
    """Run a worker process: send the model's description, then process tasks until the server closes the connection.

    Args:
        connection: the socket to the server.
        folder: as for `Worker`.
        limits: the server's limits.
        spool: the folder of temporary files, which is deleted if the server is killed.
    """
    # Only the server handles signals to the process group; it lets its workers finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watcher = threading.Thread(target=_exit_with_the_server, args=(spool,), daemon=True)
    watcher.start()
    is_server_gone = True
    process_setup.keep_memory()
    # The server may close the connection at any time, and then no answer is needed.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), connection, connection.makefile("rb") as incoming:
        try:
            worker = Worker(folder, limits)
            worker.warm_up()
        except EmoCatcherError as error:
            connection.sendall(tasks.frame(tasks.Refused(type(error).__name__, one_line(error))))
            return
        process_setup.limit_memory(limits.worker_bytes)
        connection.sendall(tasks.frame(tasks.Done(worker.describe())))
        while len(head := incoming.read(tasks.LENGTH.size)) == tasks.LENGTH.size:
            task = tasks.task_decoder.decode(incoming.read(tasks.LENGTH.unpack(head)[0]))
            connection.sendall(tasks.frame(worker.answer(task)))
        is_server_gone = _is_closed(connection)
    if is_server_gone:
        watcher.join(_NOTICE_S)  # else this process could end before the watcher has deleted the temporary files


def _is_closed(connection: socket.socket) -> bool:
    """Return whether the other end is closed; a server that stops its workers only closes one direction."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def _exit_with_the_server(spool: str) -> None:
    import multiprocessing

    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        temporary_folder.remove_all(spool)
        os._exit(1)


def _wav(task: tasks.ReadClip) -> bytes:
    import io

    recording = audio.read(task.path, longest_s=task.longest_s, channel=index_of(task.channels))
    target = io.BytesIO()
    soundfile.write(target, recording.waveform, recording.sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _windows(stream: Stream, windows: list[Window]) -> bytes:
    encoded: list[Any] = [b'{"type":"window",' + msgspec.json.encode(window)[1:] for window in windows]
    return tasks.encode(tasks.Windows(encoded, stream.duration_s))
