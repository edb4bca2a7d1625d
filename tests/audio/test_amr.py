"""AMR, as phones record it: pauses without data, joined files, damage."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from emocatcher import audio

RATE = 8_000
MAGIC, NO_DATA = b"#!AMR\n", 0x7C


def sounding(seconds, seed):
    return np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE))


def encoded(waveform, container="amr", **options):
    sink = io.BytesIO()
    try:
        output = av.open(sink, "w", format=container)
        track = output.add_stream("libopencore_amrnb", rate=RATE, options=options)
    except av.codec.codec.UnknownCodecError:
        pytest.skip("this build of PyAV has no encoder for AMR")
    with output:
        track.layout, track.bit_rate = "mono", 12_200
        for first in range(0, len(waveform) - 159, 160):
            content = waveform[None, first : first + 160].clip(-32_768, 32_767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(content), format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return sink.getvalue()


@pytest.fixture(scope="module")
def speech():
    """Two seconds of sound, three of a pause, one of sound, and two of a pause."""
    return np.concatenate([sounding(2.0, 1), sounding(3.0, 2) / 300, sounding(1.0, 3), sounding(2.0, 4) / 300])


def level_db(recording, start_s, end_s):
    rate = recording.sample_rate
    return 20 * np.log10(np.std(recording.waveform[round(start_s * rate) : round(end_s * rate)]) + 1e-9)


@pytest.mark.parametrize("container", ["amr", "3gp"])
def test_pauses_without_data_are_no_damage(speech, container):
    payload = encoded(speech, container, dtx="1")
    assert payload.count(bytes([NO_DATA])) > 100
    recording = audio.read(payload)
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), 0)
    assert len(recording.waveform) / RATE == pytest.approx(8.0, abs=0.03)
    loud = level_db(recording, 5.1, 5.9)
    assert level_db(recording, 3.0, 4.9) < loud - 30.0
    assert level_db(recording, 7.0, 8.0) < loud - 30.0


def test_a_wideband_recording_with_pauses_is_no_damage():
    random = np.random.default_rng(5)
    spoken = [bytes([0x14]) + random.bytes(32) for _ in range(50)]  # frames of type 2
    described, no_data = bytes([0x4C]) + random.bytes(5), bytes([NO_DATA])
    recording = audio.read(b"#!AMR-WB\n" + b"".join([*spoken, described, *[no_data] * 50, *spoken, *[no_data] * 25]))
    assert (recording.truncated, recording.lost) == (False, ())
    assert len(recording.waveform) == 176 * 320


@pytest.mark.parametrize("dtx", ["0", "1"])
@pytest.mark.parametrize("n_cut", [0, 5])
def test_joined_amr_files_are_read_to_the_end(speech, dtx, n_cut):
    payload = encoded(speech[: 6 * RATE], dtx=dtx)
    recording = audio.read(payload[: len(payload) - n_cut] + payload + payload)
    assert (recording.truncated, recording.lost, recording.n_unread) == (False, (), 0)
    assert len(recording.waveform) / RATE == pytest.approx(18.0, abs=0.07)  # the encoder adds a frame to each


def test_a_damaged_header_is_lost_and_an_amr_that_breaks_off_is_truncated(speech):
    payload = encoded(speech)
    damaged = bytearray(payload)
    at = len(MAGIC) + 100 * 32
    damaged[at : at + 32] = bytes([0x64]) * 32  # a type that is reserved
    recording = audio.read(bytes(damaged))
    assert not recording.truncated
    assert recording.lost[0][0] == pytest.approx(2.0)
    assert audio.read(payload[:-5]).truncated
