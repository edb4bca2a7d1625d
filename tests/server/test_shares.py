"""Shares and turns: no client gets more than its part."""

from __future__ import annotations

import asyncio
import time

import pytest

from emocatcher.server.shares import Shares, Turns, client_of


def test_one_client_cannot_take_everything() -> None:
    shares = Shares(4, 3)
    assert [shares.take("a") for _ in range(4)] == [True, True, True, False]
    assert [shares.take("b") for _ in range(2)] == [True, False]
    shares.give_back("a")
    assert shares.take("b")
    assert shares.n_taken == 4
    assert not shares.take("c", 0 + 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_clients_are_told_apart_by_their_addresses(one: str, other: str, same: bool) -> None:
    assert (client_of({"client": (one, 1)}) == client_of({"client": (other, 2)})) is same
    assert client_of({"client": None}) == client_of({}) == ""


def test_turns_share_time_and_not_numbers() -> None:
    async def run() -> dict[int, int]:
        turns, counts, last = Turns(), {0: 0, 1: 0, 2: 0}, time.monotonic() + 1.0

        async def keep_busy(number: int, seconds: float) -> None:
            while time.monotonic() < last:
                async with turns.take(number):
                    await asyncio.sleep(seconds)
                counts[number] += 1

        await asyncio.gather(keep_busy(0, 0.04), keep_busy(1, 0.04), keep_busy(2, 0.004))
        return counts

    counts = asyncio.run(run())
    assert counts[2] > 1.3 * max(counts[0], counts[1])  # it takes its turn after each turn of the others


def test_a_turn_that_is_cancelled_goes_to_the_next() -> None:
    async def run() -> list[int]:
        turns, order = Turns(), []

        async def one(number: int) -> None:
            async with turns.take(number):
                order.append(number)
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(one(number)) for number in range(6)]
        await asyncio.sleep(0.005)
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        async with turns.take(7):
            order.append(7)
        return order

    order = asyncio.run(run())
    assert {0, 2, 4, 5, 7} <= set(order)
    assert 3 not in order


def test_one_that_was_idle_gets_no_arrears() -> None:
    async def run() -> list[int]:
        turns, order = Turns(), []

        async def one(number: int, count: int) -> None:
            for _ in range(count):
                async with turns.take(number):
                    order.append(number)
                    await asyncio.sleep(0.005)

        await one(0, 20)
        await asyncio.gather(one(0, 10), one(1, 10))
        return order[20:]

    order = asyncio.run(run())
    assert 3 <= order[:10].count(0) <= 7
