"""Check that all ways to run a model give the same answers: `python benchmarks/parity.py [--model MODEL_DIR]`.

Compares, on every clip of RAVDESS (EMOCATCHER_CORPORA): PyTorch, ONNX Runtime clip by clip and in batches, and the
exported graphs with the front end inside and with 8-bit weights; also a stream in chunks of any size with the timeline
of the same sound, for each clip and for the whole corpus as one recording. The results go to benchmarks/RESULTS.md and
benchmarks/results/parity.json. Exits with code 1 if a bound is exceeded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

import results
from emocatcher import audio, corpora
from emocatcher.features import extraction
from emocatcher.foundation import process_setup
from emocatcher.models import model_folder
from emocatcher.models.finding import find_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.models.networks.registry import build
from emocatcher.models.onnx_graphs import as_onnx, stored_weights
from emocatcher.recognition.parity.answers import (
    PARITY_ERROR,
    Answer,
    Answers,
    Pipeline,
    compare,
    difference,
    log_mel_graph,
    python_path,
    waveform_graph,
)
from emocatcher.recognition.recognizer import Recognizer

HEADING = "Recognition: parity"
SINGLE, BATCHES = "one clip at a time (`predict`)", "in batches of 64"
FLOAT_BOUNDS = {"PyTorch": 1e-4, "waveform graph": PARITY_ERROR, "log_mel graph": PARITY_ERROR}
BATCH_BOUND = STREAM_BOUND = 1e-5
CHUNKS = (1, 160, 441, 4_800, 24_000, 100_003)  # samples at 48 kHz, drawn at random


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison."""

    what: str
    against: str
    largest_difference: float  # of any probability
    bound: float | None  # None: reported, but not bounded
    n_compared: int
    n_same_label: int
    n_clear_changed: int = 0  # labels that differ although the margin exceeds 0.01
    n_spans_changed: int = 0  # voiced spans that differ by a frame or more

    @property
    def holds(self) -> bool:
        """Whether the bound holds."""
        return self.bound is None or (self.largest_difference <= self.bound and self.n_clear_changed == 0)

    def cells(self) -> list[str]:
        """Format as a row of the table."""
        bound = "" if self.bound is None else f"≤ {self.bound:.0e}"
        same = f"{self.n_same_label:,} of {self.n_compared:,}"
        return [self.what, self.against, f"{self.largest_difference:.1e}", bound, same, str(self.n_clear_changed)]


def pytorch(model: Bundle, recognizer: Recognizer) -> Pipeline:
    """Return a function that answers with the PyTorch network."""
    settings = model.config.settings
    network = build(settings, len(model.config.labels), len(model.config.dimensions)).eval()
    network.load_state_dict({name: torch.tensor(value) for name, value in stored_weights.read(model).items()})

    def recognise(waveform: audio.Waveform) -> Answer:
        clip = extraction.extract(audio.remove_offset(waveform), settings.front_end, settings.vad)
        with torch.inference_mode():
            logits, _ = network(torch.from_numpy(clip.channels[None]), torch.tensor([clip.channels.shape[1]]))
        return Answer(recognizer.probabilities(logits.numpy())[0], clip.voiced_start_s, clip.voiced_end_s)

    return recognise


def in_batches(recognizer: Recognizer, waveforms: Iterator[audio.Waveform], single: Answers) -> Answers:
    """Answer all clips in batches; spans are those of `single`, because they do not depend on the network."""
    settings = recognizer.config.settings
    clips = [
        extraction.extract(audio.remove_offset(waveform), settings.front_end, settings.vad).channels
        for waveform in waveforms
    ]
    return Answers(recognizer.probabilities(recognizer.run(clips)[0]), single.voiced_s, single.ms_per_clip)


def streamed(recognizer: Recognizer, samples: NDArray[np.float32], rate: int, rng: np.random.Generator) -> list:
    """Push a recording into a stream in chunks of random sizes, and return the windows."""
    stream, windows, start = recognizer.stream(rate), [], 0
    while start < len(samples):
        n = int(rng.choice(CHUNKS))
        windows += stream.push(samples[start : start + n])
        start += n
    return windows + stream.finish()


def stream_row(recognizer: Recognizer, paths: Sequence[Path], what: str, rng: np.random.Generator) -> Row:
    """Compare the windows of streams with those of timelines over the same recordings."""
    n_compared = n_same = 0
    largest = 0.0
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        live, offline = streamed(recognizer, samples.mean(axis=1), rate, rng), recognizer.timeline(path).windows
        if len(live) != len(offline):
            raise SystemExit(f"{path}: the stream gave {len(live)} windows, the timeline {len(offline)}")
        for one, other in zip(live, offline, strict=True):
            n_compared += 1
            n_same += one.emotion == other.emotion
            names = one.probabilities if one.speech and other.speech else ()
            gap = max((abs(one.probabilities[name] - other.probabilities[name]) for name in names), default=0.0)
            times = max(abs(one.start_s - other.start_s), abs(one.end_s - other.end_s))
            largest = max(largest, gap, times, float(one.speech != other.speech))
    return Row(
        what=f"stream, {what} ({n_compared:,} windows)",
        against="`timeline`",
        largest_difference=largest,
        bound=STREAM_BOUND,
        n_compared=n_compared,
        n_same_label=n_same,
    )


def joined(paths: Sequence[Path], to: Path) -> Path:
    """Write all recordings one after the other into a 16-bit mono file."""
    rate = soundfile.info(paths[0]).samplerate
    with soundfile.SoundFile(to, "w", rate, 1, "PCM_16") as file:
        for path in paths:
            file.write(soundfile.read(path, dtype="int16", always_2d=True)[0][:, 0])
    return to


def measure(model: Bundle, every: int) -> Iterator[Row]:
    """Yield each comparison as it completes."""
    recognizer = Recognizer(model)
    rate = recognizer.config.settings.front_end.sample_rate
    paths = [utterance.path for utterance in corpora.load("ravdess")][::every]
    pipelines = {
        SINGLE: python_path(recognizer),
        "PyTorch": pytorch(model, recognizer),
        "log_mel graph": log_mel_graph(as_onnx(model), recognizer),
        "log_mel graph, int8": log_mel_graph(as_onnx(model, int8=True), recognizer),
        "waveform graph": waveform_graph(as_onnx(model, waveform=True)),
        "waveform graph, int8": waveform_graph(as_onnx(model, waveform=True, int8=True)),
    }
    answers = compare(pipelines, (audio.load(path, rate)[0] for path in paths))
    answers[BATCHES] = in_batches(recognizer, (audio.load(path, rate)[0] for path in paths), answers[SINGLE])
    for name, other in answers.items():
        if name == SINGLE:
            continue
        found = difference(answers[SINGLE], other)
        yield Row(
            what=name,
            against=SINGLE,
            largest_difference=found.largest,
            bound=BATCH_BOUND if name == BATCHES else FLOAT_BOUNDS.get(name),
            n_compared=len(other.labels),
            n_same_label=found.n_same_label,
            n_clear_changed=found.n_clear_changed,
            n_spans_changed=found.n_spans_changed,
        )
    rng = np.random.default_rng(0)
    yield stream_row(recognizer, paths, "each clip", rng)
    with tempfile.TemporaryDirectory() as folder:
        yield stream_row(recognizer, [joined(paths, Path(folder) / "all.wav")], "all clips as one recording", rng)


def main() -> None:
    """Compare, then print and write the results."""
    process_setup.keep_memory()  # as the command line does
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model folder; by default the one in the package")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="use every Nth clip of the corpus (1)")
    parser.add_argument("--to", type=Path, default=results.FOLDER, help="the folder of RESULTS.md and results/")
    arguments = parser.parse_args()
    rows = []
    model = model_folder.read(find_folder(arguments.model))
    for row in measure(model, arguments.every):
        print(*row.cells(), sep=" | ", flush=True)
        rows.append(row)
    (arguments.to / "results").mkdir(parents=True, exist_ok=True)
    payload = msgspec.json.encode({"model": model.config.name, "rows": rows})
    (arguments.to / "results" / "parity.json").write_bytes(msgspec.json.format(payload) + b"\n")
    n_spans = sum(row.n_spans_changed for row in rows)
    header = [
        "what",
        "compared with",
        "largest difference of a probability",
        "bound",
        "same label",
        "clear labels changed",
    ]
    text = (
        f"`python benchmarks/parity.py` on {results.software(f'PyTorch {torch.__version__}')}; all of RAVDESS. A "
        f"label is clear if the margin exceeds 0.01. Voiced spans that differ in any comparison: {n_spans}. Streams "
        "get chunks of 1 to 100,003 samples at 48 kHz, in random order. 8-bit weights have no bound.\n\n"
    )
    results.rewrite(HEADING, text + results.table(header, [row.cells() for row in rows]), arguments.to)
    if not all(row.holds for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
