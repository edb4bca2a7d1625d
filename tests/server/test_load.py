"""Under a load far beyond its capacity the server answers every request with 200 or 429, and loses none.

`benchmarks/server.py` sends twice the capacity for two minutes. This test is shorter and sends more, because other
programs on the machine may end after the capacity was measured.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .conftest import BOUNDARY, Server, form, voice

DURATION_S = 10.0
_OVERLOAD = 3.0  # times the capacity
_N_SENDERS = 40
_QUEUE = 16
_FORM = f"multipart/form-data; boundary={BOUNDARY}"


def capacity(server: Server, seconds: float) -> float:
    """Measure the answered requests per second for two busy and two waiting clients."""
    body, count, last = form(("a.wav", voice(3.7))), Counter[int](), time.monotonic() + seconds

    def send() -> None:
        while time.monotonic() < last:
            count[server.post("/v1/predict", body, _FORM).status] += 1

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(count) == {200}
    return count[200] / seconds


@pytest.mark.slow
def test_an_overload_loses_no_request(serve: Callable[..., AbstractContextManager[Server]]) -> None:
    with serve("--workers", 2, limits={"queue": _QUEUE}) as server:
        rate = _OVERLOAD * capacity(server, 3.0)
        body, statuses, lock = form(("a.wav", voice(3.7))), Counter[int](), threading.Lock()
        n_wanted = round(rate * DURATION_S)
        numbers, n_sent = iter(range(n_wanted)), 0
        began = time.monotonic()

        def send() -> None:
            # Requests are sent at fixed times, regardless of earlier answers: clients that wait for their answers
            # would not create an overload.
            nonlocal n_sent
            while True:
                with lock:
                    number = next(numbers, None)
                    if number is None or time.monotonic() > began + DURATION_S:
                        return
                    n_sent += 1
                time.sleep(max(began + number / rate - time.monotonic(), 0.0))
                status = server.post("/v1/predict", body, _FORM).status
                with lock:
                    statuses[status] += 1

        threads = [threading.Thread(target=send) for _ in range(_N_SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DURATION_S + 60)
        assert set(statuses) <= {200, 429}, statuses
        assert statuses.total() == n_sent
        assert min(statuses[200], statuses[429]) > 0, statuses
        assert server.metric("worker_deaths") == 0
        assert server.post("/v1/predict", voice()).status == 200
        assert server.metric("queue") == 0
        assert list(server.spool.iterdir()) == []
