"""One outcome per input, in order, even if a worker process dies."""

import itertools
import os
import signal
import sys
import time

import pytest

from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.recognition import parallel


def double(number):
    return 2 * number


def slow_when_even(number):
    time.sleep(0.05 if number % 2 == 0 else 0)
    return number


def die_at_thirteen(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def raise_at_five(number):
    if number == 5:
        raise KeyError(number)
    return number


def report_death(number):
    return f"lost {number}"


@pytest.mark.parametrize("n_workers", [1, 2])
def test_outcomes_come_in_order(n_workers):
    assert list(parallel.ordered_map(double, range(40), n_workers=n_workers, on_death=report_death)) == list(
        range(0, 80, 2)
    )


def test_every_input_has_one_outcome_without_order():
    outcomes = list(parallel.ordered_map(slow_when_even, range(40), n_workers=2, ordered=False, on_death=report_death))
    assert sorted(outcomes) == list(range(40))


def test_a_dying_worker_loses_only_its_current_input():
    outcomes = list(parallel.ordered_map(die_at_thirteen, range(60), n_workers=2, on_death=report_death))
    assert outcomes == [f"lost {i}" if i == 13 else i for i in range(60)]


def test_inputs_are_consumed_lazily():
    taken = itertools.count()
    outcomes = parallel.ordered_map(
        double, (next(taken) for _ in itertools.repeat(0)), n_workers=2, on_death=report_death
    )
    assert list(itertools.islice(outcomes, 20)) == list(range(0, 40, 2))
    assert next(taken) < 500
    outcomes.close()


def test_an_exception_of_the_function_reaches_the_caller():
    with pytest.raises(KeyError):
        list(parallel.ordered_map(raise_at_five, range(9), n_workers=2, on_death=report_death))


def test_no_inputs_give_no_outcomes():
    assert list(parallel.ordered_map(double, [], n_workers=2, on_death=report_death)) == []


@pytest.mark.parametrize("n_workers", [0, -1, 100_000])
def test_a_number_of_workers_out_of_range_is_refused(n_workers):
    with pytest.raises(SettingError, match="workers"):
        parallel.ordered_map(double, [], n_workers=n_workers, on_death=report_death)


class Item:
    """What an isolated process does with an item."""

    def __init__(self, number, action="", where=None):
        self.number, self.action, self.where = number, action, where


def act(item):
    if item.action == "die" or (item.action == "die once" and not item.where.exists()):
        if item.where is not None:
            item.where.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item.action == "hang":
        time.sleep(60)
    if item.action == "ask":
        return os.getpid(), hasattr(sys.modules["__main__"], "__file__")
    if item.action == "raise":
        raise KeyError(item.number)
    return item.number


class Unprepared:
    def __init__(self, error):
        self.error = error

    def prepare(self):
        raise self.error

    def __call__(self, item):
        return item


def isolated(function, limit_s=30.0):
    return parallel.IsolatedProcess(
        function,
        limit_s=limit_s,
        on_death=lambda item: f"lost {item.number}",
        on_timeout=lambda item: f"late {item.number}",
    )


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_isolated_process_stays_and_does_not_load_the_program():
    process = isolated(act)
    (first,) = process.map([Item(0, "ask")])
    with pytest.raises(KeyError):
        process.map([Item(0), Item(5, "raise"), Item(6)])
    assert not is_alive(first[0])
    seven, second = process.map([Item(7), Item(1, "ask")])
    assert (seven, process.map([]), process.map([Item(1, "ask")])) == (7, [], [second])
    assert os.getpid() not in {first[0], second[0]}
    assert first[1] is second[1] is False
    process.end()
    assert not is_alive(second[0])


def test_an_item_that_ends_an_isolated_process_or_takes_too_long_costs_its_own_outcome(tmp_path):
    process = isolated(act, limit_s=2.0)
    start = time.monotonic()
    items = [Item(0), Item(1, "die"), Item(2, "die once", tmp_path / "died"), Item(3, "hang"), Item(4)]
    assert process.map(items) == [0, "lost 1", 2, "late 3", 4]
    assert time.monotonic() - start < 50
    process.end()


def test_an_isolated_process_that_cannot_be_prepared_raises_the_reason():
    with pytest.raises(ModelError, match="no such model"):
        isolated(Unprepared(ModelError("no such model")))
