"""Whether a sound contains speech: a fast gate on the spectrogram, and Silero VAD where the gate is in doubt.

The gate is a logistic regression on 71 numbers of a clip's log-mel spectrogram. Where it is sure, its verdict counts;
in between, Silero VAD (`emocatcher.features.silero`) decides, which is right more often and thirty times slower.
`benchmarks/speech.py` fits the gate, also to speech in noise, in rooms and over the telephone, and measures both on
sounds that the gate was not fitted to.

Known limits: a choir, a parrot or a laughing crowd may count as speech, and a single shouted syllable may not.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import extraction, silero, voiced_span
from emocatcher.features.matrix_products import multiply
from emocatcher.foundation.settings import FrontEnd, reading

PRESET = "cabg"  # the gate was fitted to the front end of this preset
N_MELS = 64  # of that front end
N_CEPSTRA = 14
ACTIVE_DB = -35.0  # relative to the clip's loudest frame; active frames are louder
_LOUD_DB = -12.0  # as above; the shape of the spectrum is measured on frames louder than this
_QUIETEST_DB = -60.0
_FFT_MULTIPLE = 512  # transforms of some other sizes take many times as long
_SILENCE_DB = -95.0  # the front end writes digital silence as -100
# Outside these log odds of speech, the gate decides alone.
_SURELY_NOT, _SURELY = -4.0, 0.5

_N_BANDS = 8  # of the mel scale, equally wide
_N_HARMONIC = 28  # mel bands, up to 1.3 kHz, which resolve the harmonics of a voice
_HARMONIC_LAGS = range(2, 9)  # mel bands: a distance between harmonics of 90 to 350 Hz
_RIPPLE_BANDS = 7
_N_MODULATION = 64  # frames; the octaves of modulation in 64ths of the frame rate, 16 Hz:
_MODULATIONS = (1, 4, 8, 12, 16, 24)
_PAIRS = np.triu_indices(_N_BANDS, 1)

_SILERO_LONGEST_S = 1.0
_SILERO_BEFORE_S = 0.4
_ELSEWHERE_S = 0.25

# Fitted by benchmarks/speech.py to one half of its sounds.
_BIAS = -6.9382
# fmt: off
_WEIGHTS = np.array([
    -0.0739, 0.0960, 0.0431, -0.0072, 0.0021, 0.0075, 0.0338, 0.0003,  # loud - middle, of each band
    -0.0047, 0.0125, -0.0841, 0.0022, -0.0176, 0.0082, -0.0162, -0.1022,  # middle - quiet
    0.5622, 0.7109, 0.3000, 0.5340, 0.5635, -0.3152,  # modulation rates
    2.4428, -0.0714, -2.0086, -0.1524, 2.0018, -0.3277, 0.1710, 1.3834, 0.8825, 0.3448,  # pairs of bands
    2.0106, 0.1401, -0.3499, 1.6009, -0.8208, -0.5779, -0.2138, -1.1382, -0.6973, -2.4260,
    -0.3252, 0.7933, -0.9255, -0.2092, 1.2041, 1.4373, -0.2735, -0.5331,
    9.1310, 21.1757, -0.3793, 0.6780, 1.8189,  # harmonics
    -0.0422, -0.0730, 0.0534,  # steps
    -0.0074, 0.0257, -0.0041, -0.0346, -0.0401, -0.0148, -0.0277, 0.0009, -0.0298, -0.0533,  # cepstrum
    0.0043, -0.0153, -0.0590,
])
# fmt: on


def has_speech(
    waveform: audio.Waveform,
    sample_rate: int,
    log_mel: NDArray[np.float32],
    made_by: FrontEnd,
    clicked: NDArray[np.bool_] | None = None,
) -> bool:
    """Whether a clip contains speech.

    Args:
        waveform: shape (n_samples,), float32.
        sample_rate: Hz.
        log_mel: shape (n_mels, n_frames), dB, of the whole clip. The gate reads it only if it was fitted to `made_by`;
            otherwise it computes a spectrogram of its own.
        made_by: the front end that computed `log_mel`.
        clicked: shape (n_frames,), from `voiced_span.clicks` for `log_mel`; None to compute it.

    Examples:
        >>> has_speech(np.zeros(22_050, np.float32), 22_050, np.full((64, 17), -100.0, np.float32), front_end())
        False
    """
    log_mel, places, n_frames = _as_fitted(waveform, sample_rate, log_mel, made_by, clicked)
    loudness = loudness_db(log_mel)
    odds = log_odds(log_mel, loudness)
    if not in_doubt(odds):
        return odds > 0
    # First around the loudest frame: Silero would take as long for a breath before the first word as for the word. A
    # sob or a knock may be louder than the words, so then everywhere, and for longer, because there it errs more often.
    centre = int((int(places[loudness.argmax()]) + 0.5) / n_frames * len(waveform))
    first = max(centre - round(_SILERO_BEFORE_S * sample_rate), 0)
    loudest = waveform[first : first + round(_SILERO_LONGEST_S * sample_rate)]
    return silero.holds_speech(loudest, sample_rate) or silero.holds_speech(waveform, sample_rate, _ELSEWHERE_S)


def has_speech_at_once(
    waveform: audio.Waveform, sample_rate: int, log_mel: NDArray[np.float32], made_by: FrontEnd
) -> bool:
    """As `has_speech`, by the gate alone, in a fraction of a millisecond for every sound: for windows over hours.

    It errs more often than `has_speech` where the gate is in doubt: the sign of the log odds decides there.

    Args:
        waveform: shape (n_samples,), float32.
        sample_rate: Hz.
        log_mel: shape (n_mels, n_frames), dB, of the whole window.
        made_by: the front end that computed `log_mel`, as for `has_speech`.
    """
    log_mel, _, _ = _as_fitted(waveform, sample_rate, log_mel, made_by)
    return log_odds(log_mel, loudness_db(log_mel)) > 0


def log_odds(log_mel: NDArray[np.float32], loudness: NDArray[np.float32]) -> float:
    """The gate's log odds of speech.

    Args:
        log_mel: shape (N_MELS, n_frames), dB, of the front end that it was fitted to.
        loudness: its `loudness_db`.
    """
    if float(log_mel.max()) < _SILENCE_DB:
        return -np.inf
    return _BIAS + float(_WEIGHTS @ traits(log_mel, loudness))


def _as_fitted(
    waveform: audio.Waveform,
    sample_rate: int,
    log_mel: NDArray[np.float32],
    made_by: FrontEnd,
    clicked: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Return the log-mel spectrogram as the gate was fitted to it, without frames that contain a click.

    Returns:
        log_mel: shape (N_MELS, n_kept).
        places: shape (n_kept,), the kept frames.
        n_frames: how many there were.
    """
    if not was_fitted_to(made_by):
        made_by = front_end(sample_rate)
        waveform = audio.resample(waveform, sample_rate, made_by.sample_rate)
        log_mel, clicked = extraction.log_mel_spectrogram(waveform, made_by), None
    n_frames = log_mel.shape[1]
    kept = np.flatnonzero(~(voiced_span.clicks(waveform, n_frames, made_by) if clicked is None else clicked))
    if 0 < len(kept) < n_frames:
        return log_mel[:, kept], kept, n_frames
    return log_mel, np.arange(n_frames), n_frames


@lru_cache(maxsize=8)
def front_end(sample_rate: int = 0) -> FrontEnd:
    """The front end of the gate's own spectrogram, for models whose spectrogram the gate was not fitted to.

    It is the preset's without most zeros behind the window, which only interpolate the spectrum: the spectrogram takes
    half the time, and the log odds change by 0.06 on average. At another sample rate, window and hop have the same
    length in seconds, which changes them by 0.05 and saves resampling.

    Args:
        sample_rate: Hz, of the sound; below twice the highest band, and for 0, the result has that of the preset.
    """
    fitted = reading.load_preset(PRESET).front_end
    if sample_rate < 2 * fitted.f_max:
        sample_rate = fitted.sample_rate
    ratio = sample_rate / fitted.sample_rate
    win_length = round(fitted.win_length * ratio)
    return msgspec.structs.replace(
        fitted,
        sample_rate=sample_rate,
        n_fft=-(-win_length // _FFT_MULTIPLE) * _FFT_MULTIPLE,
        win_length=win_length,
        hop_length=round(fitted.hop_length * ratio),
    )


@lru_cache(maxsize=8)
def was_fitted_to(other: FrontEnd) -> bool:
    """Whether the gate can judge the spectrograms of a front end: the preset's, or the gate's own `front_end`.

    Any other setting, such as another `f_max`, would shift the log odds. Pitch does not matter: the gate reads mel
    bands only.
    """
    return msgspec.structs.replace(other, pitch=None) in (
        reading.load_preset(PRESET).front_end,
        front_end(other.sample_rate),
    )


def in_doubt(odds: float) -> bool:
    """Whether the gate's log odds leave the decision to Silero."""
    return _SURELY_NOT < odds < _SURELY


def loudness_db(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The loudness of each frame relative to the loudest, at least -60 dB, shape (n_frames,)."""
    # Relative to the loudest cell, so that nothing overflows.
    power = np.exp((log_mel - log_mel.max()) * np.float32(np.log(10.0) / 10.0)).sum(axis=0)
    loudness = 10.0 * np.log10(np.maximum(power, np.float32(1e-30)))
    return np.asarray(np.maximum(loudness - loudness.max(), _QUIETEST_DB), np.float32)


def traits(log_mel: NDArray[np.float32], loudness: NDArray[np.float32]) -> NDArray[np.float32]:
    """The numbers that the gate reads: how the bands rise and fall, together or not, and whether there are harmonics.

    Speech consists of syllables, two to eight per second, that cover much of the spectrum at once but not all of it,
    and are far above the background. The numbers do not depend on the level of the recording.

    Args:
        log_mel: shape (N_MELS, n_frames), dB.
        loudness: its `loudness_db`.

    Returns:
        shape (71,): of each band the distance from its median to its loud and to its quiet tenth; the logarithms of the
        shares of six modulation rates; the correlations of all pairs of bands; of the ripple along the lower bands
        how regular it is (mean and standard deviation over the frames), how deep (the same), and how much its period
        varies; of the steps from frame to frame the mean size, how that varies, and the largest; and the
        loud frames' cepstrum without the first, the level.
    """
    floored = np.maximum(log_mel, log_mel.max() + np.float32(_QUIETEST_DB))
    bands = np.ascontiguousarray(multiply(floored.T, _band_means().T).T)
    n_frames = bands.shape[1]
    ordered = np.sort(bands, axis=1)
    quiet, middle, loud = (ordered[:, i] for i in (n_frames // 10, n_frames // 2, n_frames - 1 - n_frames // 10))
    shape = _cosines()[1:] @ floored[:, loudness > _LOUD_DB].mean(axis=1)
    return np.concatenate(
        [
            loud - middle,
            middle - quiet,
            *_movement(bands - bands.sum(axis=1, keepdims=True) / np.float32(n_frames)),
            _harmonics(floored[:_N_HARMONIC, loudness > ACTIVE_DB]),
            _steps(bands),
            shape,
        ]
    )


def _movement(bands: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The shares of the modulation rates, shape (6,), and the correlations, shape (28,), of bands with mean zero."""
    n_frames = bands.shape[1]
    n_fft = max(n_frames, _N_MODULATION)
    spectrum = np.fft.rfft(bands * _hanning(n_frames), n_fft, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    # Rounded up, so that no rate is empty.
    edges = [-(-edge * n_fft // _N_MODULATION) for edge in _MODULATIONS]
    shares = np.add.reduceat(power, edges) / (power[edges[0] :].sum() + 1e-6)
    products = np.einsum("if,jf->ij", bands, bands)  # BLAS would use more threads
    sizes = np.sqrt(np.diag(products)) + np.float32(1e-3)
    correlations = products / sizes / sizes[:, None]
    return np.log(shares + 1e-3).astype(np.float32), correlations[_PAIRS]


def _harmonics(low: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ripple along the lower bands: regularity, depth, and the variation of its period; shape (5,)."""
    to_spectrum, to_products = _ripple_matrices()
    products = multiply(np.square(multiply(low.T, to_spectrum.T)), to_products.T).T
    energy = products[0] + np.float32(1.0)
    regular = products[1:] / energy
    of_frames = np.stack([regular.max(axis=0), np.sqrt(energy / _N_HARMONIC), regular.argmax(axis=0)])
    (regularity, depth, _), spread = of_frames.mean(axis=1), of_frames.std(axis=1)
    return np.array([regularity, spread[0], depth, spread[1], spread[2]], np.float32)


def _steps(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """The steps of the bands from frame to frame, shape (3,); zeros for a single frame."""
    if bands.shape[1] < 2:
        return np.zeros(3, np.float32)
    size = np.abs(bands[:, 1:] - bands[:, :-1])
    of_frames = size.sum(axis=0) / np.float32(_N_BANDS)
    return np.array([of_frames.mean(), of_frames.std(), size.max(axis=1).sum() / _N_BANDS], np.float32)


@lru_cache(maxsize=1)
def _band_means() -> NDArray[np.float32]:
    """The matrix from mel bands to the means of neighbouring bands, shape (_N_BANDS, N_MELS)."""
    return np.repeat(np.eye(_N_BANDS, dtype=np.float32), N_MELS // _N_BANDS, axis=1) * np.float32(_N_BANDS / N_MELS)


@lru_cache(maxsize=512)
def _hanning(n_frames: int) -> NDArray[np.float64]:
    """A Hann window without the zeros at its ends, shape (n_frames,)."""
    return np.hanning(n_frames + 2)[1:-1]


@lru_cache(maxsize=1)
def _ripple_matrices() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The matrices from the lower bands to the ripple's spectrum, and from its squares to the autocorrelation.

    The ripple is the bands minus their running mean over seven bands. Its autocorrelation is computed from its power
    spectrum (Wiener and Khinchin), so two small matrix products are enough for all frames and lags.

    Returns:
        shape (n_spectrum, _N_HARMONIC): real and imaginary parts.
        shape (1 + n_lags, n_spectrum): at lag 0, which is the energy, and at each of `_HARMONIC_LAGS`.
    """
    ripple, places, reach = np.eye(_N_HARMONIC), np.arange(_N_HARMONIC), _RIPPLE_BANDS // 2
    for offset in range(-reach, reach + 1):  # beyond the edges, the first and the last band are repeated
        ripple[places, np.clip(places + offset, 0, _N_HARMONIC - 1)] -= 1.0 / _RIPPLE_BANDS
    lags = np.array([0, *_HARMONIC_LAGS])
    n_fft = _N_HARMONIC + int(lags[-1])  # long enough that the correlation does not wrap around
    angles = 2.0 * np.pi * np.arange(n_fft) / n_fft
    to_spectrum = np.concatenate([np.cos(np.outer(angles, places)), np.sin(np.outer(angles, places))]) @ ripple
    to_products = np.tile(np.cos(np.outer(lags, angles)), 2) / n_fft
    return to_spectrum.astype(np.float32), to_products.astype(np.float32)


@lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float32]:
    """Return the first rows of the discrete cosine transform (type II), shape (N_CEPSTRA, N_MELS)."""
    angles = np.pi * np.arange(N_CEPSTRA)[:, None] * (2 * np.arange(N_MELS) + 1) / (2 * N_MELS)
    return np.asarray(np.cos(angles) * np.sqrt(2.0 / N_MELS), np.float32)
