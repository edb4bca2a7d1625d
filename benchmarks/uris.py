"""Recognise recordings at URIs: with a fault in every place, and how fast without one.

    python benchmarks/uris.py faults
    python benchmarks/uris.py speed

`faults`: recordings of the synthetic corpus in 20 formats on a web server of this machine, each with one of the faults
in `FAULTS`; an attempt takes 1 s at most, with four more. A row is right if it has the answer of the local file (to
1e-6), or, where the fault stays, the error that belongs to it. It takes ten minutes, most of them pauses.

`speed`: the same recordings from the disk, from a web server and from an S3 store (moto) in the same process, in turns;
and the timeline of a WAV file of ten minutes, with the largest peak of resident memory.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median

import av
import numpy as np
import soundfile

import emocatcher
from emocatcher.corpora import synthetic
from emocatcher.foundation import uris
from emocatcher.foundation.uris import attempts
from emocatcher.recognition.prediction import Failure

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from remote_places import KEY, SECRET, WebServer

ROUNDS = 5
LIBSNDFILE = ("WAV", "RF64", "AIFF", "AU", "CAF", "W64", "FLAC", "OGG")
FFMPEG = (
    *(("mp3", "mp3"), ("mp4", "aac"), ("adts", "aac"), ("webm", "libopus"), ("ogg", "libopus"), ("mpegts", "mp2")),
    *(
        ("matroska", "pcm_s16le"),
        ("avi", "pcm_s16le"),
        ("flv", "aac"),
        ("asf", "wmav2"),
        ("ac3", "ac3"),
        ("mp2", "mp2"),
    ),
)
# What happens at a place, and the error if it stays.
FAULTS = {
    "": "",
    "every-5": "",
    "half-2": "",
    "half-2-whole": "",
    "no-ranges": "",
    "no-length": "",
    "status-404": "DecodeError",
    "status-403": "UnreachableError",
    "status-500": "UnreachableError",
    "half-99": "UnreachableError",
    "hang": "UnreachableError",
}


def encoded(path: Path) -> list[tuple[str, bytes]]:
    """Return a recording in 20 formats."""
    samples, rate = soundfile.read(path, dtype="float32")
    found = []
    for kind in LIBSNDFILE:
        sink = io.BytesIO()
        soundfile.write(sink, samples, rate, format=kind)
        found.append((kind.lower(), sink.getvalue()))
    for kind, codec in FFMPEG:
        sink = io.BytesIO()
        with av.open(sink, "w", format=kind) as output:
            stream = output.add_stream(codec, rate=48_000, layout="mono")
            stream.bit_rate = 96_000
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = rate
            size = stream.frame_size or 1024
            resampler = av.AudioResampler(stream.format, "mono", 48_000, frame_size=size)
            for part in (*resampler.resample(frame), *resampler.resample(None), None):
                output.mux(stream.encode(part))
        found.append((f"{kind}-{codec}", sink.getvalue()))
    return found


def faults(clips: list[Path]) -> None:
    """Print what each fault costs."""
    os.environ |= {attempts.TIMEOUT: "1", attempts.RETRIES: "4"}
    recognizer, web = emocatcher.load(), started()
    local = [content for clip in clips for _, content in encoded(clip)]
    expected = list(recognizer.predict_many(local))
    assert not any(isinstance(one, Failure) for one in expected)
    print(f"{len(local)} recordings, {len(local) // len(clips)} formats\n\n| fault | rows | right | wrong | requests |")
    print("|---|---:|---:|---:|---:|")
    for fault, error in FAULTS.items():
        chosen = range(0, len(local), 1 if not error else 5)
        sources = [web.add(f"/{fault or 'none'}/{i}", local[i], fault) for i in chosen]
        right: Counter[bool] = Counter()
        for i, found in zip(chosen, recognizer.predict_many(sources), strict=True):
            if isinstance(found, Failure):
                right[found.error == error] += 1
            else:
                close = np.isclose([*found.probabilities.values()], [*expected[i].probabilities.values()], atol=1e-6)
                right[not error and bool(close.all())] += 1
        requests = sum(web.asked[f"/{fault or 'none'}/{i}"] for i in chosen)
        print(f"| {fault or 'none'} | {len(sources)} | {right[True]} | {right[False]} | {requests} |")


def speed(clips: list[Path], folder: Path) -> None:
    """Print how fast recordings are recognised from each place."""
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    store.start()
    address = "http://{}:{}".format(*store.get_host_and_port())
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ["AWS_ENDPOINT_URL"] = address
    import fsspec

    fsspec.filesystem("s3").mkdir("calls")
    web, long = started(), folder / "long.wav"
    samples, rate = soundfile.read(clips[0])
    soundfile.write(long, np.tile(samples, 600 * rate // len(samples)), rate)
    places = {"disk": [str(clip) for clip in clips]}
    places["web server"] = [web.add(f"/{i}.wav", clip.read_bytes()) for i, clip in enumerate(clips)]
    places["S3"] = [f"s3://calls/{i}.wav" for i in range(len(clips))]
    for uri, clip in zip(places["S3"], clips, strict=True):
        uris.write(uri, clip)
    recognizer, seconds = emocatcher.load(), {name: [] for name in places}
    for _ in range(ROUNDS + 1):
        for name, sources in places.items():
            start = time.perf_counter()
            assert not any(isinstance(one, Failure) for one in recognizer.predict_many(sources))
            seconds[name].append(time.perf_counter() - start)
    for name, found in seconds.items():
        slower = median(one / disk for one, disk in zip(found[1:], seconds["disk"][1:], strict=True))
        print(
            f"{name}: {len(clips) / median(found[1:]):.1f} recordings a second, {slower:.2f} times as long as from disk"
        )
    uris.write("s3://calls/long.wav", long)
    for name in (str(long), web.add("/long.wav", long.read_bytes()), "s3://calls/long.wav"):
        start = time.perf_counter()
        script = f"import emocatcher; print(emocatcher.load().timeline({name!r}, 3.0, 3.0).duration_s)"
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        print(f"ten minutes from {name.partition(':')[0]}: {time.perf_counter() - start:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{long.stat().st_size / 2**20:.0f} MiB each; largest peak of resident memory {peak:.0f} MiB")
    store.stop()


def started() -> WebServer:
    """Return a running web server."""
    server = WebServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("faults", "speed"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        synthetic.generate(Path(place) / "corpus", n_voices=1)
        recordings = sorted(Path(place).rglob("*.wav"))
        if arguments.what == "faults":
            faults(recordings[::10])
        else:
            speed(recordings[:60], Path(place))
