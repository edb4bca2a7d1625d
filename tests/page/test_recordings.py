"""Dropped and chosen files get Python's predictions, and files that are not recordings are refused with a message."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.recognition.json_schema import prediction_schema
from emocatcher.recognition.recognizer import Recognizer
from emocatcher.recognition.timeline import Window

from .conftest import Tab, is_doubtful, write_m4a

pytestmark = pytest.mark.page
CLOSE = 1e-3


def difference(found: dict[str, Any], expected: Any) -> float:
    assert found["probabilities"].keys() == expected.probabilities.keys()
    return max(abs(found["probabilities"][label] - p) for label, p in expected.probabilities.items())


def test_a_dropped_wav_gets_pythons_prediction(tab: Tab, clip: Path, recognizer: Recognizer) -> None:
    tab.drop(clip, "audio/wav")
    tab.wait_for_answer()
    found, expected = tab.prediction(), recognizer.predict(clip)
    assert difference(found, expected) < CLOSE
    assert found["emotion"] == expected.emotion
    assert found["path"] == clip.name
    for name in ("voiced_start_s", "voiced_end_s", "duration_s", "margin", "entropy"):
        assert found[name] == pytest.approx(getattr(expected, name), abs=1e-2), name
    assert len(found["attention"]) == len(expected.attention)
    assert np.allclose(found["attention"], expected.attention, atol=CLOSE)
    jsonschema.validate(found, prediction_schema())
    answer = tab.page.locator("[data-answer]").get_attribute("data-answer")
    assert expected.emotion in answer
    assert answer.startswith("not sure: ") == expected.abstain


CHANGES = {
    "offset": lambda w: w + np.float32(0.01),
    "opposite phase": lambda w: np.stack([w, -0.9 * w], axis=1),
    "one channel late": lambda w: np.stack([0.9 * np.roll(w, 44), w], axis=1),
    "one silent channel": lambda w: np.stack([0 * w, w], axis=1),
    "scale of 16 bits": lambda w: w * np.float32(32_768),
    "a pop before": lambda w: w + 0.3 * (np.abs(np.arange(len(w)) - 2_300) < 100).astype(np.float32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_unusual_waveforms_get_pythons_prediction(
    tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer, change: str
) -> None:
    waveform, _ = audio.load(clip, 44_100)
    path = tmp_path / "voice.wav"
    soundfile.write(path, CHANGES[change](waveform), 44_100, subtype="FLOAT")
    tab.choose(path)
    tab.wait_for_answer()
    found, expected = tab.prediction(), recognizer.predict(path)
    assert difference(found, expected) < CLOSE
    here = {"rescaled", "channels-cancel"}
    assert [one for one in found["warnings"] if one["code"] in here] == [
        {"code": one.code, "message": one.message} for one in expected.warnings if one.code in here
    ]


def test_a_dropped_m4a_is_decoded_at_its_own_rate(tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    waveform, _ = audio.load(clip, 44_100)
    path = write_m4a(tmp_path / "voice.m4a", waveform, 44_100)
    tab.drop(path, "audio/mp4")
    tab.wait_for_answer()
    # The two AAC decoders differ: one keeps the silence that the encoder adds before the sound, the other does not.
    assert difference(tab.prediction(), recognizer.predict(path)) < 0.05


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"this is a text, and no recording", ["notes.txt", "decode", "Give WAV"]),
        ("empty.wav", b"", ["empty.wav", "0 bytes", "choose another"]),
    ],
)
def test_a_file_that_is_not_a_recording_is_refused_and_the_page_still_works(
    tab: Tab, clip: Path, tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    tab.drop(path, "text/plain")
    notice = tab.page.locator(".view:visible .notice.is-shown")
    notice.wait_for()
    assert all(word in notice.inner_text() for word in words), notice.inner_text()
    tab.choose(clip)
    tab.wait_for_answer()
    assert not notice.is_visible()


def test_warnings_equal_pythons(tab: Tab, voices_dir: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    """Codes, messages and their order: of damage, of sounds without speech, and of voices."""
    waveform, rate = audio.load(sorted(voices_dir.rglob("*.wav"))[0])
    waveform = waveform / np.abs(waveform).max()
    noise = np.random.default_rng(0).normal(size=2 * rate)
    time = np.arange(2 * rate) / rate
    narrow = audio.resample(audio.resample(waveform, rate, 8_000), 8_000, rate)
    sounds = {
        "clipped": (np.clip(waveform * 3, -1, 1), rate),
        "quiet": (waveform * 1e-3, rate),
        "silent": (np.zeros(rate, np.float32), rate),
        "short": (waveform[rate // 2 : rate // 2 + rate // 5], rate),
        "telephone": (audio.resample(waveform, rate, 8_000) * 0.5, 8_000),
        "hidden-band": (narrow * 0.5, rate),
        "noise": (0.1 * noise, rate),
        "tone": (0.3 * np.sin(2 * np.pi * 440 * time), rate),
        "chord": (0.1 * sum(np.sin(2 * np.pi * hz * time) for hz in (262, 330, 392)), rate),
        "noisy": (0.5 * waveform + 0.05 * np.resize(noise, len(waveform)), rate),
    }
    for i, clip in enumerate(sorted(voices_dir.rglob("*.wav"))[5::60][:4]):
        sounds[f"voice-{i}"] = audio.load(clip)
    seen = set()
    for name, (samples, at) in sounds.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, at, subtype="FLOAT" if name == "quiet" else "PCM_16")
        if is_doubtful(path):
            continue
        compare_warnings(tab, path, recognizer)
        seen |= {one.code for one in recognizer.predict(path).warnings}
        if "no-speech" in {one.code for one in recognizer.predict(path).warnings}:
            assert tab.prediction()["emotion"] is None
            assert tab.page.locator(".verdict-word").inner_text() == "No speech found"
            assert all(one["emotion"] is None for one in json.loads(tab.saved("-timeline.json"))["windows"])
            assert tab.page.locator(".segment:not(.is-silent), .river .band, .answer .bar-row").count() == 0, name
    cut = tmp_path / "cut.wav"
    cut.write_bytes((tmp_path / "clipped.wav").read_bytes()[:-20_000])
    compare_warnings(tab, cut, recognizer)
    assert {"no-speech", "clipped", "narrow-band", "very-quiet"} <= seen


def compare_warnings(tab: Tab, path: Path, recognizer: Recognizer) -> None:
    tab.choose(path)
    tab.page.wait_for_function(
        "name => document.querySelector('.result').dataset.prediction?.includes(name)", arg=path.name
    )
    tab.wait_for_answer()
    found = [(one["code"], one["message"]) for one in tab.prediction()["warnings"]]
    expected = [(one.code, one.message) for one in recognizer.predict(path).warnings if one.code != "no-voiced-span"]
    assert found == expected, path.name


def streamed(recognizer: Recognizer, path: Path) -> list[Window]:
    """Python's windows where each is processed separately, as the page does; a timeline encodes shared frames once."""
    samples, rate = audio.load(path, recognizer.config.settings.front_end.sample_rate)
    stream = recognizer.stream(rate)
    return [*stream.push(samples), *stream.finish()]


def test_the_timeline_has_pythons_windows_and_segments_without_gaps(
    tab: Tab, spoken: Path, recognizer: Recognizer
) -> None:
    tab.choose(spoken)
    tab.wait_for_answer()
    found, expected = json.loads(tab.saved("-timeline.json")), recognizer.timeline(spoken)
    assert found["labels"] == list(expected.labels)
    times = [(one["start_s"], one["end_s"], one["time_s"]) for one in found["windows"]]
    assert np.allclose(times, [(one.start_s, one.end_s, one.time_s) for one in expected.windows], atol=1e-6)
    windows = streamed(recognizer, spoken)
    same = [a["emotion"] == b.emotion for a, b in zip(found["windows"], windows, strict=True) if b.speech]
    # Python also uses the sound around a window's edges.
    assert np.mean(same) >= 0.8
    bounds = [(one["start_s"], one["end_s"]) for one in found["segments"]]
    assert bounds[0][0] == 0
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))


def test_a_long_recording_is_judged_by_the_shares_of_its_windows(
    tab: Tab, spoken: Path, recognizer: Recognizer
) -> None:
    tab.choose(spoken)
    tab.page.wait_for_function(
        "name => document.querySelector('.result').dataset.prediction?.includes(name)", arg=spoken.name
    )
    tab.wait_for_answer()
    found, expected = tab.prediction(), recognizer.predict(spoken)
    jsonschema.validate(found, prediction_schema())
    assert found["shares"].keys() == expected.shares.keys()
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert found["attention"] == []
    assert not {one["code"] for one in found["warnings"]} & {"too-short", "too-long"}
    windows = [one for one in json.loads(tab.saved("-timeline.json"))["windows"] if one["speech"]]
    for label, probability in found["probabilities"].items():
        assert probability == pytest.approx(np.mean([one["probabilities"][label] for one in windows]), abs=1e-6)


@pytest.mark.corpus
def test_six_clips_of_ravdess_in_a_row_get_pythons_shares(
    tab: Tab, ravdess_dir: Path, tmp_path: Path, recognizer: Recognizer
) -> None:
    clips = sorted(ravdess_dir.rglob("03-01-*.flac"))[::241][:6]
    pieces = [np.concatenate([audio.load(clip, 22_050)[0], np.zeros(3 * 22_050, np.float32)]) for clip in clips]
    path = tmp_path / "six.wav"
    soundfile.write(path, np.concatenate(pieces), 22_050)
    tab.choose(path)
    tab.page.wait_for_function("() => document.querySelector('.result').dataset.prediction?.includes('six.wav')")
    found, expected = tab.prediction(), recognizer.predict(path)
    # A window at the limit between two emotions may get the other one.
    windows = [window for window in streamed(recognizer, path) if window.speech]
    for label in expected.shares:
        share = np.mean([window.emotion == label for window in windows])
        probability = np.mean([window.probabilities[label] for window in windows])
        assert found["shares"][label] == pytest.approx(share, abs=3 / len(windows))
        assert found["probabilities"][label] == pytest.approx(probability, abs=0.01)
    assert {one["code"] for one in found["warnings"]} == {one.code for one in expected.warnings}
    assert (found["voiced_start_s"], found["voiced_end_s"]) == pytest.approx(expected.voiced, abs=0.05)


def test_playback_moves_the_cursor_and_updates_the_current_probabilities(tab: Tab, spoken: Path) -> None:
    tab.choose(spoken)
    tab.wait_for_answer()
    before = tab.page.locator(".moment .bar-value").all_inner_texts()
    tab.page.click(".player .round")
    tab.page.wait_for_function("() => Number(document.querySelector('.stage').ariaValueNow) > 2.5")
    tab.page.click(".player .round")
    tab.page.wait_for_selector(".player .round[aria-label='Play']")
    assert tab.page.locator(".moment .bar-value").all_inner_texts() != before


@pytest.mark.corpus
def test_twenty_clips_of_ravdess_get_pythons_probabilities(tab: Tab, ravdess_dir: Path, recognizer: Recognizer) -> None:
    clips = sorted(ravdess_dir.rglob("03-01-*.flac"))[::73] or sorted(ravdess_dir.rglob("03-01-*.wav"))[::73]
    assert len(clips) == 20
    worst = 0.0
    for clip in clips:
        tab.choose(clip)
        tab.page.wait_for_function(
            "name => document.querySelector('.result').dataset.prediction?.includes(name)", arg=clip.name
        )
        worst = max(worst, difference(tab.prediction(), recognizer.predict(clip)))
    assert worst <= CLOSE
