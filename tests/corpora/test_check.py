import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocatcher import corpora
from emocatcher.corpora import ravdess, synthetic
from emocatcher.corpora.check import check
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError

RATE = 16_000


def tone(seconds=1.0, amplitude=0.3, frequency=200.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def corpus_of(folder: Path, **recordings) -> Corpus:
    """Make a corpus; each recording is samples, bytes, (samples, rate) or (file name, start_s, end_s)."""
    utterances = []
    for name, content in recordings.items():
        path, start_s, end_s = folder / f"{name}.wav", None, None
        if isinstance(content, tuple) and len(content) == 3:
            path, start_s, end_s = folder / content[0], content[1], content[2]
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            samples, rate = content if isinstance(content, tuple) else (content, RATE)
            soundfile.write(path, samples, rate, subtype="FLOAT")
        utterances.append(Utterance(id=name, path=path, emotion="sad", speaker="x", start_s=start_s, end_s=end_s))
    return Corpus(name="mine", utterances=tuple(utterances), labels=("happy", "sad"))


def findings(report):
    return {(finding.kind, finding.utterances) for finding in report.findings}


def test_a_clean_corpus_is_counted_and_has_no_findings(made_dir):
    corpus = synthetic.read(made_dir)
    seen = []
    report = check(corpus, on_progress=lambda done, total: seen.append((done, total)))
    assert report.findings == ()
    assert report.corpus == "synthetic"
    assert report.n_utterances == report.n_decoded == 120
    assert report.per_emotion == {"neutral": 8} | dict.fromkeys(corpus.labels[1:], 16)
    assert report.per_speaker == {"01": 60, "02": 60}
    assert 1.3 < report.shortest_s < report.longest_s < 3.2
    assert report.hours == pytest.approx(sum(soundfile.info(u.path).duration for u in corpus) / 3600)
    assert seen[-1] == (120, 120)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_recordings_without_a_label_are_decoded_and_counted(tmp_path):
    made = corpus_of(tmp_path, one=tone(), two=tone(0.1, frequency=300.0), three=tone(2.0))
    first, *others = made.utterances
    apart = tuple(Utterance(id=one.id, path=one.path, emotion="") for one in others)
    report = check(Corpus(name="mine", utterances=(first,), labels=("sad",), unlabelled=apart))
    assert (report.n_utterances, report.n_decoded, report.n_unlabelled) == (3, 3, 2)
    assert report.per_emotion == {"sad": 1}
    assert findings(report) == {("short", ("two",))}


def test_a_duplicate_id_is_refused_and_both_files_are_named(tmp_path):
    twice = [Utterance(id="a", path=tmp_path / name, emotion="sad", speaker="x") for name in ("a.wav", "a.flac")]
    with pytest.raises(CorpusError, match=r"named 'a': .*a\.wav and .*a\.flac"):
        Corpus(name="mine", utterances=tuple(twice), labels=("sad",))


def test_several_processes_report_the_same_as_one(tmp_path):
    corpus = corpus_of(tmp_path, a=tone(), b=tone(), c=b"not audio", d=tone(0.1))
    assert check(corpus, n_workers=2) == check(corpus, n_workers=1)


def test_every_anomaly_is_reported(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    broken = noise.copy()
    broken[7] = np.nan
    voice = noise * np.sin(np.arange(len(noise)) / 2000)
    report = check(
        corpus_of(
            tmp_path,
            fine=tone(),
            text=b"this is not audio",
            empty=b"",
            nan=broken,
            one=noise,
            other=noise,
            both=np.stack([noise, noise], axis=1),
            different=np.stack([noise, noise[::-1]], axis=1),
            silent=np.stack([noise[::-1], 0 * noise], axis=1),
            opposite=np.stack([0.9 * voice, -voice], axis=1),
            loud=tone(amplitude=1.0),
            quiet=tone(amplitude=0.0005),
            short=tone(0.1),
            phone=(tone(frequency=100.0), 8_000),
        )
    )
    assert findings(report) == {
        ("undecodable", ("text", "empty")),
        ("non-finite", ("nan",)),
        ("duplicate", ("one", "other", "both")),  # equal channels average to the same samples
        ("stereo", ("both", "different", "silent", "opposite")),
        ("channels-cancel", ("opposite",)),
        ("quiet-channel", ("silent",)),
        ("full-scale", ("loud",)),
        ("quiet", ("quiet",)),
        ("short", ("short",)),
        ("sample-rate", ("phone",)),
    }
    assert report.n_utterances == 14
    assert report.n_decoded == 11
    assert (report.shortest_s, report.longest_s) == (0.1, 2.0)
    assert "text.wav" in next(f.text for f in report.findings if f.kind == "undecodable")
    assert "8000 Hz, not 16000 Hz" in next(f.text for f in report.findings if f.kind == "sample-rate")
    assert "channel 1 of opposite, from 0.0 to" in next(f.text for f in report.findings if f.kind == "channels-cancel")
    assert "channel 2 of silent" in next(f.text for f in report.findings if f.kind == "quiet-channel")
    assert report.per_emotion == {"happy": 0, "sad": 14}


def test_segments_of_one_recording_are_checked_separately(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
    report = check(
        corpus_of(
            tmp_path,
            first=("long.wav", None, 1.0),
            again=("long.wav", 0.0, 1.0),
            rest=("long.wav", 1.0, None),
            over=("long.wav", 3.5, 5.0),
            beyond=("long.wav", 4.0, 5.0),
        )
    )
    assert findings(report) == {
        ("duplicate", ("first", "again")),
        ("cut-off", ("over",)),
        ("undecodable", ("beyond",)),
    }
    assert report.longest_s == pytest.approx(3.0)


def test_a_deleted_recording_is_a_finding(tmp_path):
    corpus = corpus_of(tmp_path, a=tone(), b=tone(frequency=300.0))
    corpus.utterances[1].path.unlink()
    assert findings(check(corpus)) == {("missing", ("b",))}


def test_a_corpus_without_usable_recordings_has_zero_durations(tmp_path):
    report = check(corpus_of(tmp_path, a=b"no"))
    assert (report.n_decoded, report.hours, report.shortest_s, report.longest_s) == (0, 0.0, 0.0, 0.0)


def test_missing_clips_of_ravdess_are_named(tmp_path):
    soundfile.write(tmp_path / "03-01-05-01-01-01-02.wav", tone(), RATE)
    (finding,) = check(ravdess.read(tmp_path)).findings
    assert finding.kind == "missing"
    assert set(finding.utterances) == set(ravdess.clip_ids()) - {"03-01-05-01-01-01-02"}


@pytest.mark.corpus
@pytest.mark.slow
def test_ravdess_has_its_known_anomalies(ravdess_dir):
    report = check(corpora.load(str(ravdess_dir)))
    assert report.n_decoded == 1440
    assert report.hours == pytest.approx(1.48, abs=0.005)
    assert report.shortest_s == pytest.approx(2.94, abs=0.005)
    assert report.longest_s == pytest.approx(5.27, abs=0.005)
    found = dict(findings(report))
    assert found.keys() == {"duplicate", "stereo", "full-scale", "quiet"}
    assert len(report.findings) == 4
    assert found["duplicate"] == ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")
    assert set(found["stereo"]) == {
        "03-01-02-01-01-02-01",
        "03-01-08-01-02-02-01",
        "03-01-02-01-02-02-05",
        "03-01-03-01-02-01-20",
        "03-01-06-01-01-02-20",
    }
    assert found["full-scale"] == ("03-01-03-02-02-01-10",)
    assert {id_[-2:] for id_ in found["quiet"]} == {"09", "20"}


def encoded(kind, seconds=4.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(seconds), RATE, format=kind)
    return buffer.getvalue()


def test_truncated_and_damaged_recordings_are_findings(tmp_path):
    wav, flac = encoded("WAV"), bytearray(encoded("FLAC"))
    flac[len(flac) // 2 : len(flac) // 2 + 300] = bytes(300)
    report = check(corpus_of(tmp_path, whole=wav, half=wav[: len(wav) // 2], damaged=bytes(flac)))
    assert {("truncated", ("half",)), ("damaged", ("damaged",))} <= findings(report)
    assert (report.n_decoded, report.n_partial) == (3, 2)
    (damaged,) = (finding for finding in report.findings if finding.kind == "damaged")
    assert "the first: damaged at" in damaged.text


def test_joined_recordings_are_findings(tmp_path):
    report = check(corpus_of(tmp_path, whole=encoded("WAV"), joined=encoded("WAV") + encoded("WAV")))
    assert ("unread", ("joined",)) in findings(report)
    assert report.n_partial == 1


def test_damage_outside_an_utterance_is_no_finding_for_it(tmp_path):
    flac = bytearray(encoded("FLAC"))
    flac[len(flac) // 2 : len(flac) // 2 + 300] = bytes(300)
    (tmp_path / "long.flac").write_bytes(flac)
    report = check(corpus_of(tmp_path, early=("long.flac", 0.0, 1.0), middle=("long.flac", 1.5, 2.5)))
    assert ("damaged", ("middle",)) in findings(report)
    assert report.n_partial == 1
