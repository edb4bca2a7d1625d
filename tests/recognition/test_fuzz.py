"""Five thousand damaged recordings and random arrays give a prediction or a typed error, and nothing else."""

import io
import random

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import emocatcher
from emocatcher.foundation.errors import AudioError

RATE = 16_000
N_DAMAGED = 320  # per container
CONTAINERS = {
    "wav16": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wavfloat": ("WAV", "FLOAT"),
    "alaw": ("WAV", "ALAW"),
    "flac": ("FLAC", None),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", None),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "mkv": ("matroska", "aac"),
}


@pytest.fixture(scope="module")
def recognizer():
    return emocatcher.load()


def container(name):
    kind, codec = CONTAINERS[name]
    time_s = np.arange(RATE // 2) / RATE
    waveform = (0.3 * np.sin(2 * np.pi * 150 * time_s) * np.sin(9 * time_s)).astype(np.float32)
    sink = io.BytesIO()
    if kind.isupper():
        soundfile.write(sink, waveform, RATE, format=kind, subtype=codec)
        return sink.getvalue()
    with av.open(sink, "w", format=kind) as out:
        stream = out.add_stream(codec, rate=48_000 if codec == "libopus" else RATE)
        stream.layout = "mono"
        kinds = {"aac": "fltp", "libopus": "flt"}
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for part in av.AudioResampler(format=kinds[codec], layout="mono", rate=stream.rate).resample(frame):
            for packet in stream.encode(part):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return sink.getvalue()


def damage(payload, dice):
    payload = bytearray(payload)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(min(len(payload), 64) if dice.random() < 0.5 else len(payload))
        match dice.randrange(6):
            case 0:
                payload[at] ^= 1 << dice.randrange(8)
            case 1:
                payload[at : at + 4] = dice.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
                )
            case 2:
                del payload[at : at + dice.randrange(1, 200)]
            case 3:
                payload[at:at] = dice.randbytes(dice.randrange(1, 50))
            case 4:
                del payload[max(at, 4) :]
            case 5:
                payload[at : at + 16] = dice.randbytes(16)
        if not payload:
            return b""
    return bytes(payload)


def recognise(recognizer, source):
    """Return the prediction, or None for a typed error; other exceptions are raised."""
    try:
        prediction = recognizer.predict(source)
    except AudioError as error:
        if "\n" in error.reason:
            raise
        return None
    if prediction.emotion is not None:
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
        assert 0 <= prediction.voiced_start_s <= prediction.voiced_end_s <= prediction.duration_s
    assert np.isfinite([weight for _, weight in prediction.attention]).all()
    return prediction


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_damaged_container_is_recognised_or_refused(recognizer, name):
    whole, dice = container(name), random.Random(name)
    assert recognise(recognizer, whole) is not None
    for _ in range(N_DAMAGED):
        recognise(recognizer, damage(whole, dice))


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=300)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    samples=arrays.arrays(np.float32, SHAPES, elements=FLOATS)
    | arrays.arrays(np.int16, SHAPES)
    | arrays.arrays(np.uint8, SHAPES),
    rate=st.sampled_from((8_000, 16_000, 22_050, 48_000, 192_000)) | st.integers(-10, 400_000),
)
def test_any_array_is_recognised_or_refused(recognizer, samples, rate):
    recognise(recognizer, (samples, rate))


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=4_000))
def test_any_bytes_are_recognised_or_refused(recognizer, payload):
    recognise(recognizer, payload)
