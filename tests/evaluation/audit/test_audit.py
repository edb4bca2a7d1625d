"""The whole audit finds leaks made by hand, and nothing else."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from emocatcher import audio, corpora
from emocatcher.evaluation import audit, protocols
from emocatcher.foundation.settings import load_preset

from .conftest import encoded, wav

TWINS = ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")


@pytest.fixture
def rows(voices):
    """Two training speakers and one test speaker: 18 recordings of three emotions."""
    chosen = [u for u in voices if u.speaker in {"01", "02", "03"} and u.emotion in {"happy", "sad", "angry"}]
    return [
        [utterance.path, utterance.emotion, utterance.speaker, "test" if utterance.speaker == "03" else "train"]
        for utterance in chosen[::5]
    ]


def kinds(found):
    return [leak.kind for leak in found.leaks]


def test_no_leak_is_found_without_one(rows, table, inspect):
    found = inspect(table(rows))
    assert (found.leaks, found.notes) == ((), ())
    assert found.stamp == "Audit: no leak found"
    assert found.n_utterances == found.n_fingerprints == len(rows)


def test_a_speaker_on_both_sides_is_found_and_named(rows, table, inspect):
    rows[0][3] = "test"
    found = inspect(table(rows))
    assert kinds(found) == ["same-speaker"]
    assert found.leaks[0].speakers == (rows[0][2],)
    assert found.stamp == "Audit: speakers shared"


def test_unnamed_speakers_are_reported_as_possibly_shared(rows, table, inspect):
    found = inspect(table([[path, label, split] for path, label, _, split in rows], "path,label,split"))
    assert kinds(found) == ["same-speaker"]
    assert "not named" in found.leaks[0].text
    assert found.stamp == "Audit: speakers not named, so possibly shared"
    assert found.leaks[0].speakers == ()


def test_validation_is_on_the_training_side(rows, table, inspect):
    rows[0][2:] = ["03", "valid"]
    assert kinds(inspect(table(rows))) == ["same-speaker"]


@pytest.mark.parametrize("way", ["copied", "as mp3 and 10 ms late", "20 dB quieter", "its second half"])
def test_a_recording_on_both_sides_is_found(rows, table, inspect, tmp_path, way):
    samples, rate = audio.load(rows[0][0])
    content = {
        "copied": lambda: rows[0][0].read_bytes(),
        "as mp3 and 10 ms late": lambda: encoded(np.r_[np.zeros(rate // 100), samples], rate, "mp3"),
        "20 dB quieter": lambda: wav(samples / 10, rate),
        "its second half": lambda: wav(samples[len(samples) // 2 :], rate),
    }[way]()
    (tmp_path / "copy.mp3").write_bytes(content)
    found = inspect(table([*rows, ["copy.mp3", rows[0][1], "03", "test"]]))
    assert kinds(found) == ["same-audio"]
    (pair,) = found.leaks[0].pairs
    assert set(pair.utterances) == {str(rows[0][0]), "copy.mp3"}
    assert pair.folds == (0,)
    assert pair.how == ("content" if way == "copied" else "fingerprint")
    assert found.stamp == "Audit: the same recording on both sides"
    if "10 ms" in way:
        later = pair.shift_s if pair.utterances[0] == "copy.mp3" else -pair.shift_s
        assert 0.0 < later < 0.1  # the 10 ms plus the encoder's delay


def test_a_recording_in_validation_and_test_is_found(rows, table, inspect, tmp_path):
    (tmp_path / "copy.wav").write_bytes(rows[0][0].read_bytes())
    validated = [[*rows[0][:3], "valid"], *rows[1:], ["copy.wav", rows[0][1], "03", "test"]]
    validated = [row for row in validated if row[2] != rows[0][2] or row[3] == "valid"]
    assert kinds(inspect(table(validated))) == ["same-audio"]


def test_a_recording_twice_on_one_side_is_a_note(rows, table, inspect, tmp_path):
    (tmp_path / "copy.wav").write_bytes(rows[0][0].read_bytes())
    found = inspect(table([*rows, ["copy.wav", *rows[0][1:]]]))
    assert found.leaks == ()
    assert set(found.notes[0].pairs[0].utterances) == {str(rows[0][0]), "copy.wav"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_recording_under_two_labels_is_found_on_one_side_and_on_both(rows, table, inspect, tmp_path, split):
    samples, rate = audio.load(rows[0][0])
    (tmp_path / "copy.mp3").write_bytes(encoded(samples, rate, "mp3"))
    other = next(label for _, label, _, _ in rows if label != rows[0][1])
    speaker = rows[0][2] if split == "train" else "03"
    found = inspect(table([*rows, ["copy.mp3", other, speaker, split]]))
    assert kinds(found) == (["two-labels"] if split == "train" else ["same-audio", "two-labels"])
    assert set(found.leaks[-1].pairs[0].labels) == {other, rows[0][1]}


def test_overlapping_segments_of_one_file_are_found_and_others_not(rows, table, inspect, tmp_path):
    long = np.concatenate([audio.load(row[0])[0] for row in rows[:4]])
    (tmp_path / "long.wav").write_bytes(wav(long, audio.load(rows[0][0])[1]))
    columns = "path,label,speaker,split,start_s,end_s"
    others = [[*row, "", ""] for row in rows if row[1] != "calm"]

    def audit_segment(start_s, end_s=""):
        return inspect(
            table(
                [
                    *others[4:],
                    ["long.wav", "happy", "01", "train", 1, 3],
                    ["long.wav", "happy", "03", "test", start_s, end_s],
                ],
                columns,
            )
        )

    assert audit_segment(3.0, 5.0).leaks == ()
    found = audit_segment(2.75, 5.0)
    assert kinds(found) == ["same-audio"]
    assert found.leaks[0].pairs[0].how == "overlap"
    assert found.leaks[0].pairs[0].overlap_s == pytest.approx(0.25, abs=0.01)
    assert audit_segment(2.5).leaks[0].pairs[0].overlap_s == pytest.approx(0.5, abs=0.01)


def test_segments_that_overlap_a_little_may_have_two_labels(rows, table, inspect, tmp_path):
    long = np.concatenate([audio.load(row[0])[0] for row in rows[:4]])
    (tmp_path / "long.wav").write_bytes(wav(long, audio.load(rows[0][0])[1]))
    others = [[*row, "", ""] for row in rows[4:]]
    columns = "path,label,speaker,split,start_s,end_s"

    def audit_segment(start_s):
        two = [["long.wav", "happy", "01", "train", 1, 3], ["long.wav", "sad", "01", "train", start_s, 4]]
        return inspect(table([*others, *two], columns))

    assert audit_segment(2.9).leaks == ()
    assert kinds(audit_segment(1.2)) == ["two-labels"]


def test_selection_on_the_test_part_is_found(rows, table, inspect):
    found = inspect(table(rows), recipe=load_preset("cabg", ["training.selection=best-test"]))
    assert kinds(found) == ["selection-on-test"]
    assert inspect(table(rows), recipe=load_preset("cabg", ["training.selection=best-valid"])).leaks == ()


def test_recordings_too_short_for_a_fingerprint_are_noted_and_compared_by_samples(rows, table, inspect, tmp_path):
    noise = np.random.default_rng(3).standard_normal((2, 3_000)) / 10
    for name, samples in (("a.wav", noise[0]), ("b.wav", noise[1]), ("copy.wav", noise[0])):
        (tmp_path / name).write_bytes(wav(samples, 16_000))
    short = [["a.wav", "sad", "01", "train"], ["b.wav", "sad", "03", "test"]]
    found = inspect(table([*rows, *short]))
    assert found.leaks == ()
    assert found.notes[0].text.startswith(f"2 of {len(rows) + 2} recordings have too little sound")
    assert found.n_fingerprints == len(rows)
    assert kinds(inspect(table([*rows, *short, ["copy.wav", "sad", "03", "test"]]))) == ["same-audio"]


def test_a_leak_names_its_folds(rows, table, inspect, tmp_path):
    """Two copies in two test parts leak in those folds only."""
    (tmp_path / "copy.wav").write_bytes(rows[0][0].read_bytes())
    corpus = table([*rows, ["copy.wav", *rows[0][1:]]])
    ids = [utterance.id for utterance in corpus]
    parts = [ids[0::4], ids[1::4], ids[2::4], ids[3::4]]
    for part in parts:
        if "copy.wav" in part:
            part.remove("copy.wav")
    home = next(n for n, part in enumerate(parts) if str(rows[0][0]) in part)
    other = (home + 2) % 4
    parts[other].append("copy.wav")
    folds = tuple(
        protocols.Fold(train=tuple(id_ for p in parts if p is not part for id_ in p), valid=(), test=tuple(part))
        for part in parts
    )
    made = msgspec.structs.replace(protocols.load("stratified-2", corpus), name="by-hand", folds=folds)
    found = inspect(corpus, made)
    (leak,) = [leak for leak in found.leaks if leak.kind == "same-audio"]
    assert leak.folds == leak.pairs[0].folds == tuple(sorted((home, other)))
    assert f"the same recording on both sides of folds {leak.folds[0]} and {leak.folds[1]}" in found.stamp


@pytest.mark.slow
@pytest.mark.corpus
def test_the_identical_clips_of_ravdess_are_found(ravdess_dir, settings, scratch_cache):
    """They are on both sides in reference-cv5, and on one side in emobox-6."""
    corpus = corpora.load(str(ravdess_dir))
    calls = []
    leaking, clean = (
        audit.run(corpus, protocols.load(name, corpus), settings, on_progress=lambda *c: calls.append(c))
        for name in ("reference-cv5", "emobox-6")
    )
    assert leaking.stamp == "Audit: speakers shared in all folds; the same recording on both sides of folds 1 and 3"
    assert [pair.utterances for leak in leaking.leaks for pair in leak.pairs] == [TWINS]
    assert clean.leaks == ()
    assert [pair.utterances for note in clean.notes for pair in note.pairs] == [TWINS]
    assert clean.n_fingerprints == 1440
    assert calls[-1] == (1440, 1440)
