"""Share what a server has between its clients: numbers of slots or bytes, and the time of a process."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

_NETWORK_BITS = 64  # of an IPv6 address; one client usually has all addresses of such a network


def client_of(scope: MutableMapping[str, Any]) -> str:
    """Return the name under which a connection's client is counted: its address, or its network for IPv6.

    Examples:
        >>> client_of({"client": ("127.0.0.1", 4711)}), client_of({"client": ("2001:db8::1", 4711)})
        ('127.0.0.1', '2001:db8::/64')
    """
    address = str((scope.get("client") or ("",))[0])
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], _NETWORK_BITS), strict=False))


class Shares:
    """An amount that clients take from and give back, of which one client can have only a part.

    Args:
        most: of all clients.
        most_of_one: of one client.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._taken: Counter[str] = Counter()
        self.n_taken = 0

    def take(self, client: str, amount: int = 1) -> bool:
        """Take an amount if it is left; return whether it is."""
        if self.n_taken + amount > self._most or self._taken[client] + amount > self._most_of_one:
            return False
        self.n_taken += amount
        self._taken[client] += amount
        return True

    def give_back(self, client: str, amount: int = 1) -> None:
        """Give back what was taken."""
        self.n_taken -= amount
        self._taken[client] -= amount
        if not self._taken[client]:
            del self._taken[client]


class Turns:
    """Lets one of many take its turn at a time: the one that has used the least time.

    So each gets an equal share of the time, however long its turns are, and one that needs less than its share waits
    for a single turn of another. This is start-time fair queueing (Goyal, Vin and Cheng 1997) with measured times.
    """

    def __init__(self) -> None:
        self._used_s: dict[int, float] = {}
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._clock_s = 0.0  # the used time of the last turn's owner, from which a new or idle one starts
        self._busy = False

    @contextlib.asynccontextmanager
    async def take(self, number: int) -> AsyncIterator[None]:
        """Wait for the turn, and keep it inside the `with` block.

        Args:
            number: whose turn it is; only one of its turns may be waited for at a time.
        """
        self._used_s[number] = max(self._used_s.get(number, 0.0), self._clock_s)
        if self._busy:
            self._waiting[number] = asyncio.get_running_loop().create_future()
            try:
                await self._waiting[number]
            except asyncio.CancelledError:
                if self._waiting.pop(number, None) is None:  # it had just become its turn
                    self._pass_on()
                raise
        self._busy = True
        self._clock_s = self._used_s[number]
        began = time.perf_counter()
        try:
            yield
        finally:
            self._used_s[number] += time.perf_counter() - began
            self._pass_on()

    def remove(self, number: int) -> None:
        """Forget one that takes no more turns."""
        self._used_s.pop(number, None)

    def _pass_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            least = min(self._waiting, key=self._used_s.__getitem__)
            self._waiting.pop(least).set_result(None)
