"""Manipulated uploads get documented answers, and the server keeps running."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pytest
import soundfile

from .conftest import RATE, Server, sound, voice

N_MUTATED = 500
_DECLARED = {200, 413, 422, 500}


@lru_cache(maxsize=1)
def seeds() -> list[bytes]:
    """Valid recordings in several formats."""
    samples = sound(0.5)
    found = [voice(0.5)]
    for kind, subtype in (("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("AIFF", "PCM_16")):
        target = io.BytesIO()
        soundfile.write(target, samples, RATE, format=kind, subtype=subtype)
        found.append(target.getvalue())
    av = pytest.importorskip("av")
    for kind, codec in (("mp4", "aac"), ("webm", "libopus")):
        target = io.BytesIO()
        with av.open(target, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=RATE, layout="mono")
            floats = (samples / 32_768).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(floats, format="fltp", layout="mono")
            frame.sample_rate = RATE
            resampler = av.AudioResampler(stream.format, "mono", RATE, frame_size=stream.frame_size or 960)
            frames = [*resampler.resample(frame), *resampler.resample(None)]
            for part in (*frames, None):
                container.mux(stream.encode(part))
        found.append(target.getvalue())
    return found


def mutated(number: int) -> bytes:
    """A recording with some bytes changed, removed, repeated or truncated."""
    random = np.random.default_rng(number)
    payload = bytearray(seeds()[number % len(seeds())])
    # Most of what decoders rely on is in the header.
    reach = len(payload) if number % 3 else min(len(payload), 200)
    for _ in range(random.integers(1, 12)):
        at = int(random.integers(reach))
        match random.integers(4):
            case 0:
                payload[at % len(payload)] = int(random.integers(256))
            case 1:
                payload[at : at + 4] = random.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            case 2:
                del payload[at : at + int(random.integers(1, 40))]
            case 3:
                payload[at:at] = payload[at : at + int(random.integers(1, 400))]
    if number % 5 == 0:
        del payload[int(random.integers(1, len(payload))) :]
    return bytes(payload)


def test_the_seeds_are_valid_recordings(server: Server) -> None:
    assert [server.post("/v1/predict", seed).status for seed in seeds()] == [200] * len(seeds())


@pytest.mark.slow
def test_mutated_uploads_are_answered_and_the_server_keeps_running(server: Server) -> None:
    counts = dict.fromkeys(_DECLARED, 0)
    for start in range(0, N_MUTATED, 25):
        path = "/v1/timeline" if start % 50 else "/v1/predict"
        for number in range(start, start + 25):
            answer = server.post(path, mutated(number))
            assert answer.status in _DECLARED, (number, answer.status, answer.body)
            counts[answer.status] += 1
            if answer.status != 200:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.status != 500 or answer.json["error"] == "WorkerDied"
    assert counts[200] > 50
    assert counts[422] > 50
    assert server.process.poll() is None
    server.wait_until(lambda: server.get("/readyz").status == 200)
    assert server.post("/v1/predict", voice()).status == 200
    assert list(server.spool.iterdir()) == []
