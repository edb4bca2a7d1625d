"""The network gives the same results in threads of its own or the caller's, in order, and few windows wait for it."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import timeline
from emocatcher.recognition.timeline import window_batches

from .conftest import RATE, MadeNetwork, is_loud, talk

WAVEFORM = talk(90.0)
HOP_S = 0.2  # 436 windows, several groups


class WatchedNetwork(MadeNetwork):
    """Records the thread, batch size and number of clips of each call; calls `before` first."""

    def __init__(self, before=lambda: None):
        super().__init__()
        self.threads, self.batch_sizes, self.n_clips, self.before = set(), set(), [], before

    def run(self, channels, batch_size=64):
        self.before()
        self.threads.add(threading.get_ident())
        self.n_clips.append(len(channels))
        self.batch_sizes.add(batch_size)
        return super().run(channels, batch_size)


def recognise(network, **options):
    return timeline.recognise(network, is_loud, (WAVEFORM, RATE), hop_s=HOP_S, **options)


def test_one_thread_and_two_give_the_same_results():
    one, two = WatchedNetwork(), WatchedNetwork()
    with_one, with_two = recognise(one, threads=1), recognise(two, threads=2)
    assert with_one.windows == with_two.windows
    assert with_one.segments == with_two.segments
    assert sorted(one.n_clips) == sorted(two.n_clips)
    assert len(one.n_clips) > 2
    assert one.threads == {threading.get_ident()}
    assert len(two.threads) <= 2
    assert not two.threads & one.threads


def test_two_batches_of_a_group_run_at_once():
    both, calls = threading.Barrier(2, timeout=30), itertools.count()
    network = WatchedNetwork(lambda: both.wait() if next(calls) < 2 else None)
    recognise(network, threads=2)
    assert len(network.threads) == 2


def test_windows_with_the_same_voiced_span_are_recognised_once():
    network = WatchedNetwork()
    batches = window_batches.WindowBatches(network, 0.0, None)
    clips = {at: np.full((64, 20), float(at), np.float32) for at in (0, 40, 80)}
    for number, at in enumerate((0, 40, 40, None, 40, 80, 0)):
        clip = None if at is None else clips[at]
        batches.add(window_batches.PreparedWindow(number, number + 1.0, number, number + 1.0, clip, at or 0))
    windows = batches.take(everything=True)
    assert network.n_clips == [3]
    answers = [tuple((window.probabilities or {}).values()) for window in windows]
    assert answers[0] == answers[6] != answers[1] == answers[2] == answers[4] != answers[5]
    assert answers[3] == ()


def test_the_same_voiced_span_beside_a_louder_sound_is_another_clip():
    network = WatchedNetwork()
    batches = window_batches.WindowBatches(network, 0.0, None)
    quiet = np.linspace(-90.0, -20.0, 64 * 20, dtype=np.float32).reshape(64, 20)
    for number, clip in enumerate((quiet, np.maximum(quiet, -80.0), np.maximum(quiet, -80.0), quiet)):
        batches.add(window_batches.PreparedWindow(number, number + 1.0, number, number + 1.0, clip, 40))
    answers = [tuple((window.probabilities or {}).values()) for window in batches.take(everything=True)]
    assert answers[0] == answers[3] != answers[1] == answers[2]


def test_windows_come_in_order_whatever_time_the_network_takes():
    network = WatchedNetwork(lambda: time.sleep(0.05 if len(network.n_clips) % 2 else 0.0))
    windows = recognise(network, threads=2).windows
    assert [window.start_s for window in windows][:-1] == pytest.approx([HOP_S * i for i in range(len(windows) - 1)])


def test_the_next_windows_are_prepared_while_the_network_runs():
    n_prepared, enough = 0, threading.Event()

    def count(*window):
        nonlocal n_prepared
        n_prepared += 1
        if n_prepared > 1.5 * window_batches._GROUP_SIZE:
            enough.set()
        return is_loud(*window)

    def wait():
        assert enough.wait(30), "no window was prepared while the network ran"

    network = WatchedNetwork(wait)
    timeline.recognise(network, count, (WAVEFORM, RATE), hop_s=HOP_S, threads=2)
    assert network.n_clips


def test_preparation_waits_for_a_slow_network():
    """Otherwise a long recording's windows would accumulate in memory."""
    n_prepared, most = 0, 0

    def count(*window):
        nonlocal n_prepared
        n_prepared += 1
        return is_loud(*window)

    def note():
        nonlocal most
        time.sleep(0.2)
        most = max(most, n_prepared - window_batches._GROUP_SIZE * len(network.n_clips))

    network = WatchedNetwork(note)
    timeline.recognise(network, count, (talk(170.0), RATE), hop_s=HOP_S, threads=2)
    assert len(network.n_clips) > 4
    assert most <= 2 * window_batches._GROUP_SIZE


def test_groups_of_long_windows_are_bounded_by_frames():
    """A hundred windows of ten minutes each would take gigabytes."""
    network, n_frames = WatchedNetwork(), window_batches._MAX_FRAMES // 4 + 1
    batches = window_batches.WindowBatches(network, 0.0, None)
    for number in range(9):
        clip = np.full((64, n_frames), float(number), np.float32)
        batches.add(window_batches.PreparedWindow(number, number + 1.0, number, number + 1.0, clip, number))
        assert sum(network.n_clips) >= number + 1 - 4
    assert network.batch_sizes == {1, 3}
    windows = batches.take(everything=True)
    assert [window.start_s for window in windows] == list(range(9))


def test_the_network_runs_in_this_thread_when_the_pool_has_shut_down():
    network = WatchedNetwork()
    with ThreadPoolExecutor(1) as executor:
        batches = window_batches.WindowBatches(network, 0.0, executor)
        for number in range(3 * window_batches._GROUP_SIZE):
            batches.add(
                window_batches.PreparedWindow(
                    number, number + 1.0, number, number + 1.0, np.ones((64, 9), np.float32), number
                )
            )
            if number == window_batches._GROUP_SIZE:
                executor.shutdown()
    assert [window.start_s for window in batches.take(everything=True)] == list(range(3 * window_batches._GROUP_SIZE))
    assert threading.get_ident() in network.threads


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_the_network_is_raised(threads):
    def fail():
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        recognise(WatchedNetwork(fail), threads=threads)


@pytest.mark.parametrize("cores", [1, 2])
def test_the_default_number_of_threads_follows_the_cores(monkeypatch, cores):
    monkeypatch.setattr(process_setup, "usable_cores", lambda: cores)
    network = WatchedNetwork()
    recognise(network)
    assert (threading.get_ident() in network.threads) == (cores == 1)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_thread_is_refused(threads):
    with pytest.raises(SettingError, match=f"{threads} threads. Give 1 or more"):
        recognise(WatchedNetwork(), threads=threads)
