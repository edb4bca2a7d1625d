"""The worker processes: one that dies fails only its own request, and all of them end with the server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPException
from typing import Any
from unittest.mock import patch

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from emocatcher.server import tasks
from emocatcher.server.limits import Limits
from emocatcher.server.worker_pool import Pool
from emocatcher.server.worker_process import Process, RefusedError

from .conftest import Answer, Server, children_of, is_running, voice

Serve = Callable[..., AbstractContextManager[Server]]
LONG_S = 500.0  # of sound, which takes a worker several seconds


@pytest.fixture(scope="module")
def long_voice() -> bytes:
    head, samples = voice(5.0)[:44], voice(5.0)[44:]
    # A header with an unknown length, as a recorder writes it before the recording ends.
    return head[:4] + b"\xff\xff\xff\xff" + head[8:40] + b"\xff\xff\xff\xff" + samples * round(LONG_S / 5.0)


class FailsAtOnce(Process):
    """A process whose worker answers and ends before the event loop reads from the socket."""

    def _start(self, connection: socket.socket) -> None:
        connection.sendall(tasks.frame(tasks.Refused("ModelError", "no model")))


def test_a_worker_may_answer_before_the_connection_is_made() -> None:
    async def start() -> None:
        # By default asyncio only logs errors in callbacks.
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        connect = loop.create_connection

        async def slowly(*arguments: Any, **named: Any) -> Any:
            connected = await connect(*arguments, **named)
            await asyncio.sleep(0.1)  # as on a busy machine: the answer arrives meanwhile
            return connected

        with patch.object(loop, "create_connection", slowly):
            await FailsAtOnce(None, Limits(), "", lambda _: None).start()

    errors: list[object] = []
    with pytest.raises(RefusedError, match="no model"):
        asyncio.run(asyncio.wait_for(start(), 10))
    assert not errors


class CannotStart(Process):
    """A process that the system does not start."""

    def _start(self, connection: socket.socket) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_process_that_did_not_start_can_be_stopped() -> None:
    async def start_and_stop() -> None:
        process = CannotStart(None, Limits(), "", lambda _: None)
        with pytest.raises(RefusedError, match="cannot be started: Too many open files"):
            await process.start()
        process.kill()
        await process.stop()
        with pytest.raises(RefusedError):
            process.submit(tasks.ExportWaveform(), 1.0)

    asyncio.run(asyncio.wait_for(start_and_stop(), 10))


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "no files"), EOFError(), AttributeError("a fault")])
def test_a_pool_tries_again_whatever_happened(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    left = [error, error]

    class StartsLater(Process):
        async def start(self) -> bytes:
            if left:
                raise left.pop()
            return b"{}"

    async def start() -> None:
        pool = Pool(None, Limits(), 1, "")
        pool.start()
        while not pool.is_ready:
            await asyncio.sleep(0.05)
        assert pool.failure is None
        await pool.stop()

    monkeypatch.setattr("emocatcher.server.worker_pool.Process", StartsLater)
    asyncio.run(asyncio.wait_for(start(), 10))


def in_background(send: Callable[[], Answer]) -> Callable[[], Answer]:
    answers: list[Answer] = []

    def run() -> None:
        with contextlib.suppress(OSError, HTTPException):  # no answer from a server that was killed
            answers.append(send())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait() -> Answer:
        thread.join(60)
        return answers[0]

    return wait


@pytest.fixture(scope="module")
def dying(serve: Serve) -> Iterator[Server]:
    """A server whose processes the tests kill, and which may open few files."""
    with serve("--workers", 2, system="ulimit -n 320") as server:
        yield server


def test_a_killed_worker_fails_one_request_and_is_replaced(dying: Server, long_voice: bytes) -> None:
    deaths = dying.metric("worker_deaths")
    assert len(dying.workers()) == 3  # two for requests, and one for streams
    busy = in_background(lambda: dying.post("/v1/timeline?hop_s=0.1", long_voice))
    (busy_worker,) = _find_busy(dying)
    others = [in_background(lambda: dying.post("/v1/predict", voice())) for _ in range(6)]
    os.kill(busy_worker, signal.SIGKILL)
    assert "ended unexpectedly" in busy().problem(500, "WorkerDied")
    assert [answer().status for answer in others] == [200] * 6
    dying.wait_until(lambda: dying.metric("workers") == 2)
    assert dying.metric("worker_deaths") == deaths + 1
    assert list(dying.spool.iterdir()) == []


def test_idle_connections_leave_files_for_new_workers(dying: Server) -> None:
    deaths, before = dying.metric("worker_deaths"), dying.workers()
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            with contextlib.suppress(OSError):
                stack.enter_context(dying.connect())
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        dying.wait_until(lambda: dying.metric("worker_deaths") == deaths + 2)
        dying.wait_until(lambda: dying.metric("workers") == 2 and dying.get("/readyz").status == 200)
        assert dying.post("/v1/predict", voice()).status == 200


def test_the_process_that_forks_the_workers_is_replaced(dying: Server) -> None:
    before = dying.workers()
    for pid in (*children_of(dying.process.pid), *before):
        os.kill(pid, signal.SIGKILL)
    dying.wait_until(lambda: not any(map(is_running, before)))
    dying.wait_until(lambda: dying.metric("workers") == 2 and dying.get("/readyz").status == 200)
    assert dying.post("/v1/predict", voice()).status == 200


def test_long_recordings_leave_a_worker_for_short_ones_and_nothing_is_left_if_the_server_is_killed(
    serve: Serve, long_voice: bytes
) -> None:
    with serve("--workers", 2) as server:
        busy = [in_background(lambda: server.post("/v1/timeline?hop_s=0.1", long_voice)) for _ in range(3)]
        _find_busy(server)
        server.wait_until(lambda: server.metric("uploads") == 3)
        for _ in range(5):
            assert server.post("/v1/predict", voice()).status == 200
        assert server.metric("uploads") == 3  # no long recording is done
        assert server.metric("queue") >= 2
        children, spool = server.children(), server.spool
        assert len(list(spool.iterdir())) == 3
        server.process.kill()
        server.process.wait()
        with pytest.raises(IndexError):  # and none was answered
            busy[0]()
        # The folder may be removed by a worker that was still starting when the children were listed.
        server.wait_until(lambda: not any(map(is_running, children)) and not spool.exists())
        assert not spool.exists()


def test_a_recording_that_takes_too_long_is_aborted(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 1, limits={"timeline_s": 0.5}) as server:
        answer = server.post("/v1/timeline?hop_s=0.1", long_voice)
        assert "longer than 0.5 s" in answer.problem(422, "TimeLimitExceeded")
        server.wait_until(lambda: server.metric("workers") == 1)
        assert server.post("/v1/predict", voice()).status == 200


def test_a_recording_that_takes_too_much_memory_is_aborted(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 1, limits={"worker_bytes": 60 << 20}) as server:
        answer = server.post("/v1/predict", long_voice)
        assert (answer.status, answer.json["error"]) in {(422, "MemoryError"), (500, "WorkerDied")}
        server.wait_until(lambda: server.metric("workers") == 1)
        assert server.post("/v1/predict", voice()).status == 200


@pytest.mark.slow
def test_sigterm_finishes_current_requests_and_stops_all_processes(serve: Serve, long_voice: bytes) -> None:
    limits = {"stop_s": 120}  # on a busy machine
    with (
        serve("--workers", 2, limits=limits) as server,
        connect(f"ws://127.0.0.1:{server.port}/v1/stream") as stream,
    ):
        children, spool = server.children(), server.spool
        stream.send('{"type": "hello", "sample_rate": 48000}')
        stream.recv(20)
        busy = in_background(lambda: server.post("/v1/timeline?hop_s=3", long_voice))
        _find_busy(server)
        server.process.send_signal(signal.SIGTERM)
        answer = busy()
        assert answer.status == 200, answer.body
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


def test_a_request_that_outlasts_the_time_to_stop_is_refused(serve: Serve, long_voice: bytes) -> None:
    with serve("--workers", 1, limits={"stop_s": 1}) as server:
        busy = in_background(lambda: server.post("/v1/timeline?hop_s=0.1", long_voice))
        _find_busy(server)
        server.process.send_signal(signal.SIGTERM)
        answer = busy()
        assert answer.status == 503, server.log.read_text()
        assert "being stopped" in answer.problem(503, "ServerStopping")
        assert server.process.wait(15) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_server_is_refused_that_may_open_too_few_files(serve: Serve) -> None:
    with (
        pytest.raises(AssertionError, match=r"may open 200 files. A server needs 240 or more"),
        serve("--workers", 1, system="ulimit -n 200"),
    ):
        pass


@pytest.mark.slow
def test_a_server_that_cannot_recover_ends(serve: Serve) -> None:
    with serve("--workers", 1, limits={"recover_s": 10}) as server:
        workers, forkers, spool = server.workers(), children_of(server.process.pid), server.spool
        try:
            for pid in forkers:
                os.kill(pid, signal.SIGSTOP)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            assert server.process.wait(60) == 1
        finally:
            for pid in forkers:
                os.kill(pid, signal.SIGCONT)
        assert "Error: No worker process has been ready for 10 s. The server ends" in server.log.read_text()
        assert not spool.exists()
        server.wait_until(lambda: not any(map(is_running, forkers)))


def test_a_server_whose_event_loop_is_stuck_ends() -> None:
    run = """
import asyncio, sys, time
from emocatcher.server.watchdog import Watchdog
async def main():
    Watchdog(lambda: True, 1.0, lambda: print("clean", flush=True)).start(asyncio.get_running_loop())
    await asyncio.sleep(2.0)
    print("ran", flush=True)
    time.sleep(30)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False, timeout=25)
    assert (done.returncode, done.stdout) == (1, "ran\nclean\n")
    assert done.stderr.startswith("Error: The server has not answered for 1 s")


def _find_busy(server: Server) -> list[int]:
    """The id of the worker that uses the processor."""

    def ticks() -> dict[int, int]:
        return {pid: _ticks(pid) for pid in server.workers()}

    for _ in range(100):
        before = ticks()
        time.sleep(0.1)
        found = [pid for pid, after in ticks().items() if after > before.get(pid, after) + 2]
        if found:
            return found[:1]
    raise AssertionError("no worker is busy")


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)
