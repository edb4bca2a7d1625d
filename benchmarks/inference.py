"""Measure recognition speed and memory: `python benchmarks/inference.py [--model NAME] [--footprint] [--ten-hours]`.

Needs RAVDESS (EMOCATCHER_CORPORA). The model is one of the package or a folder. Commands are timed as whole processes,
everything else in this process on one core. Bare decoding of the same files is timed alongside, because the speed of a
machine drifts. The results go to benchmarks/RESULTS.md and benchmarks/results/inference-PRESET.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median

# Everything measured in this process runs on one core.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import msgspec
import numpy as np
import soundfile
import soxr

import emocatcher
import results
from emocatcher import audio, corpora
from emocatcher.features import extraction
from emocatcher.foundation import process_setup
from emocatcher.models import model_folder
from emocatcher.recognition import cautions
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.recognizer import Recognizer

ROOT = Path(__file__).parent.parent


class Wanted(msgspec.Struct, frozen=True):
    """The targets of a preset; all but the timeline's are on one core."""

    of_clip: str
    of_wavs: str = ""
    of_flacs: str = ""
    cold: str = "≤ 0.6 s"
    hop: str = "≤ 5 ms"
    timeline: str = "≥ 400"


WANTED = {
    "cabg": Wanted("≤ 5 ms", "≥ 1,000", "≥ 800"),
    "emocatcher-2": Wanted("≤ 10 ms"),
    "emocatcher-3": Wanted("≤ 15 ms", "≥ 200", "≥ 200", "≤ 0.7 s", "≤ 25 ms", "≥ 90"),
}
_ROUNDS = 7
_MIB = 1 << 20


class Row(msgspec.Struct, frozen=True):
    """One measurement."""

    what: str
    value: float
    unit: str
    wanted: str = ""
    note: str = ""

    def cells(self) -> tuple[str, str, str, str]:
        """Format as a row of the table."""
        digits = 0 if self.value >= 100 else 1 if self.value >= 10 else 2
        return self.what, f"{self.value:,.{digits}f} {self.unit}", self.wanted, self.note


def seconds(function: Callable[[], object], rounds: int = _ROUNDS) -> list[float]:
    """Time each call in seconds, after one untimed call."""
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return taken[1:]


def cold(name: str, arguments: Sequence[str], wanted: str) -> Row:
    """Time a whole command as a subprocess; take the minimum of several, because a busy machine only adds time."""
    command = [sys.executable, "-m", "emocatcher", *arguments]

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = seconds(run)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (_ROUNDS + 1)
    return Row(name, min(taken), "s", wanted, f"median {median(taken):.2f}, processor time {cpu:.2f}")


def imported(arguments: Sequence[str]) -> Row:
    """Count and list the third-party modules that a command loads."""
    program = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print('\\n' + json.dumps(list(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['emocatcher', *{list(arguments)!r}]\n"
        "from emocatcher.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}
    tops -= sys.stdlib_module_names | {"emocatcher", "__main__", "__mp_main__"}
    outside = sorted(name for name in tops if not name.startswith(("_sysconfigdata", "_distutils")))
    return Row(f"third-party modules that `{arguments[0]}` loads", len(outside), "", "", ", ".join(outside))


def footprint(folder: Path) -> list[Row]:
    """Measure the disk usage of the base install in a fresh venv without pip and setuptools, as `du` counts it."""
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", str(ROOT)]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    packages = next((venv / "lib").glob("python*/site-packages"))
    largest = sorted(((disk_mib(path), path.name) for path in packages.iterdir()), reverse=True)[:6]
    note = ", ".join(f"{name} {size:.0f}" for size, name in largest)
    return [Row("base install, venv without pip and setuptools", disk_mib(venv), "MiB", "≤ 330 MiB", note)]


def disk_mib(path: Path) -> float:
    """Return the disk usage of a file or a folder in MiB; links are not followed."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return sum(entry.lstat().st_blocks * 512 for entry in (path, *inside)) / _MIB


def one_clip(recognizer: Recognizer, paths: Sequence[Path], wanted: str) -> list[Row]:
    """Time recognition from a WAV file's bytes to its Prediction, and each of its steps; medians over clips."""
    taken: dict[str, list[float]] = {}
    steps_of_clips = [steps(recognizer, path) for path in paths]
    for warm in (False, True, True, True):
        # All steps of a clip run before the next clip, so that the CPU cache holds what it would in real use.
        for steps_of_clip in steps_of_clips:
            for name, step in steps_of_clip.items():
                start = time.perf_counter()
                step()
                if warm:
                    taken.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
    parts = {name: median(values) for name, values in taken.items()}
    note = ", ".join(f"{name} {value:.2f}" for name, value in parts.items() if name not in {"whole", "bare"})
    slowest = f"slowest {max(taken['whole']):.0f}, {len(paths)} clips"
    return [
        Row("one WAV of 3.7 s, warm, bytes to Prediction", parts["whole"], "ms", wanted, note),
        Row("… mean instead of median", mean(taken["whole"]), "ms", "", slowest),
        Row(
            "… bare soundfile and soxr",
            parts["bare"],
            "ms",
            "",
            f"the whole takes {parts['whole'] / parts['bare']:.1f} times as long",
        ),
    ]


def steps(recognizer: Recognizer, path: Path) -> dict[str, Callable[[], object]]:
    """Return the timed functions of one clip: the whole, each step, and bare decoding and resampling."""
    config, content = recognizer.config, path.read_bytes()
    front_end, vad = config.settings.front_end, config.settings.vad
    native = audio.read(content)
    recording = audio.read(content, front_end.sample_rate)
    channels = extraction.compute_channels(recording.waveform, front_end)
    log_mel = channels[: front_end.n_mels]
    clip = extraction.cut_voiced_span(channels, recording.waveform, front_end, vad)
    return {
        "whole": lambda: recognizer.predict(content),
        "bare": lambda: bare(path, front_end.sample_rate),
        "decode": lambda: audio.read(content),
        "resample": lambda: audio.resample(native.waveform, native.sample_rate, front_end.sample_rate),
        "front end": lambda: extraction.compute_channels(recording.waveform, front_end),
        "voiced span": lambda: extraction.cut_voiced_span(channels, recording.waveform, front_end, vad),
        "warnings": lambda: cautions.find(recording, log_mel, clip, front_end, config.longest_voiced_s),
        "network": lambda: recognizer.run([clip.channels]),
    }


def bare(path: Path, rate: int) -> None:
    """Decode and resample only: a lower bound for any implementation."""
    samples, native = soundfile.read(path, dtype="float32")
    soxr.resample(samples, native, rate)


def bulk(recognizer: Recognizer, paths: Sequence[Path], name: str, wanted: str) -> list[Row]:
    """Time the recognition of many files on one core."""
    audio_s = sum(soundfile.info(path).duration for path in paths)
    taken = min(seconds(lambda: consume(recognizer.predict_many(paths)), 5))
    bare_s = min(seconds(lambda: [bare(path, recognizer.config.settings.front_end.sample_rate) for path in paths], 5))
    note = f"bare decoding and resampling: {audio_s / bare_s:,.0f}"
    return [Row(f"{len(paths)} {name} files, one core", audio_s / taken, "times real time", wanted, note)]


def two_workers(recognizer: Recognizer, paths: Sequence[Path]) -> list[Row]:
    """Compare two worker processes with one, in turn; the first quarter is untimed, because workers start only once."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    n_first = len(paths) // 4
    for _ in range(3):
        for workers, found in rates.items():
            outcomes = recognizer.predict_many(paths, workers=workers, ordered=False)
            consume(islice(outcomes, n_first))
            start = time.perf_counter()
            consume(outcomes)
            found.append((len(paths) - n_first) / (time.perf_counter() - start))
    ratio = max(rates[2]) / max(rates[1])
    note = f"{max(rates[1]):.0f} and {max(rates[2]):.0f} files per second, {process_setup.usable_cores()} cores"
    return [Row("two workers compared with one", ratio, "times", "≥ 1.8", note)]


def consume(outcomes: Iterable[object]) -> None:
    """Consume all outcomes; a failed file would make the measurement worthless."""
    if not all(isinstance(outcome, Prediction) for outcome in outcomes):
        raise SystemExit("A clip could not be recognised; check that the corpus is complete")


def write_long(path: Path, clips: Sequence[Path], hours: int) -> None:
    """Write a 16-bit recording of that length by repeating the clips, without holding it in memory."""
    rate = soundfile.info(clips[0]).samplerate
    left = hours * 3600 * rate
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for clip in cycle(clips):
            samples, _ = soundfile.read(clip, dtype="int16", always_2d=True)
            file.write(samples[:left, 0])
            left -= min(left, len(samples))
            if not left:
                return


def long_recording(folder: Path, clips: Sequence[Path], hours: int, model: Path, wanted: str) -> list[Row]:
    """Measure the speed and the peak memory (Linux's VmHWM) of a timeline in a fresh process."""
    path = folder / f"{hours}h.wav"
    write_long(path, clips, hours)
    program = (
        "import sys, time, emocatcher\n"
        "recognizer = emocatcher.load(sys.argv[2])\n"
        "start = time.perf_counter()\n"
        "timeline = recognizer.timeline(sys.argv[1], window_s=3, hop_s=0.5)\n"
        "taken = time.perf_counter() - start\n"
        "peak = next(row.split()[1] for row in open('/proc/self/status') if row.startswith('VmHWM:'))\n"
        "print(timeline.duration_s / taken, int(peak) / 1024, len(timeline.windows), len(timeline.segments))\n"
    )
    command = [sys.executable, "-c", program, str(path), str(model)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    path.unlink()
    speed, peak, n_windows, n_segments = map(float, done.stdout.split())
    name = f"{hours} hour{'s' * (hours > 1)} through `timeline`"
    return [
        Row(name, speed, "times real time", wanted, f"{n_windows:,.0f} windows, {n_segments:,.0f} segments"),
        Row("… peak memory of the process", peak, "MiB", "≤ 300 MB"),
    ]


def stream(recognizer: Recognizer, clips: Sequence[Path], wanted: str) -> list[Row]:
    """Time a stream of half-second chunks at 16 kHz, as from a microphone."""
    rate, hop_s = 16_000, 0.5
    sound = np.concatenate([audio.load(clip, rate)[0] for clip in clips])
    live = recognizer.stream(rate, window_s=3, hop_s=hop_s)
    chunks = np.array_split(sound, max(1, int(len(sound) / (hop_s * rate))))
    taken = []
    for chunk in chunks:
        start = time.perf_counter()
        live.push(chunk)
        taken.append(1e3 * (time.perf_counter() - start))
    warm = sorted(taken[10:])
    note = f"95th percentile {warm[int(0.95 * len(warm))]:.1f}, slowest {warm[-1]:.1f}, {len(warm)} hops"
    return [Row("stream, one half-second hop", median(warm), "ms", wanted, note)]


def measure(folder: Path, arguments: argparse.Namespace) -> Iterable[Row]:
    """Yield each measurement as it completes."""
    recognizer = emocatcher.load(arguments.model)
    folder_of_model, wanted = recognizer.path.absolute(), WANTED[recognizer.config.settings.preset]
    flacs = [utterance.path for utterance in corpora.load("ravdess")][:: arguments.every]
    wavs = [folder / f"{path.stem}.wav" for path in flacs]
    for flac, wav in zip(flacs, wavs, strict=True):
        samples, rate = soundfile.read(flac, dtype="int16")
        soundfile.write(wav, samples, rate)
    predict = ("predict", str(wavs[0]), "--model", str(folder_of_model))
    yield cold("`emocatcher --help`, cold", ["--help"], "≤ 0.2 s")
    yield cold("`emocatcher predict clip.wav`, cold", predict, wanted.cold)
    yield imported(["--help"])
    yield imported(predict)
    if arguments.footprint:
        yield from footprint(folder)
    yield from one_clip(recognizer, wavs[:: max(1, len(wavs) // 48)], wanted.of_clip)
    yield from bulk(recognizer, wavs, "WAV", wanted.of_wavs)
    yield from bulk(recognizer, flacs, flacs[0].suffix[1:].upper(), wanted.of_flacs)
    yield from two_workers(recognizer, wavs)
    yield from stream(recognizer, wavs[:40], wanted.hop)
    yield from long_recording(folder, wavs, 1, folder_of_model, wanted.timeline)
    if arguments.ten_hours:
        yield from long_recording(folder, wavs, 10, folder_of_model, wanted.timeline)


def main() -> None:
    """Measure, then print and write the results."""
    process_setup.keep_memory()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=model_folder.BUNDLED, help=f"a name or a folder ({model_folder.BUNDLED})")
    parser.add_argument("--footprint", action="store_true", help="also measure a base install in a fresh venv")
    parser.add_argument(
        "--ten-hours", action="store_true", help="also time a timeline of ten hours; needs 3.5 GB of disk"
    )
    parser.add_argument("--every", type=int, default=2, metavar="N", help="use every Nth clip of the corpus (2)")
    parser.add_argument("--to", type=Path, default=results.FOLDER, help="the folder of RESULTS.md and results/")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for row in measure(Path(name), arguments):
            print(*row.cells(), sep=" | ", flush=True)
            rows.append(row)
    write(rows, emocatcher.load(arguments.model).config.settings.preset, arguments.to)


def write(rows: Sequence[Row], preset: str, folder: Path) -> None:
    """Write the results to their section of RESULTS.md, and as JSON."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    payload = msgspec.json.encode({"machine": results.software(), "rows": rows})
    (folder / "results" / f"inference-{preset}.json").write_bytes(msgspec.json.format(payload) + b"\n")
    table = results.table(["what", "here", "wanted", ""], [row.cells() for row in rows])
    text = f"`python benchmarks/inference.py` with a model of the preset `{preset}` on {results.software()}.\n\n{table}"
    results.rewrite(f"Recognition with `{preset}`: speed and memory", text, folder)


if __name__ == "__main__":
    main()
