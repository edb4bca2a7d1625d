"""Channels that carry the same voice are mixed without cancelling it, whatever the length of the decoder's blocks."""

import io

import numpy as np
import pytest
import soundfile

from emocatcher import audio
from emocatcher.corpora import synthetic

RATE = 22_050


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    synthetic.generate(folder, n_voices=2)
    paths = sorted(folder.rglob("*.wav"))
    return [audio.load(path, RATE)[0] for path in (paths[0], paths[70])]


@pytest.fixture(scope="module")
def voice(voices):
    return voices[0]


def late(samples, seconds):
    n = round(seconds * RATE)
    return np.concatenate([np.zeros(n, np.float32), samples])[: len(samples)]


def noise(samples, level):
    return np.random.default_rng(0).normal(0, level, len(samples)).astype(np.float32)


def mixed(*channels):
    return audio.read((np.stack(channels, axis=1), RATE))


OTHERS = {
    "opposite phase": lambda v: [-v],
    "partly cancelling": lambda v: [-0.8 * v],
    "half as loud in opposite phase": lambda v: [-0.5 * v],
    "opposite phase with noise": lambda v: [-v + noise(v, 0.1 * v.std())],
    "1 ms late": lambda v: [0.9 * late(v, 0.001)],
    "0.3 ms late": lambda v: [0.9 * late(v, 0.0003)],
    "10 ms late": lambda v: [0.9 * late(v, 0.01)],
    "late and in opposite phase": lambda v: [-0.9 * late(v, 0.002)],
    "three channels of which one is in opposite phase": lambda v: [0.9 * v, -0.9 * v],
    "six channels of which three are in opposite phase": lambda v: [0.5 * v, -0.9 * v, -0.7 * v, 0.3 * v, -0.5 * v],
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_channels_that_cancel_only_the_loudest_is_used(voice, others, is_first):
    channels = [voice, *(channel * np.float32(0.97) for channel in others(voice))]
    recording = mixed(*(channels if is_first else channels[::-1]))
    assert recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset(voice), atol=1e-6)


LEFT_OUT = {
    "silent": lambda v: [np.zeros_like(v)],
    "silent with an offset": lambda v: [np.full_like(v, 0.1)],
    "hardly audible noise": lambda v: [noise(v, 1e-3 * v.std())],
    "noise only": lambda v: [noise(v, 0.5 * v.std())],
    "noise only, louder than the voice": lambda v: [noise(v, 3 * v.std())],
    "noise and silence": lambda v: [noise(v, 0.3 * v.std()), np.zeros_like(v)],
}


@pytest.mark.parametrize("others", LEFT_OUT.values(), ids=LEFT_OUT)
def test_channels_without_a_voice_are_left_out(voice, others):
    recording = mixed(*others(voice), voice)
    assert not recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset(voice), atol=1e-6)


AVERAGED = {
    "equal": lambda v, _: v,
    "quieter": lambda v, _: 0.4 * v,
    "with noise of its own": lambda v, _: v + noise(v, 0.3 * v.std()),
    "of another person": lambda v, w: w,
    "of another person, partly the same": lambda v, w: w + 0.3 * v,
    "brighter": lambda v, _: v + 0.8 * np.diff(v, prepend=np.float32(0)),
}


@pytest.mark.parametrize("other", AVERAGED.values(), ids=AVERAGED)
def test_other_channels_are_averaged(voices, other):
    n = min(map(len, voices))
    one, second = voices[0][:n], voices[1][:n]
    channels = [one, other(one, second)]
    recording = mixed(*channels)
    assert not recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset(np.mean(channels, axis=0)), atol=1e-6)


def call(voices, echo, delay_s):
    """Two persons on their own sides, who speak in turn; each side has an echo of the other."""
    one, second = (voice[: 3 * RATE] for voice in voices)
    silence = np.zeros(RATE, np.float32)
    left = np.concatenate([one, silence, 0 * second, silence, one, silence, 0 * second])
    right = np.concatenate([0 * one, silence, second, silence, 0 * one, silence, second])
    channels = [left + echo * late(right, delay_s), right + echo * late(left, delay_s)]
    return [channel + noise(channel, 1e-4 * one.std()) for channel in channels]


@pytest.mark.parametrize("echo_db", [-60, -40, -20])
@pytest.mark.parametrize("delay_s", [0.001, 0.015, 0.2])
@pytest.mark.parametrize("louder", [0, 1], ids=["first louder", "second louder"])
def test_an_echo_of_the_other_side_of_a_call_does_not_drop_a_side(voices, echo_db, delay_s, louder):
    channels = call(voices, np.float32(10 ** (echo_db / 20)), delay_s)
    channels[louder] = channels[louder] * np.float32(2.0)
    recording = mixed(*channels)
    assert not recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset(np.mean(channels, axis=0)), atol=1e-6)


def test_of_three_microphones_only_the_copy_is_left_out(voices):
    one, second = (voice[: 2 * RATE] for voice in voices)
    nobody = np.zeros(2 * RATE, np.float32)
    first, copy = np.concatenate([one, nobody]), late(np.concatenate([0.7 * one, nobody]), 0.01)
    other = np.concatenate([nobody, 0.3 * second])
    recording = mixed(first, copy, other)
    assert recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset((first + other) / 2), atol=1e-6)


def test_a_voice_between_two_channels_of_music_is_kept(voices):
    random = np.random.default_rng(1)
    music = sum(
        np.sin(2 * np.pi * hz * np.arange(len(voices[0])) / RATE + random.uniform(0, 6)) for hz in range(100, 4000, 77)
    )
    music = (music * (1 + 0.9 * np.sin(np.arange(len(music)) / 3000)) * 0.02).astype(np.float32)
    recording = mixed(music, 0.9 * late(music, 0.012), voices[0])
    assert recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset((music + voices[0]) / 2), atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.03], ids=["silence", "quiet noise", "noise"])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.0])
def test_one_short_word_in_half_a_minute_keeps_its_channel(voices, seconds, level):
    long = np.tile(voices[0], 1 + 30 * RATE // len(voices[0]))[: 30 * RATE]
    word = voices[1][np.abs(voices[1]).argmax() - round(seconds * RATE / 2) :][: round(seconds * RATE)]
    long[20 * RATE : 24 * RATE] = 0.0
    other = noise(long, level * voices[1].std())
    other[21 * RATE : 21 * RATE + len(word)] += word
    recording = mixed(long, other)
    assert not recording.channels_cancel
    np.testing.assert_allclose(recording.waveform, audio.remove_offset((long + other) / 2), atol=1e-6)


def test_the_channels_that_are_left_out_are_noted_with_their_times(voices):
    long = np.tile(voices[0], 1 + 95 * RATE // len(voices[0]))[: 95 * RATE]
    other = np.concatenate([0.8 * long[: 30 * RATE], -0.9 * long[30 * RATE :]])
    fourth = np.concatenate([-0.9 * long[: 30 * RATE], 0 * long[30 * RATE : 60 * RATE], -0.8 * long[60 * RATE :]])
    facts = audio.Facts()
    source = (np.stack([long, np.zeros_like(long), other, fourth], axis=1), RATE)
    list(audio.blocks(source, facts=facts))
    assert facts.channels_cancel == audio.read(source).channels_cancel
    # Of the channels with the voice, only the loudest is used wherever some cancel.
    assert facts.channels_cancel == ((0.0, 30.0, 3), (0.0, 95.0, 2), (60.0, 95.0, 3))
    assert facts.quiet_channels == (1, 3)


@pytest.mark.parametrize("block_s", [0.05, 7.0, 100.0])
@pytest.mark.parametrize("kind", ["array", "WAV", "FLAC"])
def test_the_mix_does_not_depend_on_the_blocks(voices, kind, block_s):
    # In phase for 40 s, then in opposite phase, then one channel is silent.
    long = np.tile(voices[0], 1 + 95 * RATE // len(voices[0]))[: 95 * RATE]
    other = np.concatenate([long[: 40 * RATE], -0.9 * long[40 * RATE : 70 * RATE], 0 * long[70 * RATE :]])
    pair = np.stack([long, other], axis=1)
    source = (pair, RATE)
    if kind != "array":
        buffer = io.BytesIO()
        soundfile.write(buffer, pair, RATE, format=kind, subtype="PCM_16")
        source = buffer.getvalue()
    whole = audio.load(source)[0]
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(source, block_s=block_s))), whole)
    assert audio.read(source).channels_cancel
    assert all(np.abs(part).max() > 0.5 * np.abs(long).max() for part in np.split(whole, 19))


@pytest.mark.parametrize("sizes", [(1,), (1000, 7), (100_000,)])
def test_a_live_mix_does_not_depend_on_the_chunks(voice, sizes):
    from emocatcher.audio.channels import LiveMixer

    pair = np.stack([voice, -0.9 * voice], axis=1)[:9000]
    mixer, parts, start, turn = LiveMixer(RATE, 4000), [], 0, 0
    while start < len(pair):
        size = sizes[turn % len(sizes)]
        parts.append(mixer.push(pair[start : start + size]))
        start, turn = start + size, turn + 1
    np.testing.assert_array_equal(np.concatenate([*parts, mixer.finish()]), voice[:9000])
