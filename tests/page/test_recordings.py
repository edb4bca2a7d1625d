"""Drop a file, choose a file: the answer is Python's, and what is no recording is refused in words."""

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

from .conftest import Tab, write_m4a

pytestmark = pytest.mark.page
CLOSE = 1e-3


def differs(found: dict[str, Any], wanted: Any) -> float:
    assert found["probabilities"].keys() == wanted.probabilities.keys()
    return max(abs(found["probabilities"][label] - p) for label, p in wanted.probabilities.items())


def test_a_dropped_wav_gets_pythons_answer(tab: Tab, clip: Path, recognizer: Recognizer) -> None:
    tab.drop(clip, "audio/wav")
    tab.answered()
    found, wanted = tab.prediction(), recognizer.predict(clip)
    assert differs(found, wanted) < CLOSE
    assert found["emotion"] == wanted.emotion
    assert found["path"] == clip.name
    for name in ("voiced_start_s", "voiced_end_s", "duration_s", "margin", "entropy"):
        assert found[name] == pytest.approx(getattr(wanted, name), abs=1e-2), name
    assert len(found["attention"]) == len(wanted.attention)
    assert np.allclose(found["attention"], wanted.attention, atol=CLOSE)
    jsonschema.validate(found, prediction_schema())
    said = tab.page.locator("[data-answer]").get_attribute("data-answer")
    assert wanted.emotion in said
    assert said.startswith("not sure: ") == wanted.abstain


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(44_100, 2, "PCM_24"), (8_000, 1, "PCM_16"), (47_999, 1, "FLOAT")]
)
def test_any_rate_and_width_is_resampled_as_well(
    tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer, rate: int, channels: int, subtype: str
) -> None:
    waveform, _ = audio.load(clip, rate)
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.stack([waveform] * channels, axis=1), rate, subtype=subtype)
    tab.choose(path)
    tab.answered()
    assert differs(tab.prediction(), recognizer.predict(path)) < CLOSE


def test_a_dropped_m4a_is_decoded_at_its_own_rate(tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    waveform, _ = audio.load(clip, 44_100)
    path = write_m4a(tmp_path / "voice.m4a", waveform, 44_100)
    tab.drop(path, "audio/mp4")
    tab.answered()
    # Two AAC decoders: one keeps the silence that the encoder puts before the sound, the other does not.
    assert differs(tab.prediction(), recognizer.predict(path)) < 0.05


def test_a_flac_is_the_same_as_its_wav(tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    waveform, rate = audio.load(clip)
    path = tmp_path / "voice.flac"
    soundfile.write(path, waveform, rate)
    tab.choose(path)
    tab.answered()
    assert differs(tab.prediction(), recognizer.predict(path)) < CLOSE


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"this is a text, and no recording", ["notes.txt", "decode", "Give WAV"]),
        ("empty.wav", b"", ["empty.wav", "0 bytes", "choose another"]),
    ],
)
def test_what_is_no_recording_is_refused_in_words_and_the_page_goes_on(
    tab: Tab, clip: Path, tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    tab.drop(path, "text/plain")
    notice = tab.page.locator(".view:visible .notice.is-shown")
    notice.wait_for()
    assert all(word in notice.inner_text() for word in words), notice.inner_text()
    tab.choose(clip)
    tab.answered()
    assert not notice.is_visible()


def test_the_warnings_that_need_only_samples_are_pythons(
    tab: Tab, clip: Path, tmp_path: Path, recognizer: Recognizer
) -> None:
    """Clipped, very quiet, digital silence, a telephone's rate, cut off: the code and the sentence."""
    waveform, rate = audio.load(clip)
    peak = np.abs(waveform).max()
    made = {
        "clipped": (np.clip(waveform * 3 / peak, -1, 1), rate),
        "quiet": (waveform * 1e-3 / peak, rate),
        "silent": (np.zeros(rate, np.float32), rate),
        "short": (waveform[rate // 2 : rate // 2 + rate // 5], rate),
        "telephone": (audio.resample(waveform, rate, 8_000), 8_000),
    }
    here = {"clipped", "very-quiet", "too-short", "too-long", "truncated"}
    for name, (samples, at) in made.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, at, subtype="FLOAT" if name == "quiet" else "PCM_16")
        tab.choose(path)
        tab.page.wait_for_function(
            "name => document.querySelector('.result').dataset.prediction?.includes(name)", arg=path.name
        )
        tab.answered()
        found = {one["code"]: one["message"] for one in tab.prediction()["warnings"]}
        wanted = {one.code: one.message for one in recognizer.predict(path).warnings}
        assert {code: found[code] for code in found.keys() & here} == {
            code: wanted[code] for code in wanted.keys() & here
        }, name
        assert found.keys() <= wanted.keys(), name
        if name == "silent":
            assert found["no-speech"] == wanted["no-speech"]
            assert tab.prediction()["abstain"]
            assert tab.page.locator(".verdict-word").inner_text() == "No speech found"
            assert "No voice stands out" in tab.page.locator(".card.answer").first.inner_text()
        if name == "telephone":
            assert "narrow-band" in found
    cut = tmp_path / "cut.wav"
    cut.write_bytes((tmp_path / "clipped.wav").read_bytes()[:-20_000])
    tab.choose(cut)
    tab.page.wait_for_function("() => document.querySelector('.result').dataset.prediction?.includes('cut.wav')")
    assert "truncated" in {one["code"] for one in tab.prediction()["warnings"]}


def test_the_timeline_cuts_as_python_does(tab: Tab, spoken: Path, recognizer: Recognizer) -> None:
    tab.choose(spoken)
    tab.answered()
    found, wanted = json.loads(tab.saved("-timeline.json")), recognizer.timeline(spoken)
    assert found["labels"] == list(wanted.labels)
    times = [(one["start_s"], one["end_s"], one["time_s"]) for one in found["windows"]]
    assert np.allclose(times, [(one.start_s, one.end_s, one.time_s) for one in wanted.windows], atol=1e-6)
    same = [a["emotion"] == b.emotion for a, b in zip(found["windows"], wanted.windows, strict=True) if b.speech]
    # The page hears each window by itself; Python hears what lies around its edges too.
    assert np.mean(same) >= 0.8
    bounds = [(one["start_s"], one["end_s"]) for one in found["segments"]]
    assert bounds[0][0] == 0
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))


def test_playing_moves_the_cursor_and_the_moments_probabilities(tab: Tab, spoken: Path) -> None:
    tab.choose(spoken)
    tab.answered()
    before = tab.page.locator(".moment .bar-value").all_inner_texts()
    tab.page.click(".player .round")
    tab.page.wait_for_function("() => Number(document.querySelector('.stage').ariaValueNow) > 2.5")
    tab.page.click(".player .round")
    tab.page.wait_for_selector(".player .round[aria-label='Play']")
    assert tab.page.locator(".moment .bar-value").all_inner_texts() != before


@pytest.mark.corpus
def test_fifty_clips_of_ravdess_get_pythons_probabilities(tab: Tab, ravdess_dir: Path, recognizer: Recognizer) -> None:
    clips = sorted(ravdess_dir.rglob("03-01-*.flac"))[::29][:50] or sorted(ravdess_dir.rglob("03-01-*.wav"))[::29][:50]
    assert len(clips) == 50
    worst = 0.0
    for clip in clips:
        tab.choose(clip)
        tab.page.wait_for_function(
            "name => document.querySelector('.result').dataset.prediction?.includes(name)", arg=clip.name
        )
        worst = max(worst, differs(tab.prediction(), recognizer.predict(clip)))
    assert worst <= CLOSE
