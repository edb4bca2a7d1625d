"""The processor in Pipecat's own pipeline. With the extra: `pip install emocatcher[pipecat]`, then run this file."""

import ast
import asyncio
import re
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emocatcher
from emocatcher import audio
from emocatcher.foundation.errors import MissingExtraError, SettingError

needs_pipecat = pytest.mark.skipif(
    find_spec("pipecat") is None, reason="needs the extra 'pipecat': pip install emocatcher[pipecat]"
)
pytestmark = pytest.mark.filterwarnings("ignore:'audioop':DeprecationWarning")  # by Pipecat, when it is imported


@pytest.fixture(scope="module")
def recognizer() -> emocatcher.Recognizer:
    return emocatcher.load("cabg")


@pytest.fixture
def played(recognizer) -> Callable[..., list[Any]]:
    """Return a function: frames → what comes out of the processor downstream, and upstream."""

    def play(frames: Iterable[Any], processor: Any = None, **options: Any) -> tuple[list[Any], list[Any]]:
        from pipecat.tests.utils import run_test

        from emocatcher.integrations.pipecat import EmotionProcessor

        processor = processor or EmotionProcessor(recognizer, **options)
        down, up = asyncio.run(run_test(processor, frames_to_send=list(frames), start_timeout=20.0))
        return list(down), list(up)

    return play


def audio_frames(samples: np.ndarray, rate: int, kind: type | None = None, **fields: Any) -> list[Any]:
    """20 ms each."""
    from pipecat.frames.frames import InputAudioRawFrame

    n = rate // 50
    return [
        (kind or InputAudioRawFrame)(
            audio=samples[i : i + n].tobytes(), sample_rate=rate, num_channels=samples.shape[1], **fields
        )
        for i in range(0, len(samples), n)
    ]


def emotions(frames: Iterable[Any]) -> list[Any]:
    from emocatcher.integrations.pipecat import EmotionFrame

    return [frame for frame in frames if isinstance(frame, EmotionFrame)]


@pytest.mark.skipif(find_spec("pipecat") is not None, reason="Pipecat is installed")
def test_without_pipecat_the_error_states_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match=r"needs the extra 'pipecat'\. Install it with: "):
        import_module("emocatcher.integrations.pipecat")


@pytest.mark.slow
@needs_pipecat
@pytest.mark.parametrize(("rate", "n_channels"), [(8_000, 1), (16_000, 2), (24_000, 1), (48_000, 2)])
def test_every_frame_passes_and_each_window_has_an_emotion_frame(
    played, recognizer, made_voice, rate, n_channels
) -> None:
    samples = made_voice(2.2, rate, n_channels)
    sent = audio_frames(samples, rate)
    down, up = played(sent, window_s=1.0, hop_s=0.5)
    found = emotions(down)
    assert [frame for frame in down if frame not in found] == sent
    assert up == []
    windows = [one for one in recognizer.timeline((samples, rate), 1.0, 0.5).windows if one.speech]
    assert len(windows) == len(found) >= 3
    for frame, window in zip(found, windows, strict=True):
        assert (frame.emotion, frame.abstain, frame.is_turn) == (window.emotion, window.abstain, False)
        assert [frame.probability, frame.start_s, frame.end_s] == pytest.approx(
            [window.probability, window.start_s, window.end_s], abs=1e-5
        )


@pytest.mark.slow
@needs_pipecat
def test_each_turn_has_its_emotion_and_a_note_only_where_asked(played, made_voice) -> None:
    from pipecat.frames import frames as kinds

    sent = [
        *audio_frames(np.zeros((16_000, 1), np.int16), 16_000),
        kinds.VADUserStartedSpeakingFrame(),
        *audio_frames(made_voice(1.0), 16_000),
        kinds.VADUserStoppedSpeakingFrame(),
        kinds.UserStartedSpeakingFrame(),  # the pipeline's turn, which is later, changes nothing
        *audio_frames(made_voice(2.0), 16_000),  # between turns: not recognised
        kinds.UserStoppedSpeakingFrame(),
    ]
    for role in (None, "developer"):
        down, _ = played(sent, note_role=role, abstain_below=0.0)
        window, turn = emotions(down)
        assert (window.is_turn, turn.is_turn) == (False, True)
        assert turn.emotion == window.emotion
        assert 0.8 < turn.start_s < turn.end_s <= 2.0
        notes = [frame for frame in down if isinstance(frame, kinds.LLMMessagesAppendFrame)]
        assert len(notes) == (role is not None)
        for note in notes:
            (message,) = note.messages
            assert message["role"] == role
            assert f"sounds {turn.emotion} ({turn.probability:.0%})" in message["content"]
            assert note.run_llm is False
    down, _ = played(sent, note_role="developer", abstain_below=1.0)
    assert all(frame.abstain for frame in emotions(down))
    assert not [frame for frame in down if isinstance(frame, kinds.LLMMessagesAppendFrame)]


@pytest.mark.slow
@needs_pipecat
def test_the_pipelines_turns_serve_where_there_is_no_voice_activity_detector(played, made_voice) -> None:
    from pipecat.frames import frames as kinds

    sent = [
        kinds.UserStartedSpeakingFrame(),
        *audio_frames(made_voice(1.0), 16_000),
        kinds.UserStoppedSpeakingFrame(),
    ]
    assert [frame.is_turn for frame in emotions(played(sent)[0])] == [False, True]


@pytest.mark.slow
@needs_pipecat
def test_an_interruption_neither_drops_emotions_nor_restarts_recognition(played, recognizer, made_voice) -> None:
    from pipecat.frames.frames import InterruptionFrame, SystemFrame

    first, second = np.split(samples := made_voice(2.4), 2)
    sent = [*audio_frames(first, 16_000), InterruptionFrame(), *audio_frames(second, 16_000)]
    found = emotions(played(sent, window_s=1.0, hop_s=0.2)[0])
    assert all(isinstance(frame, SystemFrame) for frame in found)  # Pipecat drops others from its queues
    starts_s = [frame.start_s for frame in found]
    windows = [one for one in recognizer.timeline((samples, 16_000), 1.0, 0.2).windows if one.speech]
    assert starts_s == pytest.approx([one.start_s for one in windows])
    assert any(one.start_s < 1.2 < one.end_s for one in windows)  # one across the interruption


@pytest.mark.slow
@needs_pipecat
def test_only_the_named_participant_is_recognised(played, made_voice) -> None:
    from pipecat.frames.frames import UserAudioRawFrame

    def sent(user: str) -> list[Any]:
        return audio_frames(made_voice(1.0), 16_000, UserAudioRawFrame, user_id=user)

    assert len(emotions(played(sent("ara"), user_id="ara")[0])) == 1
    assert emotions(played(sent("bora"), user_id="ara")[0]) == []


@pytest.mark.slow
@needs_pipecat
def test_where_recognition_fails_an_error_goes_upstream_and_the_call_goes_on(played, made_voice) -> None:
    from pipecat.frames.frames import ErrorFrame

    sent = audio_frames(made_voice(0.5, 500), 500)  # a rate that no recording has
    down, up = played(sent)
    assert down == sent
    (error,) = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert "500" in error.error
    assert not error.fatal


@pytest.mark.slow
@needs_pipecat
def test_any_error_of_recognition_goes_upstream_also_one_that_is_not_of_this_package(
    played, recognizer, made_voice, monkeypatch
) -> None:
    from pipecat.frames.frames import ErrorFrame

    def run(*_: Any, **__: Any) -> None:
        raise MemoryError("not enough memory")

    monkeypatch.setattr(recognizer, "run", run)
    sent = audio_frames(made_voice(1.2), 16_000)
    down, up = played(sent, window_s=1.0)
    assert down == sent
    (error,) = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert "not enough memory" in error.error


@pytest.mark.slow
@needs_pipecat
def test_a_frame_without_channels_passes_like_all_others(played, made_voice) -> None:
    from pipecat.frames.frames import ErrorFrame

    sent = audio_frames(made_voice(0.2), 16_000)
    for frame in sent[2:4]:
        frame.num_channels = 0
    down, up = played(sent)
    assert down == sent
    (error,) = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert "0 channels" in error.error


@pytest.mark.slow
@needs_pipecat
def test_a_cancelled_pipeline_ends_at_once_and_leaves_no_task(recognizer, made_voice) -> None:
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.workers.runner import WorkerRunner

    from emocatcher.integrations.pipecat import EmotionProcessor

    async def call() -> set[Any]:
        worker = PipelineWorker(Pipeline([EmotionProcessor(recognizer)]), cancel_on_idle_timeout=False)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0.2)
        for frame in audio_frames(made_voice(4.0), 16_000):
            await worker.queue_frame(frame)
        await worker.cancel()
        await asyncio.wait_for(running, 20)
        return {task for task in asyncio.all_tasks() - {asyncio.current_task()} if "Emotion" in task.get_name()}

    assert asyncio.run(call()) == set()


@needs_pipecat
@pytest.mark.slow
def test_wrong_options_are_refused_when_the_processor_is_made(recognizer) -> None:
    from emocatcher.integrations.pipecat import EmotionProcessor

    with pytest.raises(SettingError, match="window"):
        EmotionProcessor(recognizer, window_s=0.1)


PAGE = Path(__file__).parents[2] / "docs" / "voice-agents.md"


@needs_pipecat
@pytest.mark.slow
def test_the_agent_of_the_page_sends_a_caller_on_this_machine_the_emotion_of_its_turn(voices, tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    blocks = re.findall(
        r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    for name, block in blocks:
        (tmp_path / name).write_text(block.replace("8765", str(port)), encoding="utf-8")
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        strong = next(one for one in voices if "-08-02-" in one.path.name)  # surprised
        waveform, _ = audio.load(strong.path, 16_000)
        file.writeframes((30_000 / np.abs(waveform).max() * waveform).astype(np.int16).tobytes())
    with (tmp_path / "log").open("w") as log:
        agent = subprocess.Popen([sys.executable, "agent.py"], cwd=tmp_path, stderr=log)
    try:
        last = time.monotonic() + 60
        while "pipeline is now ready" not in (tmp_path / "log").read_text(encoding="utf-8"):
            assert agent.poll() is None, (tmp_path / "log").read_text(encoding="utf-8")
            assert time.monotonic() < last
            time.sleep(0.1)
        caller = subprocess.run(
            [sys.executable, "caller.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert caller.returncode == 0, caller.stderr
        assert agent.wait(30) == 0  # it ends with the call
    finally:
        agent.kill()
        agent.wait()
    messages = [ast.literal_eval(line) for line in caller.stdout.splitlines()]
    assert messages, caller.stderr
    assert [message["is_turn"] for message in messages] == [False, True]
    assert messages[1].keys() == {"emotion", "probability", "abstain", "is_turn", "from_s", "to_s"}


def test_the_code_of_the_page_compiles() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    for block in blocks:
        compile(block, PAGE.name, "exec")


def test_neither_library_loads_with_the_package() -> None:
    code = (
        "import sys, emocatcher.integrations.livekit, emocatcher.integrations.live_speaker;"
        "assert not {'pipecat', 'livekit'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
