"""The worker processes: one that dies takes its request along and nothing else; all of them end with the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.client import HTTPException
from typing import Any
from unittest.mock import patch

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.worker_process import Process, RefusedError

from .conftest import Answer, Server, is_running, voice

Serve = Callable[..., AbstractContextManager[Server]]
LONG_S = 500.0  # of sound: a worker is at it for seconds


@pytest.fixture(scope="module")
def long_voice() -> bytes:
    head, samples = voice(5.0)[:44], voice(5.0)[44:]
    # A header of an unknown length, as a recorder writes it that does not know when it will end.
    return head[:4] + b"\xff\xff\xff\xff" + head[8:40] + b"\xff\xff\xff\xff" + samples * round(LONG_S / 5.0)


class AtOnce(Process):
    """Its worker has answered, and left, before anybody listens."""

    def _start(self, connection: socket.socket) -> None:
        connection.sendall(tasks.frame(tasks.Refused("ModelError", "no model")))


def test_a_worker_may_answer_before_it_is_listened_to() -> None:
    async def start() -> None:
        # What goes wrong in a callback is only logged.
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: wrong.append(context))
        connect = loop.create_connection

        async def slowly(*arguments: Any, **named: Any) -> Any:
            made = await connect(*arguments, **named)
            await asyncio.sleep(0.1)  # as on a busy machine: the answer comes in meanwhile
            return made

        with patch.object(loop, "create_connection", slowly):
            await AtOnce(None, Limits(), "", lambda _: None).start()

    wrong: list[object] = []
    with pytest.raises(RefusedError, match="no model"):
        asyncio.run(asyncio.wait_for(start(), 10))
    assert not wrong


def in_background(ask: Callable[[], Answer]) -> Callable[[], Answer]:
    answers: list[Answer] = []

    def run() -> None:
        with contextlib.suppress(OSError, HTTPException):  # the server is gone: no answer
            answers.append(ask())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> Answer:
        thread.join(60)
        return answers[0]

    return wait


def test_a_worker_that_is_killed_takes_one_request_along(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 2) as server:
        assert len(server.workers()) == 3  # two that recognise, and one that hears streams
        busy = in_background(lambda: server.post("/v1/timeline?hop_s=0.1", long_voice))
        (spent,) = _busy(server)
        others = [in_background(lambda: server.post("/v1/predict", voice())) for _ in range(6)]
        os.kill(spent, signal.SIGKILL)
        assert "ended before its time" in busy().problem(500, "WorkerDied")
        assert [answer().status for answer in others] == [200] * 6
        server.wait_until(lambda: server.metric("workers") == 2)
        assert server.metric("worker_deaths") == 1
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        server.wait_until(lambda: server.metric("worker_deaths") == 3)
        server.wait_until(lambda: server.get("/readyz").status == 200)
        assert server.post("/v1/predict", voice()).status == 200
        assert list(server.spool.iterdir()) == []


def test_a_recording_that_takes_too_long_is_given_up(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 1, limits={"timeline_s": 0.5}) as server:
        answer = server.post("/v1/timeline?hop_s=0.1", long_voice)
        assert "longer than 0.5 s" in answer.problem(422, "TimeLimitExceeded")
        server.wait_until(lambda: server.metric("workers") == 1)
        assert server.post("/v1/predict", voice()).status == 200


def test_a_recording_that_takes_too_much_memory_is_given_up(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 1, limits={"worker_bytes": 60 << 20}) as server:
        answer = server.post("/v1/predict", long_voice)
        assert (answer.status, answer.json["error"]) in {(422, "MemoryError"), (500, "WorkerDied")}
        server.wait_until(lambda: server.metric("workers") == 1)
        assert server.post("/v1/predict", voice()).status == 200


def test_long_recordings_leave_a_worker_for_short_ones(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 2) as server:
        busy = [in_background(lambda: server.post("/v1/timeline?hop_s=0.1", long_voice)) for _ in range(3)]
        _busy(server)
        server.wait_until(lambda: server.metric("uploads") == 3)
        for _ in range(5):
            assert server.post("/v1/predict", voice()).status == 200
        assert server.metric("uploads") == 3  # none of the long ones is done
        assert server.metric("queue") >= 2
        server.process.kill()
        with pytest.raises(IndexError):  # nor was any of them answered
            busy[0]()


@pytest.mark.slow
def test_it_stops_when_it_is_asked_and_finishes_what_was_begun(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 2) as server, connect(f"ws://127.0.0.1:{server.port}/v1/stream") as stream:
        children, spool = server.children(), server.spool
        stream.send('{"type": "hello", "sample_rate": 48000}')
        stream.recv(20)
        busy = in_background(lambda: server.post("/v1/timeline?hop_s=0.2", long_voice))
        _busy(server)
        server.process.send_signal(signal.SIGTERM)
        answer = busy()
        assert answer.status == 200
        assert answer.json["duration_s"] == LONG_S
        assert json.loads(stream.recv(20))["error"] == "ServerStopping"
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert server.process.wait(15) == 0
        assert not spool.exists()
        server.wait_until(lambda: not any(map(is_running, children)))
        assert "Traceback" not in server.log.read_text()


def test_nobody_is_left_when_it_is_killed(serve: Serve) -> None:
    with serve("--workers", 2) as server:
        children, spool = server.children(), server.spool
        (spool / "upload").write_bytes(b"left")
        server.process.kill()
        server.process.wait()
        # A worker that was still on its way up when they were counted may be the one to remove it.
        server.wait_until(lambda: not any(map(is_running, children)) and not spool.exists())
        assert not spool.exists()


def _busy(server: Server) -> list[int]:
    """The worker that is at work."""

    def ticks() -> dict[int, int]:
        return {pid: _ticks(pid) for pid in server.workers()}

    for _ in range(100):
        before = ticks()
        time.sleep(0.1)
        found = [pid for pid, after in ticks().items() if after > before.get(pid, after) + 2]
        if found:
            return found[:1]
    raise AssertionError("no worker is at work")


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)
