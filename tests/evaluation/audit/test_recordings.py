"""Scanned recordings are not decoded again unless they changed."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from emocatcher.evaluation.audit import recordings
from emocatcher.evaluation.audit.recordings import scan
from emocatcher.foundation.errors import AudioError, FeatureCacheError

from .conftest import wav


@pytest.fixture
def decoded(monkeypatch):
    """Record the calls that decode a recording."""
    calls = []
    read = recordings.audio.read
    monkeypatch.setattr(recordings.audio, "read", lambda *a, **k: calls.append(a) or read(*a, **k))
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


def test_a_second_scan_decodes_nothing_and_gives_equal_results(voices, tmp_path, decoded):
    utterances = voices.utterances[:6]
    first = scan("x", utterances, folder=tmp_path)
    assert len(decoded) == 6
    again = scan("x", utterances, folder=tmp_path)
    assert len(decoded) == 6
    assert list(again) == [utterance.id for utterance in utterances]
    assert equal(first, again)


def test_scanning_more_of_a_corpus_extends_the_cache(voices, tmp_path, decoded):
    scan("x", voices.utterances[:4], folder=tmp_path)
    scan("x", voices.utterances[2:6], folder=tmp_path)
    scan("x", voices.utterances[:6], folder=tmp_path)
    assert len(decoded) == 6


def test_a_changed_recording_is_scanned_again(table, tmp_path, noise):
    corpus = table([["noise.wav", "sad"]], "path,label")
    first = scan("x", corpus.utterances, folder=tmp_path)
    (tmp_path / "noise.wav").write_bytes(wav(-noise[::-1], 16_000))
    assert not equal(first, scan("x", corpus.utterances, folder=tmp_path))


def test_segments_of_a_file_are_decoded_once_and_differ(table, tmp_path, noise, decoded):
    corpus = table(
        [["noise.wav", "sad", 0, 1], ["noise.wav", "sad", 1, 2], ["noise.wav", "sad", 1, ""]],
        "path,label,start_s,end_s",
    )
    first, second, rest = scan("x", corpus.utterances, folder=tmp_path).values()
    assert len(decoded) == 1
    assert first.file == second.file
    assert first.samples != second.samples == rest.samples
    assert (first.seconds, rest.seconds) == (1.0, 1.0)


def test_equal_samples_in_another_container_have_equal_hashes(table, tmp_path, noise):
    samples, rate = soundfile.read(tmp_path / "noise.wav")
    soundfile.write(tmp_path / "noise.flac", samples, rate)
    one, other = scan(
        "x", table([["noise.wav", "sad"], ["noise.flac", "sad"]], "path,label").utterances, folder=tmp_path
    ).values()
    assert one.file != other.file
    assert one.samples == other.samples


def test_a_recording_with_a_low_sample_rate_has_no_fingerprint(table, tmp_path, noise):
    (tmp_path / "narrow.wav").write_bytes(wav(noise, 4_000))
    (recording,) = scan("x", table([["narrow.wav", "sad"]], "path,label").utterances, folder=tmp_path).values()
    assert not recording.fingerprint.is_usable


@pytest.mark.parametrize("row", [["broken.wav", "sad", "", ""], ["noise.wav", "sad", 7, 8]])
def test_the_error_names_the_recording(table, tmp_path, noise, row):
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=row[0]):
        scan("x", table([row], "path,label,start_s,end_s").utterances, folder=tmp_path)


def test_a_cache_that_cannot_be_written_is_an_error(table, tmp_path, noise):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureCacheError, match="EMOCATCHER_CACHE"):
        scan("x", table([["noise.wav", "sad"]], "path,label").utterances, folder=tmp_path / "file" / "x")


def test_a_damaged_cache_is_ignored(voices, tmp_path, decoded):
    scan("x", voices.utterances[:2], folder=tmp_path)
    (path,) = tmp_path.glob("x-*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    scan("x", voices.utterances[:2], folder=tmp_path)
    assert len(decoded) == 4
