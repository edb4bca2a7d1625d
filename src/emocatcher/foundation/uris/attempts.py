"""Try a read or a write that may fail for a while: with a time limit, a few times, and longer pauses in between."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from emocatcher.foundation.errors import SettingError, UriError

Result = TypeVar("Result")

TIMEOUT, RETRIES = "EMOCATCHER_URI_TIMEOUT_S", "EMOCATCHER_URI_RETRIES"
_TIMEOUT_S, _LONGEST_S = 60.0, 86_400.0
_RETRIES, _MOST_RETRIES = 4, 100
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0


class Limits(NamedTuple):
    """How long to try."""

    timeout_s: float = _TIMEOUT_S  # for one attempt, which reads at most some megabytes
    retries: int = _RETRIES  # attempts after the first


def limits() -> Limits:
    """Return the limits that the environment sets, else those of `Limits`.

    Raises:
        SettingError: if one is not a number, or out of range.
    """
    timeout_s = _number(TIMEOUT, _TIMEOUT_S, 0.1, _LONGEST_S)
    return Limits(timeout_s, int(_number(RETRIES, _RETRIES, 0, _MOST_RETRIES)))


def _number(name: str, default: float, lowest: float, highest: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        if lowest <= float(text) <= highest:
            return float(text)
    except ValueError:
        pass
    raise SettingError(f"The environment variable {name} is '{text}'. Give a number from {lowest:g} to {highest:g}")


class Budget:
    """How often the time limit is allowed for one attempt: a long transfer may take longer, as it goes on."""

    def __init__(self, n_units: int = 1) -> None:
        self.n_units = n_units


def attempt(name: str, call: Callable[[], Result], budget: Budget | None = None) -> Result:
    """Call a function until it returns; it is called again after an error of the kind "unreachable".

    Args:
        name: the redacted URI, for messages.
        call: may block for ever: after the time limit it is left to its thread. It raises `UriError`.
        budget: of the time; None for the time limit.

    Raises:
        UriError: of the last call.
    """
    timeout_s, retries = limits()
    for number in itertools.count():
        try:
            return _bounded(name, call, timeout_s, budget or Budget())
        except UriError as error:
            if error.kind != "unreachable" or number == retries:
                tries = f" ({number + 1} attempts)" if number else ""
                raise UriError(error.uri, f"{error.reason}{tries}", error.kind) from None
        # Many processes that failed at the same time must not come back at the same time.
        time.sleep(min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))  # noqa: S311
    raise AssertionError


def _bounded(name: str, call: Callable[[], Result], timeout_s: float, budget: Budget) -> Result:
    """Call a function in a thread of its own: a look-up of a host, or a library, may ignore every time limit."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="uri", daemon=True)
    started_at = time.monotonic()
    thread.start()
    while thread.is_alive() and (left_s := started_at + budget.n_units * timeout_s - time.monotonic()) > 0.0:
        thread.join(min(left_s, timeout_s))
    if errors:
        raise errors[0]
    if not results:
        reason = f"did not answer in full within {timeout_s:g} s. Try again later, or set {TIMEOUT}"
        raise UriError(name, reason, "unreachable")
    return results[0]
