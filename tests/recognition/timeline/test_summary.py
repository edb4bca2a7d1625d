"""A long recording is judged by its timeline, as a whole and without attention; a short one as one utterance."""

import tracemalloc

import msgspec
import numpy as np
import pytest
import soundfile

import emocatcher
from emocatcher import audio, corpora
from emocatcher.foundation.errors import TooLongError
from emocatcher.recognition.recognizer import load
from emocatcher.recognition.timeline import LONG_S, Timeline, Windows, speech_s, summarise

RATE = 22_050


@pytest.fixture(scope="module")
def recognizer(small_run):
    return load(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def talk(small_run):
    """Twelve seconds: six synthetic voices."""
    clips = [audio.load(utterance.path, RATE)[0] for utterance in small_run.corpus.utterances[::41]]
    return np.concatenate(clips[:6])


def test_shares_are_the_parts_of_the_timeline_with_each_label(made_timeline):
    found = summarise(made_timeline)
    assert tuple(found.shares) == made_timeline.labels
    assert sum(found.shares.values()) == pytest.approx(1.0)
    spoken = [segment for segment in made_timeline.segments if segment.emotion is not None]
    total_s = sum(segment.end_s - segment.start_s for segment in spoken)
    assert 0 < total_s < made_timeline.duration_s
    assert sum(speech_s(made_timeline).values()) == pytest.approx(total_s)
    for label, share in found.shares.items():
        of_label = sum(segment.end_s - segment.start_s for segment in spoken if segment.emotion == label)
        assert share == pytest.approx(of_label / total_s)


def test_probabilities_are_the_mean_of_the_windows_with_speech_and_the_emotion_has_the_largest_share(made_timeline):
    found = summarise(made_timeline)
    spoken = [window for window in made_timeline.windows if window.speech]
    assert 0 < len(spoken) < len(made_timeline.windows)
    for label, probability in found.probabilities.items():
        assert probability == pytest.approx(np.mean([window.probabilities[label] for window in spoken]))
    second, first = sorted(found.shares.values())[-2:]
    assert found.shares[found.emotion] == first
    assert (found.probability, found.margin) == (found.probabilities[found.emotion], first - second)
    assert found.voiced == (spoken[0].voiced_start_s, spoken[-1].voiced_end_s)
    assert found.attention == ()
    assert not found.abstain
    assert summarise(msgspec.structs.replace(made_timeline, abstain_below=1.0)).abstain


def test_the_largest_share_decides_even_if_another_emotion_has_the_highest_mean_probability():
    rows = np.array([[0.55, 0.45], [0.55, 0.45], [0.05, 0.95]])
    starts_s = np.array([0.0, 5.0, 10.0])
    ends_s, spoken, kept = starts_s + 5.0, np.ones(3, bool), np.zeros(3, bool)
    windows = Windows(("calm", "sad"), starts_s, ends_s, starts_s, ends_s, spoken, rows, kept)
    made = Timeline(
        path="", model="m", model_version="0", labels=("calm", "sad"), window_s=5.0, hop_s=5.0, abstain_below=0.0,
        duration_s=15.0, segments=(), windows=windows,
    )  # fmt: skip
    found = summarise(made)
    assert found.emotion == "calm"
    assert found.probability == pytest.approx(1.15 / 3) == found.probabilities["calm"]
    assert found.margin == pytest.approx(1 / 3)


def test_a_timeline_that_was_read_back_has_the_same_summary(made_timeline):
    back = msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.replace(made_timeline, windows=list(made_timeline.windows))),
        type=type(made_timeline),
    )
    assert summarise(back) == summarise(made_timeline)


def test_a_timeline_without_speech_has_no_emotion_and_no_shares(made_timeline):
    windows = [window for window in made_timeline.windows if not window.speech]
    found = summarise(msgspec.structs.replace(made_timeline, windows=Windows.of(made_timeline.labels, windows)))
    assert (found.emotion, found.probability, found.shares, found.probabilities, found.voiced) == (
        None,
        None,
        {},
        {},
        None,
    )
    assert found.abstain


@pytest.mark.parametrize("beyond", [0, 1])
def test_only_recordings_longer_than_the_limit_are_judged_by_their_timeline(recognizer, talk, beyond):
    waveform = talk[: round(LONG_S * RATE) + beyond]
    timelines = []
    found = recognizer.predict((waveform, RATE), on_timeline=timelines.append)
    assert bool(found.shares) == (not found.attention) == bool(timelines) == bool(beyond)
    if beyond:
        assert found == summarise(timelines[0]) == summarise(recognizer.timeline((waveform, RATE)))


def test_path_bytes_and_array_of_a_long_recording_agree(recognizer, talk, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, talk, RATE, subtype="FLOAT")
    alone, one, two = (recognizer.predict(source) for source in (path, path.read_bytes(), (talk, RATE)))
    assert alone.path == str(path)
    assert one == two == msgspec.structs.replace(alone, path="")
    for workers in (1, 2):
        (of_many,) = recognizer.predict_many([path], workers=workers)
        assert of_many.shares == pytest.approx(alone.shares)


def test_a_recording_longer_than_the_callers_limit_is_refused(recognizer, talk):
    for longest_s in (4.0, 11.0):
        with pytest.raises(TooLongError, match=f"longer than {longest_s:g} s"):
            recognizer.predict((talk, RATE), longest_s=longest_s)
    with pytest.raises(TooLongError, match="longer than 10 s"):
        recognizer.occlusion((talk, RATE))


@pytest.mark.slow
def test_the_memory_for_a_file_does_not_grow_with_its_duration(recognizer, talk, tmp_path):
    def peak(minutes):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.tile(talk[:: RATE // 2_000], minutes * 5), 2_000)
        tracemalloc.start()
        recognizer.predict(path, threads=1)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)
    assert peak(12) < 1.5 * peak(3)


@pytest.mark.corpus
def test_digital_silence_between_sentences_has_no_emotion(ravdess_dir):
    clips = sorted(ravdess_dir.rglob("03-01-*.flac"))[::400]
    pieces = [np.concatenate([audio.load(clip, RATE)[0], np.zeros(8 * RATE, np.float32)]) for clip in clips]
    found = emocatcher.load().timeline((np.concatenate(pieces), RATE))
    ends_s = np.cumsum([len(piece) for piece in pieces]) / RATE
    inside = [
        window
        for window in found.windows
        if any(end_s - 8.0 <= window.start_s and window.end_s <= end_s for end_s in ends_s)
    ]
    assert len(inside) > 20
    assert not any(window.speech for window in inside)


@pytest.mark.corpus
def test_six_different_clips_in_a_row_all_have_a_share(ravdess_dir):
    recognizer = emocatcher.load("emocatcher-2")  # sure of these clips, which it was trained on
    clips = {}
    for utterance in corpora.load(str(ravdess_dir)).utterances[::37]:
        alone = recognizer.predict(utterance.path)
        if not alone.abstain and not alone.warnings and alone.probability > 0.8:
            clips.setdefault(alone.emotion, audio.load(utterance.path, RATE)[0])
    chosen = dict(list(clips.items())[:6])
    found = recognizer.predict((np.concatenate(list(chosen.values())), RATE))
    assert found.duration_s > 18
    assert min(found.shares[emotion] for emotion in chosen) > 0.05
    assert sum(found.shares[emotion] for emotion in chosen) > 0.75  # windows at the seams contain two clips
    assert {caution.code for caution in found.warnings} == set()
    emotion, waveform = next(iter(clips.items()))
    assert recognizer.predict((np.tile(waveform, 6), RATE)).shares[emotion] > 0.6
