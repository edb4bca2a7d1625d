"""Arrays of any type and scale become the same waveform, and none becomes silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher import audio
from emocatcher.audio import arrays
from emocatcher.foundation.errors import AudioError

RATE = 16_000
PCM = np.round(20_000 * np.sin(np.arange(RATE) / 20.0)).astype(np.int16)
WAVEFORM = PCM / np.float32(32_768)
KINDS = {
    "int8": ((PCM / 256).round().astype(np.int8), False),
    "int16": (PCM, False),
    "big-endian int16": (PCM.astype(">i2"), False),
    "int32": (PCM.astype(np.int32) * 65_536, False),
    "big-endian int32": ((PCM.astype(np.int32) * 65_536).astype(">i4"), False),
    "int32 with values of 16 bits": (PCM.astype(np.int32), True),
    "int64 with values of 16 bits": (PCM.astype(np.int64), True),
    "int64 with values of 24 bits": (PCM.astype(np.int64) * 256, True),
    "int64 with values of 32 bits": (PCM.astype(np.int64) * 65_536, True),
    "int64 at full scale": (PCM.astype(np.int64) * 2**48, False),
    "list of integers": (PCM.tolist(), True),
    "uint8": ((PCM / 256 + 128).round().astype(np.uint8), False),
    "uint16": ((PCM.astype(np.int32) + 32_768).astype(np.uint16), False),
    "uint32": (((PCM.astype(np.int64) + 32_768) * 65_536).astype(np.uint32), False),
    "uint32 with values of 16 bits": ((PCM.astype(np.int64) + 32_768).astype(np.uint32), True),
    "float16": (WAVEFORM.astype(np.float16), False),
    "float32": (WAVEFORM, False),
    "float64": (WAVEFORM.astype(np.float64), False),
    "big-endian float64": (WAVEFORM.astype(">f8"), False),
    "list of floats": (WAVEFORM.tolist(), False),
    "float32 at the scale of 16 bits": (PCM.astype(np.float32), True),
    "float64 at the scale of 24 bits": (PCM.astype(np.float64) * 256, True),
    "float64 at the scale of 32 bits": (PCM.astype(np.float64) * 65_536, True),
    "two channels": (np.stack([WAVEFORM] * 2, axis=1), False),
    "transposed channels": (np.stack([PCM] * 2), False),
    "transposed mono": (WAVEFORM[None], False),
    "read backwards twice": (PCM[::-1][::-1], False),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_every_kind_of_array_gives_the_same_waveform(kind):
    array, is_rescaled = kind
    recording = audio.read((array, RATE))
    np.testing.assert_allclose(recording.waveform, audio.remove_offset(WAVEFORM), atol=0.005)
    assert (recording.divisor > 1.0) == is_rescaled
    loaded = audio.load((array, RATE))[0]
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, WAVEFORM, atol=0.005)
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks((array, RATE), block_s=0.1))), loaded)


@given(st.sampled_from([np.int32, np.int64]), st.integers(0, 63), st.booleans())
def test_no_wide_integers_become_silence(dtype, n_bits, is_negative):
    value = min(2**n_bits, np.iinfo(dtype).max)
    array = np.array([0, -value if is_negative else value], dtype)
    if dtype == np.int64 and 2**31 < value < 2**47:
        with pytest.raises(AudioError, match="unknown scale"):
            arrays.from_array(array)
        return
    assert 2.0**-16 <= np.abs(arrays.from_array(array).samples).max() <= 1.0


def test_a_stream_takes_the_kinds_whose_scale_needs_no_other_chunk():
    for name in ("int8", "int16", "int32", "list of integers", "uint8", "float16", "float64", "two channels"):
        np.testing.assert_allclose(arrays.from_chunk(KINDS[name][0])[:, 0], WAVEFORM, atol=0.005)
    for name in ("int64 with values of 24 bits", "float32 at the scale of 16 bits"):
        with pytest.raises(AudioError, match=r"-1 … 1"):
            arrays.from_chunk(KINDS[name][0])


def test_floats_keep_a_scale_somewhat_beyond_one():
    assert audio.load((np.array([0.5, -3.0]), RATE))[0].tolist() == [0.5, -3.0]


def test_the_scale_of_a_file_of_floats_is_found_as_that_of_an_array():
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, PCM.astype(np.float32), RATE, format="WAV", subtype="FLOAT")
    recording = audio.read(buffer.getvalue())
    assert recording.divisor == 32_768
    np.testing.assert_array_equal(recording.waveform, audio.read((PCM, RATE)).waveform)


def test_a_scale_that_changes_after_the_first_section_is_refused():
    samples = np.zeros(40 * 1000, np.float32)
    samples[-1] = 20_000.0
    with pytest.raises(AudioError, match="from 0 to 20000"):
        audio.read((samples, 1000))
