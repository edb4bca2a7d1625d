"""A model settles on recordings without labels, and answers may be restricted to some emotions."""

import pickle

import msgspec
import numpy as np
import pytest

from emocatcher import audio
from emocatcher.client import Client
from emocatcher.features import extraction
from emocatcher.foundation.errors import SettingError
from emocatcher.recognition import settling
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.recognizer import load


@pytest.fixture(scope="module")
def recognizer(small_run):
    return load(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def clips(voices):
    return [utterance.path for utterance in voices.utterances[::8]]


@pytest.fixture(scope="module")
def settled(recognizer, clips):
    return recognizer.settle(clips)


def test_what_all_answers_have_in_common_is_subtracted(recognizer, clips, settled):
    before = [recognizer.predict(clip) for clip in clips]
    after = [settled.predict(clip) for clip in clips]
    n = sum(one.emotion is not None for one in before)
    assert {one.settled_on for one in before} == {0}
    assert {one.settled_on for one in after} == {n}

    def common(predictions):
        rows = np.log([list(one.probabilities.values()) for one in predictions if one.emotion])
        return (rows - rows.mean(axis=1, keepdims=True)).mean(axis=0)

    rows = [list(one.probabilities.values()) for one in before if one.emotion]
    part = n / (n + 2) * settling.variety(np.array(rows))
    assert 0.3 < part < 1
    np.testing.assert_allclose(common(after), common(before) * (1 - part), atol=1e-5)
    for one in after:
        assert sum(one.probabilities.values()) == pytest.approx(1.0 if one.emotion else 0.0)


def test_few_recordings_change_less_than_many(recognizer, clips):
    few, many = recognizer.settle(clips[:6]), recognizer.settle(clips[:6] * 20)
    ratio = np.array(few.settled.shift) / np.array(many.settled.shift)
    np.testing.assert_allclose(ratio, (6 / 8) / (120 / 122), rtol=1e-3)


def answer(labels, probabilities):
    emotion = labels[int(np.argmax(probabilities))]
    return Prediction(
        path="", emotion=emotion, probabilities=dict(zip(labels, probabilities, strict=True)), abstain=False,
        duration_s=1.0, model="", model_version="",
    )  # fmt: skip


def test_recordings_of_one_emotion_change_little(recognizer):
    """A model that is sure of each of varied recordings is not moved, and is moved little where all sound alike."""
    labels, n = recognizer.config.labels, len(recognizer.config.labels)
    sure = [np.full(n, 0.02) + (1 - 0.02 * n) * np.eye(n)[i] for i in range(n)]

    def moved(probabilities):
        answers = [answer(labels, one) for one in probabilities]
        shift = settling.estimate(answers, recognizer.config).shift
        return float(np.abs(settling.apply(np.array(probabilities), shift) - probabilities).max())

    varied, alike = sure, [sure[0]] * n
    assert moved(varied) < 1e-6
    assert moved(alike) < 0.2
    every_answer_moved = [one * np.linspace(1, 9, n) / (one * np.linspace(1, 9, n)).sum() for one in sure]
    shift = settling.estimate([answer(labels, one) for one in every_answer_moved], recognizer.config).shift
    undone = settling.apply(np.array(every_answer_moved), shift)
    assert np.abs(undone - sure).mean() < 0.5 * np.abs(np.array(every_answer_moved) - sure).mean()


def test_too_few_recordings_are_refused(recognizer, clips, tmp_path):
    with pytest.raises(SettingError, match="4 of the recordings have speech; to settle on them, 5 or more"):
        recognizer.settle([*clips[:4], tmp_path / "missing.wav", (np.zeros(16_000, np.float32), 16_000)])


def test_one_recording_is_not_taken_letter_by_letter(recognizer, clips):
    for one in (str(clips[0]), clips[0], clips[0].read_bytes(), (np.zeros(16_000, np.float32), 16_000)):
        for use in (recognizer.settle, recognizer.predict_many, Client("http://127.0.0.1:9").settle):
            with pytest.raises(TypeError, match="several recordings are needed"):
                use(one)


def test_settling_is_the_same_in_timelines_streams_and_processes(recognizer, clips, settled):
    clip = str(clips[0])
    expected = settled.predict(clip)
    assert pickle.loads(pickle.dumps(settled)).predict(clip) == expected
    assert list(settled.predict_many([clip, clip], workers=2)) == [expected, expected]
    waveform = np.tile(np.random.default_rng(0).normal(0, 0.1, 48_000), 2).astype(np.float32)
    one, other = recognizer.timeline((waveform, 16_000)), settled.timeline((waveform, 16_000))
    assert (one.settled_on, other.settled_on) == (0, settled.settled.n_recordings)


def test_a_file_keeps_what_a_model_settled_on(recognizer, settled, clips, tmp_path, small_run):
    path = tmp_path / "room.json"
    settling.write(settled.settled, path)
    again = recognizer.with_settled(settling.read(path, recognizer.config))
    assert again.predict(clips[0]) == settled.predict(clips[0])
    assert str(clips[0].name) not in path.read_text()
    other = load(small_run.folder / "fold_1" / "last")
    with pytest.raises(SettingError, match=r"is of the model .* with other weights"):
        settling.read(path, other.config)


def test_a_restricted_recogniser_reads_what_its_model_settled_on(recognizer, settled, clips, tmp_path):
    path, few = tmp_path / "room.json", recognizer.only(["sad", "angry", "neutral"])
    settling.write(settled.settled, path)
    again = few.with_settled(settling.read(path, few.config))
    assert again.predict(clips[0]) == settled.only(few.config.labels).predict(clips[0])


def test_what_a_restricted_recogniser_settled_on_is_refused_by_its_emotions(recognizer, settled, tmp_path):
    config, path = recognizer.config, tmp_path / "room.json"
    for labels in (("neutral", "sad"), (*config.labels, "bored")):
        other = msgspec.structs.replace(settled.settled, labels=labels, shift=(0.0,) * len(labels))
        settling.write(other, path)
        with pytest.raises(SettingError, match=f"emotions {', '.join(labels)}; {config.name} has .*Settle again"):
            recognizer.with_settled(settling.read(path, config))


def test_a_recogniser_refuses_what_another_model_settled_on(settled, small_run):
    other = load(small_run.folder / "fold_1" / "last")
    with pytest.raises(SettingError, match=r"is of the model .* with other weights"):
        other.with_settled(settled.settled)


def test_occlusion_is_of_the_settled_and_restricted_answer(recognizer, clips):
    """It measures the fall of the probability that `predict` gives, whatever changed it."""
    config = recognizer.config
    shift = tuple(6.0 if label == recognizer.predict(clips[0]).emotion else 0.0 for label in config.labels)
    even = [answer(config.labels, np.full(len(config.labels), 1 / len(config.labels)))] * 5
    moved = recognizer.with_settled(msgspec.structs.replace(settling.estimate(even, config), shift=shift))
    for adjusted in (moved, moved.only(config.labels[2:])):
        found, falls = adjusted.predict(clips[0]), adjusted.occlusion(clips[0])
        assert found.emotion != recognizer.predict(clips[0]).emotion
        settings = config.settings
        waveform = audio.read(clips[0], settings.front_end.sample_rate).waveform
        channels = extraction.extract(waveform, settings.front_end, settings.vad).channels
        left = adjusted.probabilities(recognizer.run([channels[:, 2:], channels[:, 4:]])[0])
        left = left[:, adjusted.config.labels.index(found.emotion)]  # without the spans that contain the first step
        assert falls[0][1] == pytest.approx((found.probability - left).mean(), abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b'{"shift": [1e400]}',
    ],
)  # fmt: skip
def test_other_files_are_refused(recognizer, tmp_path, change):
    path = tmp_path / "x.json"
    path.write_bytes(change)
    with pytest.raises(SettingError, match="is not a file of `emocatcher settle`"):
        settling.read(path, recognizer.config)
    with pytest.raises(SettingError, match="is not a file of `emocatcher settle`"):
        settling.read(tmp_path / "missing.json", recognizer.config)


def test_a_file_of_a_later_format_is_refused(settled, recognizer, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(settled.settled) | {"format": 2}))
    with pytest.raises(SettingError, match="is not a file of `emocatcher settle`"):
        settling.read(path, recognizer.config)


def test_shifts_of_another_length_are_refused(settled, recognizer, tmp_path):
    raw = msgspec.to_builtins(settled.settled) | {"shift": [0.0]}
    path = tmp_path / "x.json"
    path.write_bytes(msgspec.json.encode(raw))
    with pytest.raises(SettingError, match="8 labels, but 1 shifts"):
        settling.read(path, recognizer.config)


def test_answers_are_restricted_to_some_emotions(recognizer, settled, clips):
    few = recognizer.only(["Sadness", "ANG", "neutral"])
    assert few.config.labels == ("neutral", "sad", "angry")
    for clip in clips[:5]:
        whole, part = recognizer.predict(clip), few.predict(clip)
        if whole.emotion is None:
            continue
        kept = {label: whole.probabilities[label] for label in few.config.labels}
        total = sum(kept.values())
        assert part.probabilities == pytest.approx({label: value / total for label, value in kept.items()})
        assert part.emotion == max(kept, key=kept.__getitem__)
        both = settled.only(["sad", "angry", "neutral"]).predict(clip)
        assert both.settled_on == settled.settled.n_recordings
        assert tuple(both.probabilities) == few.config.labels
    assert few.timeline(clips[0]).labels == few.config.labels


@pytest.mark.parametrize(
    ("emotions", "problem"),
    [(["sad"], "1 emotion leaves nothing to decide"), ([], "0 emotion"), (["sad", "bored"], "'bored' is not among")],
)
def test_emotions_that_cannot_be_chosen_are_named(recognizer, emotions, problem):
    with pytest.raises(SettingError, match=problem):
        recognizer.only(emotions)


def test_failures_and_silence_do_not_count(recognizer):
    sure = Prediction(
        path="", emotion="sad", probabilities=dict.fromkeys(recognizer.config.labels, 1 / 8), abstain=False,
        duration_s=1.0, model="", model_version="",
    )  # fmt: skip
    silent = Prediction(path="", abstain=True, duration_s=1.0, model="", model_version="")
    found = settling.estimate([sure] * 5 + [silent, Failure(path="", error="x", message="y")], recognizer.config)
    assert found.n_recordings == 5
    assert set(found.shift) == {0.0}
