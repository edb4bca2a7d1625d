"""The hook for LiveKit, without a server. With `pip install emocatcher[livekit]`, frames and an agent are real ones."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import emocatcher
from emocatcher.foundation.errors import SettingError
from emocatcher.integrations.livekit import TurnEmotions, recognise
from emocatcher.recognition.timeline import Window

has_livekit = find_spec("livekit") is not None
needs_livekit = pytest.mark.skipif(not has_livekit, reason="needs the extra 'livekit': pip install emocatcher[livekit]")
real = pytest.param(True, id="rtc.AudioFrame", marks=[needs_livekit, pytest.mark.slow])


@pytest.fixture(scope="module")
def recognizer() -> emocatcher.Recognizer:
    return emocatcher.load("cabg")


@pytest.fixture(params=[pytest.param(False, id="same attributes"), real])
def is_real(request: pytest.FixtureRequest) -> bool:
    return request.param


def frames_of(samples: np.ndarray, rate: int, *, real: bool) -> list[Any]:
    """10 ms each, as WebRTC has them; their data is longer than what they hold, as it may be."""
    n, n_channels = rate // 100, samples.shape[1]
    frames = []
    for i in range(0, len(samples), n):
        part = samples[i : i + n]
        data = part.tobytes() + bytes(2 * n_channels)
        if real:
            from livekit import rtc

            frames.append(rtc.AudioFrame(data, rate, n_channels, len(part)))
        else:
            frames.append(
                SimpleNamespace(
                    data=memoryview(data).cast("h"), sample_rate=rate, num_channels=n_channels,
                    samples_per_channel=len(part),
                )
            )  # fmt: skip
    return frames


async def live(frames: list[Any], *, error: Exception | None = None) -> AsyncIterator[Any]:
    for frame in frames:
        yield frame
    if error is not None:
        raise error


async def events(frames: list[Any]) -> AsyncIterator[Any]:
    """As an `rtc.AudioStream` gives them."""
    for frame in frames:
        yield SimpleNamespace(frame=frame)


@pytest.mark.parametrize(("rate", "n_channels"), [(8_000, 1), (48_000, 2)])
def test_the_windows_of_a_track_are_those_of_the_timeline(recognizer, made_voice, is_real, rate, n_channels) -> None:
    samples = made_voice(1.5, rate, n_channels)
    frames = frames_of(samples, rate, real=is_real)

    async def windows(track: AsyncIterator[Any]) -> list[Window]:
        return [one async for one in recognise(track, recognizer, window_s=1.0, hop_s=0.25)]

    expected = [one for one in recognizer.timeline((samples, rate), 1.0, 0.25).windows if one.speech]
    assert expected
    for track in (live(frames), events(frames)):
        found = asyncio.run(windows(track))
        assert [one.start_s for one in found] == pytest.approx([one.start_s for one in expected])
        assert [one.emotion for one in found] == [one.emotion for one in expected]
        assert [one.probability for one in found] == pytest.approx([one.probability for one in expected], abs=1e-5)


def test_what_ends_the_track_reaches_the_reader_after_its_last_window(recognizer, made_voice) -> None:
    found = []

    async def windows() -> None:
        track = live(frames_of(made_voice(1.0), 16_000, real=False), error=ConnectionError("lost"))
        async for one in recognise(track, recognizer):
            found.append(one)  # noqa: PERF401  # what came before the error stays

    with pytest.raises(ConnectionError, match="lost"):
        asyncio.run(windows())
    assert len(found) == 1


def test_a_reader_that_leaves_early_stops_the_track(recognizer, made_voice) -> None:
    closed = asyncio.Event()

    async def track() -> AsyncIterator[Any]:
        try:
            for frame in frames_of(made_voice(1.2), 16_000, real=False):
                yield frame
            await asyncio.sleep(60)
        finally:
            closed.set()

    async def first() -> Window:
        windows = recognise(track(), recognizer, window_s=1.0)
        found = await anext(windows)
        await asyncio.wait_for(windows.aclose(), 5)
        assert closed.is_set()
        return found

    assert asyncio.run(first()).end_s == pytest.approx(1.0)


class Subscribed:
    """As an `rtc.AudioStream`, whose audio waits without bound until it is closed."""

    def __init__(self, frames: list[Any]) -> None:
        self.frames, self.closed = iter(frames), False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        for frame in self.frames:
            return SimpleNamespace(frame=frame)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


def test_a_track_is_closed_at_its_end_and_when_its_reader_leaves(recognizer, made_voice) -> None:
    async def read(*, all_of_it: bool) -> bool:
        track = Subscribed(frames_of(made_voice(1.2), 16_000, real=False))
        windows = recognise(track, recognizer, window_s=0.5, hop_s=0.5)
        async with aclosing(windows):
            async for _ in windows:
                if not all_of_it:
                    break
        return track.closed

    assert asyncio.run(read(all_of_it=True))
    assert asyncio.run(read(all_of_it=False))


def test_a_tap_passes_the_frames_themselves_on_and_answers_for_each_turn(recognizer, made_voice, is_real) -> None:
    samples = made_voice(1.0)
    frames = frames_of(samples, 16_000, real=is_real)
    seen: list[Window] = []

    async def call() -> None:
        emotions = TurnEmotions(recognizer, on_window=seen.append)
        assert await emotions.turn() is None  # no audio yet
        passed = []
        tapped = emotions.tap(live([*frames, *frames]))
        async for frame in tapped:
            passed.append(frame)
            if len(passed) in (len(frames), 2 * len(frames)):
                turn = await emotions.turn(within_s=20)
                expected = recognizer.predict((samples, 16_000))
                assert turn.emotion == expected.emotion
                assert turn.probability == pytest.approx(expected.probabilities[turn.emotion], abs=1e-5)
                start_s = (len(passed) - len(frames)) / 100
                assert start_s <= turn.start_s < turn.end_s <= start_s + 1.0
                assert await emotions.turn(within_s=20) is None  # nothing was spoken since
        assert all(one is other for one, other in zip(passed, [*frames, *frames], strict=True))
        assert await emotions.turn() is None  # no audio any more

    asyncio.run(call())
    assert len(seen) == 2


def test_a_turn_that_takes_too_long_has_no_emotion_and_a_second_tap_begins_anew(recognizer, made_voice) -> None:
    frames = frames_of(made_voice(1.0), 16_000, real=False)

    async def call() -> None:
        emotions = TurnEmotions(recognizer)
        for _ in range(2):
            tapped = emotions.tap(live(frames))
            assert [frame async for frame in tapped] == frames
        tapped = emotions.tap(live(frames))
        async for _ in tapped:
            pass_on = await emotions.turn(within_s=0.0)
            assert pass_on is None
            break
        await tapped.aclose()

    asyncio.run(call())


def test_where_recognition_fails_the_frames_still_pass_and_it_is_logged(recognizer, made_voice, caplog) -> None:
    frames = frames_of(made_voice(0.5, 500), 500, real=False)  # a rate that no recording has

    async def call() -> list[Any]:
        emotions = TurnEmotions(recognizer)
        passed = []
        async for frame in emotions.tap(live(frames)):
            passed.append(frame)
            await asyncio.sleep(0)
        assert await emotions.turn() is None
        return passed

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(call()) == frames
    assert "no longer recognised" in caplog.text


def test_a_frame_that_cannot_be_recognised_passes_like_all_others_and_is_logged_once(
    recognizer, made_voice, caplog
) -> None:
    frames = frames_of(made_voice(0.1), 16_000, real=False)
    frames[3] = SimpleNamespace(data=memoryview(b""), sample_rate=0, num_channels=0, samples_per_channel=0)
    frames[5] = SimpleNamespace(data=None, sample_rate=16_000, num_channels=1, samples_per_channel=160)

    async def call() -> list[Any]:
        return [frame async for frame in TurnEmotions(recognizer).tap(live(frames))]

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(call()) == frames
    assert caplog.text.count("no longer recognised") == 1


def test_a_tap_that_ends_at_once_leaves_no_turn_waiting(recognizer, made_voice) -> None:
    async def call() -> None:
        emotions = TurnEmotions(recognizer)
        tapped = emotions.tap(live(frames_of(made_voice(0.1), 16_000, real=False)))
        await anext(tapped)
        await tapped.aclose()
        assert await asyncio.wait_for(emotions.turn(within_s=60), 5) is None

    asyncio.run(call())


def test_wrong_options_are_refused_at_once(recognizer) -> None:
    with pytest.raises(SettingError, match="window"):
        TurnEmotions(recognizer, window_s=0.1)


@pytest.mark.slow
@needs_livekit
def test_a_real_agent_gets_the_emotion_of_the_turn_before_it_answers(recognizer, made_voice) -> None:
    """The agent of the page, in an `AgentSession` without room; its language model keeps what it is asked."""
    pytest.importorskip("livekit.agents")
    from livekit import rtc
    from livekit.agents import AgentSession, llm, stt
    from livekit.agents.voice.io import AudioInput

    samples = made_voice(1.0)
    asked: list[list[str]] = []

    class Stream(llm.LLMStream):
        async def _run(self) -> None:
            asked.append([item.text_content for item in self.chat_ctx.items if item.type == "message"])
            self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=llm.ChoiceDelta(role="assistant", content="Yes.")))

    class Model(llm.LLM):
        def chat(self, *, chat_ctx: Any, tools: Any = None, conn_options: Any = None, **_: Any) -> Stream:
            return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    class Transcription(stt.RecognizeStream):
        async def _run(self) -> None:
            n = 0
            async for item in self._input_ch:
                n += isinstance(item, rtc.AudioFrame)
                if n == 100:
                    said = [stt.SpeechData(language="en", text="Hello?")]
                    self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=said))

    class Transcriber(stt.STT):
        def __init__(self) -> None:
            super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

        async def _recognize_impl(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

        def stream(self, *, conn_options: Any, **_: Any) -> Transcription:
            return Transcription(stt=self, conn_options=conn_options)

    class Line(AudioInput):
        def __init__(self) -> None:
            super().__init__(label="line")
            self.frames: asyncio.Queue[Any] = asyncio.Queue()

        async def __anext__(self) -> Any:
            return await self.frames.get()

    page = (Path(__file__).parents[2] / "docs" / "voice-agents.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(from livekit\.agents .*?)^```$", page, re.DOTALL | re.MULTILINE)[0], names)

    async def call() -> None:
        line, session = Line(), AgentSession(llm=Model(), stt=Transcriber(), turn_handling={"turn_detection": "manual"})
        agent = names["AttentiveAgent"]()
        agent.emotions = TurnEmotions(recognizer, abstain_below=0.0)
        session.input.audio = line
        await session.start(agent)
        for frame in frames_of(samples, 16_000, real=True):
            line.frames.put_nowait(frame)
        await asyncio.sleep(0.5)
        session.commit_user_turn(transcript_timeout=1.0)
        for _ in range(200):
            if asked:
                break
            await asyncio.sleep(0.05)
        await session.aclose()

    asyncio.run(call())
    expected = recognizer.predict((samples, 16_000))
    assert any(f"sounds {expected.emotion}" in text for text in asked[0]), asked
    assert "Hello?" in asked[0]
