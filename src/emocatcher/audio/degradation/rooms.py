"""Put a voice into a room: simulated echoes of shoebox rooms by the image-source method.

Allen & Berkley (1979), "Image method for efficiently simulating small-room acoustics", JASA 65: each reflection is a
copy of the source, mirrored at the walls. All walls absorb alike, and so much that the sound decays in the time that is
asked for: this is searched for, because Sabine's and Eyring's formulas assume a diffuse field.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.resampling import Waveform, resample

Floats = NDArray[np.float64]

_SPEED = 343.0  # of sound, m/s
_OVERSAMPLED = 8  # echoes are put on a grid of this many places for each sample
# Exact shoeboxes have audible patterns of echoes. De Sena et al. (2015), "On the modeling of rectangular geometries in
# room acoustic simulations", IEEE/ACM TASLP 23, move the images at random to avoid them.
_JITTER_M = 0.08
_DECAY_STEP_S = 0.001
_DECAY_DB = (5.0, 25.0)  # the time between these falls, times three, is RT60 (T20 of ISO 3382-2)
_PASSED_HZ = (
    50.0,
    100.0,
)  # echoes add up below these, as Allen and Berkley note; and a loudspeaker or a voice has none of it
_MARGIN_M = 0.4  # between source or microphone and a wall
_N_TRIES = 256
_N_DRAWS = 64  # of so many tries


class Room(NamedTuple):
    """A room, and who stands where."""

    size_m: tuple[float, float, float]
    source_m: tuple[float, float, float]
    microphone_m: tuple[float, float, float]
    rt60_s: float  # the time in which the sound decays by 60 dB


def draw_room(
    random: np.random.Generator, size_m: tuple[float, float, float], rt60_s: float, distance_m: float
) -> Room:
    """Draw the places of source and microphone in a room, at least 0.4 m from the walls.

    Args:
        random: the generator.
        size_m: length, width and height of the room.
        rt60_s: the time in which the sound decays by 60 dB.
        distance_m: between source and microphone.

    Raises:
        ValueError: if the room is too small for the distance.

    Examples:
        >>> room = draw_room(np.random.default_rng(0), (4.0, 3.5, 2.6), 0.4, 1.5)
        >>> round(float(np.linalg.norm(np.subtract(room.source_m, room.microphone_m))), 6)
        1.5
    """
    free = np.asarray(size_m) - 2.0 * _MARGIN_M
    if free.min() < 0.0 or np.linalg.norm(free) < distance_m:
        raise ValueError(f"a room of {size_m} m has no place for a distance of {distance_m} m; needed: a larger room")
    # In the smallest rooms, all tries of one draw fail 30 times in a million.
    for _ in range(_N_DRAWS):
        places = _places(random, free, distance_m)
        if places is not None:
            source_m, microphone_m = (places + _MARGIN_M).tolist()
            return Room(size_m, tuple(source_m), tuple(microphone_m), rt60_s)
    raise ValueError(f"a room of {size_m} m has hardly a place for a distance of {distance_m} m; needed: a larger room")


def _places(random: np.random.Generator, free: NDArray[np.float64], distance_m: float) -> NDArray[np.float64] | None:
    """Draw source and microphone, shape (2, 3), in a box of sides `free`, shape (3,), in m; None if no try fits."""
    sources = random.uniform(0.0, 1.0, (_N_TRIES, 3)) * free
    directions = random.standard_normal((_N_TRIES, 3)) * (1.0, 1.0, 0.2)  # nearly level, as among people
    microphones = sources + distance_m * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    inside = np.flatnonzero(((microphones >= 0.0) & (microphones <= free)).all(axis=1))
    return np.stack([sources, microphones])[:, inside[0]] if len(inside) else None


def reverberate(waveform: Waveform, sample_rate: int, room: Room, random: np.random.Generator) -> Waveform:
    """Put a voice into a room: the direct sound keeps its time, and the whole recording its level.

    Args:
        waveform: shape (n_samples,), float32.
        sample_rate: Hz.
        room: the room.
        random: the generator, which moves the echoes a little.

    Returns:
        shape (n_samples,), float32; echoes after the end are left out.
    """
    response, direct = impulse_response(room, sample_rate, random)
    n_samples = len(waveform)
    n_padded = 1 << (n_samples + len(response)).bit_length()
    spectrum = np.fft.rfft(waveform, n_padded) * np.fft.rfft(response, n_padded)
    echoed = np.fft.irfft(spectrum, n_padded)[direct : direct + n_samples]
    power = float(np.square(echoed).sum())
    gain = np.sqrt(float(np.square(waveform, dtype=np.float64).sum()) / power) if power else 1.0
    return np.asarray(echoed * gain, np.float32)


def impulse_response(room: Room, sample_rate: int, random: np.random.Generator) -> tuple[Waveform, int]:
    """Compute the sound that arrives of an impulse.

    Args:
        room: the room.
        sample_rate: Hz.
        random: the generator.

    Returns:
        the response, shape (n_samples,), float32, of the length of `rt60_s`; and the sample of the direct sound.
    """
    distance, order = _images(room)
    reflection = _reflection(distance, order, room.rt60_s)
    moved = distance + np.where(order > 0, random.uniform(-_JITTER_M, _JITTER_M, len(distance)), 0.0)
    # The direct sound is put at a whole sample, so that it can be aligned exactly.
    direct = round(float(distance[order == 0][0]) / _SPEED * sample_rate)
    places = direct + (moved - distance[order == 0]) / _SPEED * sample_rate
    cells = np.rint(places * _OVERSAMPLED).astype(np.int64)
    n_cells = round(room.rt60_s * sample_rate) * _OVERSAMPLED + 1
    kept = (cells >= 0) & (cells < n_cells)
    fine = np.bincount(cells[kept], (reflection**order / distance)[kept], n_cells)
    return _high_pass(resample(fine.astype(np.float32), _OVERSAMPLED * sample_rate, sample_rate), sample_rate), direct


def _high_pass(response: Waveform, sample_rate: int) -> Waveform:
    n_padded = 2 * len(response) + sample_rate // 10
    gain = np.interp(np.fft.rfftfreq(n_padded, 1.0 / sample_rate), _PASSED_HZ, (0.0, 1.0))
    return np.fft.irfft(np.fft.rfft(response, n_padded) * gain, n_padded)[: len(response)].astype(np.float32)


def _images(room: Room) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distance in metres and the number of reflections of each image whose sound arrives within `rt60_s`."""
    reach = _SPEED * room.rt60_s
    squared, order = np.zeros(1), np.zeros(1, np.int64)
    for length, source, microphone in zip(room.size_m, room.source_m, room.microphone_m, strict=True):
        n = int(reach / length / 2.0) + 1
        numbers = np.arange(-n, n + 1)
        offsets = np.concatenate([2 * numbers * length + source, 2 * numbers * length - source]) - microphone
        reflections = np.concatenate([abs(2 * numbers), abs(2 * numbers - 1)])
        squared = (squared[:, None] + np.square(offsets)).ravel()
        order = (order[:, None] + reflections).ravel()
        near = squared <= reach**2
        squared, order = squared[near], order[near]
    return np.sqrt(squared), order


def _reflection(distance: Floats, order: NDArray[np.int64], rt60_s: float) -> float:
    """Return the share of the pressure that a wall reflects so that the sound decays in `rt60_s`, by bisection."""
    steps = (distance / _SPEED / _DECAY_STEP_S).astype(np.int64)
    n_orders, n_steps = int(order.max()) + 1, int(steps.max()) + 1
    energy = np.bincount(order * n_steps + steps, distance**-2.0, n_orders * n_steps).reshape(n_orders, n_steps)
    low, high = 0.01, 0.999
    for _ in range(20):
        middle = (low + high) / 2.0
        # Not as a matrix product, which BLAS rounds by the number of its threads.
        decay = _decay_s((middle ** (2.0 * np.arange(n_orders))[:, None] * energy).sum(axis=0))
        low, high = (middle, high) if decay < rt60_s else (low, middle)
    return low


def _decay_s(energy: Floats) -> float:
    """Return RT60 of an echo's energy per step, by Schroeder's (1965) backward integration."""
    left = np.cumsum(energy[::-1])[::-1]
    fall_db = 10.0 * np.log10(left[0] / np.maximum(left, 1e-12 * left[0]))
    first, last = np.searchsorted(fall_db, _DECAY_DB).tolist()
    return float(60.0 / (_DECAY_DB[1] - _DECAY_DB[0]) * (last - first) * _DECAY_STEP_S)
