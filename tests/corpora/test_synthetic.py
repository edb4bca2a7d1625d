import hashlib
import os
import subprocess
import sys
import wave

import numpy as np
import pytest

from emocatcher.corpora import ravdess, synthetic
from emocatcher.foundation.errors import CorpusError
from synthetic_truth import read_truth


def samples_of(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def dbfs(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples**2)))


def test_the_corpus_has_ravdess_names_and_is_marked_synthetic(made_dir):
    corpus = synthetic.read(made_dir)
    assert tuple(u.id for u in corpus) == ravdess.clip_ids(2)
    assert corpus.synthetic
    assert corpus.name == "synthetic"
    assert "CC0" in corpus.licence
    assert {u.path.parent.name for u in corpus} == {"Actor_01", "Actor_02"}
    assert not corpus.notes


def test_the_voice_is_at_its_true_position(made_dir):
    truth = read_truth(made_dir)
    assert list(truth) == list(ravdess.clip_ids(2))
    for utterance in synthetic.read(made_dir):
        samples = samples_of(utterance.path)
        start, end = (round(second * 16_000) for second in truth[utterance.id])
        assert 0.25 <= start / 16_000 <= 0.5
        assert 0.25 <= (samples.size - end) / 16_000 <= 0.5
        for silence in (samples[:start], samples[end:]):
            assert dbfs(silence) == pytest.approx(-75.0, abs=0.5)
        assert dbfs(samples[start:end]) > -55
        # The voice reaches the edges: there is sound within 30 ms of each.
        assert dbfs(samples[start : start + 480]) > -70
        assert dbfs(samples[end - 480 : end]) > -70
        assert np.abs(samples).max() < 1 - 1 / 32768


def test_the_same_name_gives_the_same_bytes_in_another_process(made_dir, tmp_path):
    script = (
        "import sys; from pathlib import Path; from emocatcher.corpora import synthetic\n"
        "synthetic.generate(Path(sys.argv[1]), n_voices=1)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "again")], check=True, env=environment)
    for path in sorted((tmp_path / "again").rglob("*.wav")):
        twin = made_dir / path.relative_to(tmp_path / "again")
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(twin.read_bytes()).digest()


def test_clips_differ_and_emotions_change_level_and_length(made_dir):
    corpus = synthetic.read(made_dir)
    truth = read_truth(made_dir)
    assert len({u.path.read_bytes() for u in corpus}) == len(corpus)

    def mean(measure, emotion):
        return np.mean([measure(u) for u in corpus if u.emotion == emotion and u.intensity == "strong"])

    def level(u):
        return dbfs(samples_of(u.path))

    def length(u):
        return truth[u.id][1] - truth[u.id][0]

    assert mean(level, "angry") > mean(level, "disgust") > mean(level, "sad")
    assert mean(length, "sad") > mean(length, "happy")


def test_a_failed_generation_leaves_no_files(tmp_path, monkeypatch):
    def full_disk(path, samples):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "_write_wav", full_disk)
    with pytest.raises(OSError, match="No space"):
        synthetic.generate(tmp_path / "corpus", n_voices=1)
    assert list(tmp_path.iterdir()) == []


def test_generate_never_overwrites_files(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match="already exists"):
        synthetic.generate(tmp_path)


@pytest.mark.parametrize("n_voices", [0, 25])
def test_a_number_of_voices_out_of_range_is_refused(tmp_path, n_voices):
    with pytest.raises(CorpusError, match=f"{n_voices}.*1 to 24"):
        synthetic.generate(tmp_path / "corpus", n_voices=n_voices)
