"""What was heard once is not decoded again, and what changed is."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from emocatcher.audit import listening
from emocatcher.audit.listening import listen
from emocatcher.errors import AudioError, FeatureCacheError

from .conftest import wav


@pytest.fixture
def decoded(monkeypatch):
    """Counts what is decoded."""
    calls = []
    read = listening.audio.read
    monkeypatch.setattr(listening.audio, "read", lambda *a, **k: calls.append(a) or read(*a, **k))
    return calls


@pytest.fixture
def noise(tmp_path):
    samples = np.random.default_rng(0).standard_normal(32_000) / 10
    (tmp_path / "noise.wav").write_bytes(wav(samples, 16_000))
    return samples


def equal(one, other):
    return all(
        a[:3] == b[:3] and all(np.array_equal(x, y) for x, y in zip(a.fingerprint, b.fingerprint, strict=True))
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def test_the_second_time_nothing_is_decoded_and_all_is_equal(voices, tmp_path, decoded):
    utterances = voices.utterances[:6]
    first = listen("x", utterances, folder=tmp_path)
    assert len(decoded) == 6
    again = listen("x", utterances, folder=tmp_path)
    assert len(decoded) == 6
    assert list(again) == [utterance.id for utterance in utterances]
    assert equal(first, again)


def test_more_of_a_corpus_adds_to_what_is_known(voices, tmp_path, decoded):
    listen("x", voices.utterances[:4], folder=tmp_path)
    listen("x", voices.utterances[2:6], folder=tmp_path)
    listen("x", voices.utterances[:6], folder=tmp_path)
    assert len(decoded) == 6


def test_a_changed_recording_is_heard_anew(table, tmp_path, noise):
    corpus = table([["noise.wav", "sad"]], "path,label")
    first = listen("x", corpus.utterances, folder=tmp_path)
    (tmp_path / "noise.wav").write_bytes(wav(-noise[::-1], 16_000))
    assert not equal(first, listen("x", corpus.utterances, folder=tmp_path))


def test_stretches_of_a_file_are_decoded_once_and_differ(table, tmp_path, noise, decoded):
    corpus = table(
        [["noise.wav", "sad", 0, 1], ["noise.wav", "sad", 1, 2], ["noise.wav", "sad", 1, ""]],
        "path,label,start_s,end_s",
    )
    first, second, rest = listen("x", corpus.utterances, folder=tmp_path).values()
    assert len(decoded) == 1
    assert first.file == second.file
    assert first.samples != second.samples == rest.samples
    assert (first.seconds, rest.seconds) == (1.0, 1.0)


def test_equal_samples_in_another_container_have_equal_hashes(table, tmp_path, noise):
    samples, rate = soundfile.read(tmp_path / "noise.wav")
    soundfile.write(tmp_path / "noise.flac", samples, rate)
    one, other = listen(
        "x", table([["noise.wav", "sad"], ["noise.flac", "sad"]], "path,label").utterances, folder=tmp_path
    ).values()
    assert one.file != other.file
    assert one.samples == other.samples


def test_a_narrow_recording_has_no_fingerprint(table, tmp_path, noise):
    (tmp_path / "narrow.wav").write_bytes(wav(noise, 4_000))
    (heard,) = listen("x", table([["narrow.wav", "sad"]], "path,label").utterances, folder=tmp_path).values()
    assert not heard.fingerprint.tells


@pytest.mark.parametrize("row", [["broken.wav", "sad", "", ""], ["noise.wav", "sad", 7, 8]])
def test_what_cannot_be_used_is_named(table, tmp_path, noise, row):
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=row[0]):
        listen("x", table([row], "path,label,start_s,end_s").utterances, folder=tmp_path)


def test_a_place_that_cannot_be_written_is_named(table, tmp_path, noise):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureCacheError, match="EMOCATCHER_CACHE"):
        listen("x", table([["noise.wav", "sad"]], "path,label").utterances, folder=tmp_path / "file" / "x")


def test_a_damaged_file_is_as_good_as_none(voices, tmp_path, decoded):
    listen("x", voices.utterances[:2], folder=tmp_path)
    (path,) = tmp_path.glob("x-*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    listen("x", voices.utterances[:2], folder=tmp_path)
    assert len(decoded) == 4
