"""One outcome per input, in order, even if a worker process dies."""

import itertools
import os
import signal
import time

import pytest

from emocatcher.foundation.errors import SettingError
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
