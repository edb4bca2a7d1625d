"""Far more load than the server can take: every request is answered, 200 or 429, and none is lost.

`benchmarks/server.py` holds twice the load for two minutes; here it is shorter, and heavier, since what else the
machine does may end after the server's capacity was measured.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .conftest import BOUNDARY, Server, form, voice

DURATION_S = 20.0
_OVERLOAD = 3.0  # times the capacity
_N_SENDERS = 40
_QUEUE = 16
_FORM = f"multipart/form-data; boundary={BOUNDARY}"


def capacity(server: Server, seconds: float) -> float:
    """Requests per second that as many clients get answered as there are workers, and two to wait."""
    body, count, last = form(("a.wav", voice(3.7))), Counter[int](), time.monotonic() + seconds

    def ask() -> None:
        while time.monotonic() < last:
            count[server.post("/v1/predict", body, _FORM).status] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(count) == {200}
    return count[200] / seconds


@pytest.mark.slow
def test_an_overload_loses_nothing(serve: Callable[..., AbstractContextManager[Server]]) -> None:
    with serve("--workers", 2, limits={"queue": _QUEUE}) as server:
        rate = _OVERLOAD * capacity(server, 5.0)
        body, statuses, lock = form(("a.wav", voice(3.7))), Counter[int](), threading.Lock()
        n_wanted = round(rate * DURATION_S)
        numbers, n_sent = iter(range(n_wanted)), 0
        began = time.monotonic()

        def send() -> None:
            # Requests leave at their time, whatever became of those before: a line of waiting clients would wait
            # politely, and that is no overload.
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
