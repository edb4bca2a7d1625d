"""Live audio of one speaker: the answers of a recording, a loop that is never blocked, and a bound on what waits."""

import asyncio
import threading
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import emocatcher
from emocatcher.foundation.errors import ModelError, SettingError
from emocatcher.integrations.live_speaker import Chunk, LiveSpeaker, note_on
from emocatcher.recognition.timeline import Segment, Window

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer() -> emocatcher.Recognizer:
    return emocatcher.load("cabg")


class Streams:
    """A recogniser whose streams keep what is pushed, and answer each chunk with one window."""

    def __init__(self, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        self.config = SimpleNamespace(abstain_below=0.5)
        self.gate, self.error = gate, error
        self.pushed: list[list[np.ndarray]] = []
        self.threads: set[int] = set()

    def stream(self, rate: int, window_s: float, hop_s: float, *, abstain_below: float) -> Any:
        own: list[np.ndarray] = []

        def push(samples: np.ndarray) -> list[Window]:
            self.threads.add(threading.get_ident())
            assert self.gate is None or self.gate.wait(5), "the loop was blocked"
            if self.error is not None:
                raise self.error
            if not own:
                self.pushed.append(own)
            first_s = sum(map(len, own)) / rate
            own.append(samples)
            return [window(first_s, len(samples) / rate)]

        return SimpleNamespace(push=push, finish=list)


def window(start_s: float, length_s: float, *, speech: bool = True) -> Window:
    end_s = start_s + length_s
    return Window(
        start_s=start_s, end_s=end_s, time_s=start_s + length_s / 2, speech=speech, emotion="sad", probability=0.75,
        abstain=False, probabilities={"glad": 0.25, "sad": 0.75}, voiced_start_s=start_s, voiced_end_s=end_s,
    )  # fmt: skip


def chunks(samples: np.ndarray, rate: int = RATE, length_s: float = 0.02) -> list[Chunk]:
    """Frames as they come from a call."""
    n = round(length_s * rate)
    return [
        Chunk.of(samples[i : i + n].tobytes(), rate, samples.shape[1]) for i in range(0, len(samples), n)
    ]  # fmt: skip


def silence(seconds: float) -> Chunk:
    return Chunk(np.zeros((round(seconds * RATE), 1), np.int16), RATE)


async def everything(speaker: LiveSpeaker) -> list[Window | Segment]:
    speaker.end()
    return [result async for result in speaker.results()]


@pytest.mark.parametrize(("rate", "n_channels"), [(8_000, 1), (16_000, 2), (24_000, 1), (48_000, 2)])
def test_the_windows_are_those_of_the_timeline(recognizer, made_voice, rate: int, n_channels: int) -> None:
    samples = made_voice(1.3, rate, n_channels)
    speaker = LiveSpeaker(recognizer, window_s=1.0, hop_s=0.25)
    for chunk in chunks(samples, rate):
        speaker.push(chunk)
    found = asyncio.run(everything(speaker))
    expected = [one for one in recognizer.timeline((samples, rate), 1.0, 0.25).windows if one.speech]
    assert [one.emotion for one in found] == [one.emotion for one in expected]
    for name in ("start_s", "end_s", "time_s", "voiced_start_s", "voiced_end_s", "probability"):
        assert [getattr(one, name) for one in found] == pytest.approx(
            [getattr(one, name) for one in expected], abs=1e-5
        )
    assert len(found) >= 2


def test_a_short_turn_has_the_answer_that_a_recording_of_it_has(recognizer, made_voice) -> None:
    samples = np.concatenate([np.zeros((8_000, 1), np.int16), made_voice(1.0)])
    speaker = LiveSpeaker(recognizer)

    async def turn() -> Segment:
        for chunk in chunks(samples[:12_000]):
            speaker.push(chunk)
        speaker.start_turn()  # 0.25 s after the voice began
        for chunk in chunks(samples[12_000:]):
            speaker.push(chunk)
        answer = speaker.end_turn()
        *_, last = await everything(speaker)
        assert await answer == last
        return await answer

    found = asyncio.run(turn())
    expected = recognizer.predict((samples[4_000:], RATE))
    assert (found.emotion, found.abstain) == (expected.emotion, expected.abstain)
    assert found.probability == pytest.approx(expected.probabilities[expected.emotion], abs=1e-5)
    assert found.start_s == pytest.approx(0.25 + expected.voiced_start_s, abs=0.01)


def test_the_network_runs_in_a_thread_while_the_loop_goes_on() -> None:
    gate = threading.Event()
    recognizer = Streams(gate)

    async def talk() -> None:
        speaker = LiveSpeaker(recognizer)
        reading = asyncio.create_task(anext(speaker.results()))
        speaker.push(silence(0.1))
        await asyncio.sleep(0.01)
        gate.set()  # reached only if the loop is free
        await reading

    asyncio.run(talk())
    assert threading.get_ident() not in recognizer.threads


def test_short_frames_are_recognised_a_tenth_of_a_second_at_a_time() -> None:
    recognizer = Streams()
    speaker = LiveSpeaker(recognizer)
    levels = np.arange(RATE, dtype=np.int16)[: round(0.57 * RATE), None]
    for chunk in chunks(levels, length_s=0.01):  # as WebRTC has them
        speaker.push(chunk)
    asyncio.run(everything(speaker))
    (parts,) = recognizer.pushed
    assert [len(one) / RATE for one in parts] == pytest.approx([0.1] * 5 + [0.07])
    assert np.array_equal(np.concatenate(parts), levels)


def test_what_waits_is_bounded_and_no_window_joins_both_sides_of_a_gap() -> None:
    gate = threading.Event()
    recognizer = Streams(gate)

    async def talk() -> tuple[LiveSpeaker, list[Any]]:
        speaker = LiveSpeaker(recognizer, most_behind_s=2.0)
        found: list[Any] = []

        async def read() -> None:
            found.extend([one async for one in speaker.results()])

        reading = asyncio.create_task(read())
        speaker.push(silence(0.5))
        await asyncio.sleep(0.01)  # the network is at work on this one
        for _ in range(9):
            speaker.push(silence(0.5))
        gate.set()
        speaker.end()
        await reading
        return speaker, found

    speaker, found = asyncio.run(talk())
    assert speaker.dropped_s == 4.0
    assert [[len(one) / RATE for one in section] for section in recognizer.pushed] == [[0.5], [0.5]]
    assert [one.start_s for one in found] == [0.0, 4.5]  # the newest is kept, and times count from the first sample


def test_without_a_reader_the_audio_that_waits_is_bounded() -> None:
    speaker = LiveSpeaker(Streams(), most_behind_s=1.0)
    for _ in range(100):
        speaker.push(silence(0.25))
    assert 24.0 <= speaker.dropped_s < 25.0


def test_after_the_first_turn_only_turns_are_recognised_with_the_half_second_before() -> None:
    recognizer = Streams()

    async def talk() -> list[Any]:
        speaker = LiveSpeaker(recognizer)
        levels = iter(range(1, 100))

        def push(seconds: float) -> None:
            for _ in range(round(10 * seconds)):
                speaker.push(Chunk(np.full((1600, 1), next(levels), np.int16), RATE))

        push(1.0)
        for pause_s in (2.0, 0.2, 1.0):
            speaker.start_turn()
            push(0.4)
            speaker.end_turn()
            push(pause_s)
        return await everything(speaker)

    found = asyncio.run(talk())
    before, first, second, third = ([int(one[0, 0]) for one in section] for section in recognizer.pushed)
    assert before == [*range(1, 11)]
    assert first == [*range(6, 15)]
    assert second == [*range(30, 39)]
    assert third == [*range(39, 45)]  # only what came after the turn before
    turns = [one for one in found if isinstance(one, Segment)]
    assert [one.start_s for one in turns] == pytest.approx([0.5, 2.9, 3.8])
    assert [one.end_s for one in turns] == pytest.approx([1.4, 3.8, 4.4])
    assert [(one.emotion, one.probability, one.abstain) for one in turns] == [("sad", 0.75, False)] * 3


def test_another_rate_or_number_of_channels_begins_a_new_stream(recognizer, made_voice) -> None:
    speaker = LiveSpeaker(recognizer, window_s=1.0, hop_s=1.0)
    for rate, n_channels in ((16_000, 1), (16_000, 2), (8_000, 2)):
        for chunk in chunks(made_voice(1.0, rate, n_channels), rate, 0.1):
            speaker.push(chunk)
    assert [one.start_s for one in asyncio.run(everything(speaker))] == pytest.approx([0.0, 1.0, 2.0])


def test_a_turn_without_speech_and_a_turn_after_the_end_have_no_emotion(recognizer) -> None:
    async def talk() -> tuple[Segment, Segment]:
        speaker = LiveSpeaker(recognizer)
        speaker.push(silence(1.0))
        quiet = speaker.end_turn()
        assert await everything(speaker) == [await quiet]
        return await quiet, await asyncio.wait_for(speaker.end_turn(), 5)

    for turn in asyncio.run(talk()):
        assert (turn.emotion, turn.probability, turn.abstain, note_on(turn)) == (None, None, True, None)


def test_if_the_network_fails_the_reader_gets_the_error_and_nobody_waits_for_ever() -> None:
    async def talk() -> Segment:
        speaker = LiveSpeaker(Streams(error=ModelError("broken")))
        speaker.push(silence(0.1))
        turn = speaker.end_turn()
        with pytest.raises(ModelError, match="broken"):
            await everything(speaker)
        speaker.push(silence(0.1))  # ignored
        return await asyncio.wait_for(turn, 5)

    assert asyncio.run(talk()).emotion is None


def test_a_reader_that_is_cancelled_leaves_nobody_waiting() -> None:
    gate = threading.Event()

    async def talk() -> None:
        speaker = LiveSpeaker(Streams(gate))

        async def read() -> None:
            async with aclosing(speaker.results()) as results:
                async for _ in results:
                    pass

        reading = asyncio.create_task(read())
        speaker.push(silence(0.1))
        turn = speaker.end_turn()
        await asyncio.sleep(0.01)
        reading.cancel()
        assert (await asyncio.wait_for(turn, 5)).emotion is None
        gate.set()  # frees the thread

    asyncio.run(talk())


def test_wrong_settings_are_refused_at_once(recognizer) -> None:
    for options in ({"window_s": 0.1}, {"hop_s": 9.0}, {"abstain_below": 2.0}, {"most_behind_s": 0.0}):
        with pytest.raises(SettingError):
            LiveSpeaker(recognizer, **options)
    with pytest.raises(SettingError, match="0 channels"):
        Chunk.of(b"", 16_000, 0)
    assert len(Chunk.of(bytes(7), 16_000, 1).samples) == 3  # half a sample at the end


def test_the_note_states_the_emotion_and_its_probability_only_where_the_model_does_not_abstain() -> None:
    turn = Segment(start_s=0.0, end_s=1.0, emotion="angry", probability=0.62, abstain=False)
    assert "the speaker sounds angry (62%)" in note_on(turn)
    assert note_on(Segment(start_s=0.0, end_s=1.0, emotion="angry", probability=0.3, abstain=True)) is None
