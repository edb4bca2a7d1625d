"""Beside the preparation or after it, the network says the same of every window, in their order, and holds few."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emocatcher import machine, timeline
from emocatcher.errors import SettingError
from emocatcher.timeline import hearing

from .conftest import RATE, MadeNetwork, is_loud, talk

WAVEFORM = talk(90.0)
HOP_S = 0.2  # 436 windows, more than go together


class WatchedNetwork(MadeNetwork):
    """Remembers who asked it, and for how much; `before` is called first."""

    def __init__(self, before=lambda: None):
        super().__init__()
        self.threads, self.batch_sizes, self.n_clips, self.before = set(), set(), [], before

    def run(self, log_mels, batch_size=64):
        self.before()
        self.threads.add(threading.get_ident())
        self.n_clips.append(len(log_mels))
        self.batch_sizes.add(batch_size)
        return super().run(log_mels, batch_size)


def hear(network, **options):
    return timeline.hear(network, is_loud, (WAVEFORM, RATE), hop_s=HOP_S, **options)


def test_one_thread_and_two_say_the_same():
    one, two = WatchedNetwork(), WatchedNetwork()
    alone, beside = hear(one, threads=1), hear(two, threads=2)
    assert alone.windows == beside.windows
    assert alone.segments == beside.segments
    assert one.n_clips == two.n_clips
    assert len(one.n_clips) > 2
    assert one.threads == {threading.get_ident()}
    assert len(two.threads) == 1
    assert not two.threads & one.threads


def test_windows_come_in_their_order_however_long_the_network_takes():
    network = WatchedNetwork(lambda: time.sleep(0.05 if len(network.n_clips) % 2 else 0.0))
    windows = hear(network, threads=2).windows
    assert [window.start_s for window in windows][:-1] == pytest.approx([HOP_S * i for i in range(len(windows) - 1)])


def test_the_next_windows_are_prepared_while_the_network_hears():
    n_asked, on = 0, threading.Event()

    def count(*window):
        nonlocal n_asked
        n_asked += 1
        if n_asked > 1.5 * hearing._TOGETHER:
            on.set()
        return is_loud(*window)

    def wait():
        assert on.wait(30), "nothing was prepared meanwhile"

    network = WatchedNetwork(wait)
    timeline.hear(network, count, (WAVEFORM, RATE), hop_s=HOP_S, threads=2)
    assert network.n_clips


def test_a_slow_network_is_waited_for():
    """Or a long recording's windows would pile up before it."""
    n_prepared, most = 0, 0

    def count(*window):
        nonlocal n_prepared
        n_prepared += 1
        return is_loud(*window)

    def note():
        nonlocal most
        time.sleep(0.2)
        most = max(most, n_prepared - hearing._TOGETHER * len(network.n_clips))

    network = WatchedNetwork(note)
    timeline.hear(network, count, (talk(170.0), RATE), hop_s=HOP_S, threads=2)
    assert len(network.n_clips) > 4
    assert most <= 2 * hearing._TOGETHER


def test_long_windows_are_weighed_not_counted():
    """A hundred of ten minutes each would be gigabytes."""
    network, n_frames = WatchedNetwork(), hearing._MOST_FRAMES // 4 + 1
    several = hearing.Hearing(network, 0.0, None)
    for number in range(9):
        clip = np.full((64, n_frames), float(number), np.float32)
        several.add(hearing.Prepared(number, number + 1.0, number, number + 1.0, clip))
        assert sum(network.n_clips) >= number + 1 - 4
    assert network.batch_sizes == {3}
    windows = several.take(everything=True)
    assert [window.start_s for window in windows] == list(range(9))


def test_a_pool_that_takes_no_more_is_done_without():
    network = WatchedNetwork()
    with ThreadPoolExecutor(1) as executor:
        several = hearing.Hearing(network, 0.0, executor)
        for number in range(3 * hearing._TOGETHER):
            several.add(hearing.Prepared(number, number + 1.0, number, number + 1.0, np.ones((64, 9), np.float32)))
            if number == hearing._TOGETHER:
                executor.shutdown()
    assert [window.start_s for window in several.take(everything=True)] == list(range(3 * hearing._TOGETHER))
    assert threading.get_ident() in network.threads


@pytest.mark.parametrize("threads", [1, 2])
def test_what_goes_wrong_in_the_network_comes_out(threads):
    def fail():
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        hear(WatchedNetwork(fail), threads=threads)


@pytest.mark.parametrize("cores", [1, 2])
def test_there_are_as_many_threads_as_cores(monkeypatch, cores):
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    network = WatchedNetwork()
    hear(network)
    assert (threading.get_ident() in network.threads) == (cores == 1)


@pytest.mark.parametrize("threads", [0, 3, -1])
def test_other_numbers_of_threads_are_refused(threads):
    with pytest.raises(SettingError, match=f"{threads} threads. Give 1 or 2"):
        hear(WatchedNetwork(), threads=threads)
