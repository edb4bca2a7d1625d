"""Transmit a recording as telephones and the internet do: with a narrow band, and through codecs."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from emocatcher import audio
from emocatcher.audio.resampling import Waveform, resample
from emocatcher.foundation.errors import SettingError, suggest

_BAND_HZ = (200.0, 300.0, 3400.0, 3900.0)  # silent below the first and above the last, whole between the middle two


class Codec(NamedTuple):
    """A codec, and a container that keeps the time of the sound, except for a constant delay."""

    encoder: str  # FFmpeg's name
    container: str
    sample_rate: int  # Hz
    bit_rate: int  # bit/s
    delay: int = 0  # samples


CODECS = {
    "g711": Codec("pcm_mulaw", "wav", 8_000, 64_000),  # μ-law
    "opus-16k": Codec("libopus", "ogg", 24_000, 16_000),
    "mp3-32k": Codec("libmp3lame", "mp3", 24_000, 32_000),
    "amr-12k": Codec("libopencore_amrnb", "amr", 8_000, 12_200, delay=40),
}


def telephone(waveform: Waveform, sample_rate: int) -> Waveform:
    """Transmit a recording over a telephone line: 300 to 3400 Hz at 8 kHz, μ-law (ITU-T G.711 and G.712).

    Args:
        waveform: shape (n_samples,), float32; samples beyond full scale are clipped.
        sample_rate: Hz.

    Returns:
        shape (n_samples,), float32, at the same rate.
    """
    n_padded = len(waveform) + sample_rate // 10  # silence, so that the end does not ring into the start
    gain = np.interp(np.fft.rfftfreq(n_padded, 1.0 / sample_rate), _BAND_HZ, (0.0, 1.0, 1.0, 0.0))
    narrow = np.fft.irfft(np.fft.rfft(waveform, n_padded) * gain, n_padded)[: len(waveform)]
    return code(narrow.astype(np.float32), sample_rate, "g711")


def code(waveform: Waveform, sample_rate: int, codec: str) -> Waveform:
    """Encode and decode a recording, without the delay of the codec.

    Args:
        waveform: shape (n_samples,), float32, at least one sample; some codecs clip samples beyond full scale.
        sample_rate: Hz.
        codec: one of `CODECS`.

    Returns:
        shape (n_samples,), float32, at the same rate.

    Raises:
        SettingError: if the codec is unknown, or this build of PyAV has no encoder for it.

    Examples:
        >>> code(np.zeros(1000, np.float32), 16_000, "opus-16k").shape
        (1000,)
    """
    if codec not in CODECS:
        raise SettingError(suggest(codec, CODECS, "codec"))
    chosen = CODECS[codec]
    encoded = _encode(resample(waveform, sample_rate, chosen.sample_rate), chosen)
    decoded, rate = audio.load(encoded)
    decoded = resample(decoded[chosen.delay :], rate, sample_rate)[: len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded)))


def _encode(waveform: Waveform, codec: Codec) -> bytes:
    import av  # slow to import

    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as container:
        try:
            stream: Any = container.add_stream(codec.encoder, rate=codec.sample_rate, layout="mono")
        except av.codec.codec.UnknownCodecError:
            reason = f"This build of PyAV has no encoder {codec.encoder}"
            raise SettingError(f"{reason}. Install PyAV from PyPI, or use another codec: {', '.join(CODECS)}") from None
        stream.bit_rate = codec.bit_rate
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = codec.sample_rate, 0
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", codec.sample_rate)
        for converted in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(converted))
    return file.getvalue()
