"""Train and score each row of the README's result table, and draw its figure: `make paper`.

Each row is one or several runs of `emocatcher train`, each with its own folder; an interrupted run is resumed. A row is
written from the finished seeds and states how many are missing; an ensemble needs all of them. The scores of each row
are kept in `results/rows.json`, so that its line remains when the run folders are on another machine.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

import results
from emocatcher.evaluation.scoring import metrics
from emocatcher.foundation.settings import load_preset
from emocatcher.reports import run_report
from paper_figure import draw

ROOT = Path(__file__).parents[1]
ROWS_KEPT = ROOT / "benchmarks" / "results" / "rows.json"
SEPARATE = {"emobox-6", "luna-5", "loso-24"}  # no speaker is in both parts


KINDS = {  # with the description in the table; {} is the number of seeds
    "ensemble": "ensemble of {} seeds",
    "distilled": "distilled from the ensemble of {} seeds",
    "speaker-normalised": "each speaker standardised by their own unlabelled recordings, also in the test part "
    "(tried, removed)",
}
REMOVED = {"speaker-normalised"}  # no longer in the package: the measured scores are kept, but never trained again


class Row(msgspec.Struct, frozen=True):
    """One row: a recipe under a protocol."""

    preset: str
    protocol: str
    kind: str = "single"  # or one of `KINDS`
    seeds: tuple[int, ...] = (0,)
    must: str = ""  # the target

    @property
    def name(self) -> str:
        """The name that `--rows` accepts."""
        return f"{self.preset}/{self.protocol}/{self.kind}"


class Scored(msgspec.Struct):
    """The scores of a row, as fractions."""

    row: Row
    accuracy: float
    unweighted_average_recall: float
    accuracy_interval: tuple[float, float]
    unweighted_average_recall_interval: tuple[float, float]
    of_seeds: list[float]  # accuracy
    of_folds: list[float]  # accuracy, of the first seed
    n_parameters: int
    minutes: float  # of training per run
    machine: str  # that trained the runs
    recipe: str  # hash of the preset's settings: a kept row is dropped when its recipe changes


THREE, FIVE = (0, 1, 2), (0, 1, 2, 3, 4)
ROWS = (
    Row("emocatcher-3", "emobox-6", seeds=THREE, must="78 / 78"),
    Row("emocatcher-3", "luna-5", seeds=THREE, must="UAR 77"),
    Row("emocatcher-3", "loso-24", must="UAR 78"),
    Row("emocatcher-3", "reference-cv5", seeds=THREE, must="90"),
    Row("emocatcher-3", "kfold-10", must="91"),
    Row("emocatcher-3", "reference-holdout", seeds=THREE, must="90"),
    Row("emocatcher-2", "emobox-6", seeds=THREE, must="67 / 67"),
    Row("emocatcher-2", "luna-5", seeds=THREE, must="UAR 65"),
    Row("emocatcher-2", "reference-cv5", seeds=THREE, must="90"),
    Row("emocatcher-2", "loso-24", must="UAR 69"),
    Row("emocatcher-2", "kfold-10", must="91"),
    Row("emocatcher-2", "emobox-6", "ensemble", FIVE),
    Row("emocatcher-2", "reference-cv5", "ensemble", FIVE),
    Row("emocatcher-2", "emobox-6", "distilled", FIVE, must="69"),
    Row("emocatcher-2", "reference-cv5", "distilled", FIVE, must="91.5"),
    Row("emocatcher-2", "emobox-6", "speaker-normalised"),
    Row("cabg", "reference-holdout", seeds=THREE),
    Row("cabg", "reference-cv5", seeds=THREE),
)


def main() -> None:
    """Train the missing runs, then write the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "paper", help="folder of the runs")
    parser.add_argument(
        "--rows", nargs="*", default=[row.name for row in ROWS], help="rows to train, each as PRESET/PROTOCOL/KIND"
    )
    parser.add_argument("--seeds", nargs="*", type=int, help="train only these seeds")
    parser.add_argument("--only-tables", action="store_true", help="train nothing; write the finished rows")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"unknown row: {', '.join(sorted(unknown))}. Rows: {', '.join(row.name for row in ROWS)}")
    kept = msgspec.json.decode(ROWS_KEPT.read_bytes(), type=list[Scored]) if ROWS_KEPT.exists() else []
    earlier = {one.row.name: one for one in kept}
    scored, waiting = [], []
    for row in ROWS:
        if row.kind in REMOVED:
            found = earlier.get(row.name)
        else:
            if row.name in arguments.rows and not arguments.only_tables:
                train(row, arguments.out, arguments.seeds)
            now = score(row, arguments.out)
            found = more_complete(now, earlier.get(row.name), row)
            if found is now:
                keep_results(row, arguments.out)
        scored.append(found) if found else waiting.append(row.name)
    ROWS_KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(scored)) + b"\n")
    results.rewrite("Accuracy that holds", text(scored, waiting))
    draw([msgspec.to_builtins(one) for one in scored], ROOT / "benchmarks" / "figures" / "accuracy.svg")
    print(table(scored))
    if waiting:
        print("not finished:", ", ".join(waiting))


def folder(out: Path, row: Row, seed: int) -> Path:
    """Return the folder of a run."""
    own = "" if row.kind in ("single", "ensemble") else f"-{row.kind}"
    return out / f"{row.preset}-{row.protocol}{own}-seed{seed}"


def runs_of(row: Row, out: Path) -> list[Path]:
    """Return the run folders of a row; a distilled row is a single run, with the other runs as its teachers."""
    return [folder(out, row, seed) for seed in ((0,) if row.kind == "distilled" else row.seeds)]


def train(row: Row, out: Path, seeds: list[int] | None = None) -> None:
    """Train or resume all runs that a row needs, or only those of some seeds."""
    single = Row(row.preset, row.protocol)
    wanted: list[tuple[Path, int, list[str]]] = [(folder(out, single, seed), seed, []) for seed in row.seeds]
    if row.kind == "distilled":
        teachers = [str(path) for path, _, _ in wanted]
        wanted.append((folder(out, row, 0), 0, [word for path in teachers for word in ("--teacher", path)]))
    for path, seed, more in wanted:
        if (path / "result.json").is_file() or (seeds is not None and seed not in seeds):
            continue
        command = [sys.executable, "-m", "emocatcher", "train", "--preset", row.preset, "--corpus", "ravdess"]
        command += ["--protocol", row.protocol, "--seed", str(seed), "--out", str(path), "--resume", *more]
        started = time.perf_counter()
        print(f"{row.name}, seed {seed}", flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"  {(time.perf_counter() - started) / 60:.1f} min", flush=True)


def score(row: Row, out: Path) -> Scored | None:
    """Score a row from its finished runs; None if there are none, or if an ensemble lacks some."""
    paths = [path for path in runs_of(row, out) if (path / "result.json").is_file()]
    if not paths or (row.kind == "ensemble" and len(paths) < len(row.seeds)):
        return None
    runs = [run_report.read(path) for path in paths]
    first = runs[0].predictions
    if row.kind == "ensemble":
        mean = np.mean([run.predictions.probabilities for run in runs], axis=0)
        predictions = [mean.argmax(axis=1)]
    else:
        predictions = [run.predictions.probabilities.argmax(axis=1) for run in runs]
    labels = runs[0].result.labels
    folds = np.unique(first.fold)

    def rates(predicted: np.ndarray) -> np.ndarray:
        """Return accuracy and UAR of each fold, shape (n_folds, 2)."""
        found = []
        for number in folds:
            here = first.fold == number
            confusion = metrics.confusion_matrix(first.emotion[here], predicted[here], len(labels))
            found.append((metrics.accuracy_score(confusion), metrics.unweighted_average_recall_score(confusion)))
        return np.array(found)

    by_seed = np.array([rates(predicted) for predicted in predictions])
    intervals = [
        metrics.bootstrap_intervals(first.emotion, predicted, first.speaker, len(labels)) for predicted in predictions
    ]
    accuracy, recall = by_seed.mean(axis=(0, 1))
    return Scored(
        row=row,
        accuracy=float(accuracy),
        unweighted_average_recall=float(recall),
        accuracy_interval=_mean([interval.accuracy for interval in intervals]),
        unweighted_average_recall_interval=_mean([interval.unweighted_average_recall for interval in intervals]),
        of_seeds=by_seed[:, :, 0].mean(axis=1).tolist(),
        of_folds=by_seed[0, :, 0].tolist(),
        n_parameters=runs[0].result.n_parameters * (len(runs) if row.kind == "ensemble" else 1),
        minutes=sum(run.result.seconds["training"] for run in runs) / 60 / len(runs),
        machine=results.software(),
        recipe=recipe(row.preset),
    )


def recipe(preset: str) -> str:
    """Return a hash of a preset's settings."""
    return hashlib.sha256(load_preset(preset).to_toml().encode()).hexdigest()[:16]


def keep_results(row: Row, out: Path) -> None:
    """Copy the `result.json` of a row's finished runs into the repository."""
    for path in runs_of(row, out):
        if (path / "result.json").is_file():
            shutil.copy(path / "result.json", ROOT / "benchmarks" / "results" / f"{path.name}.json")


def more_complete(now: Scored | None, earlier: Scored | None, row: Row) -> Scored | None:
    """Return the current scores, or the earlier ones if those have more seeds of the same recipe."""
    if (
        earlier is None
        or earlier.recipe != recipe(row.preset)
        or (now is not None and len(now.of_seeds) >= len(earlier.of_seeds))
    ):
        return now
    return msgspec.structs.replace(earlier, row=row)  # the target may have changed


def _mean(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    lower, upper = np.mean(intervals, axis=0)
    return float(lower), float(upper)


def _seeds(one: Scored) -> str:
    """Format the accuracy of each seed, and how many are missing."""
    reached = " ".join(f"{100 * value:.1f}" for value in one.of_seeds)
    missing = len(one.row.seeds) - len(one.of_seeds) if one.row.kind == "single" else 0
    return reached + (f" ({missing} of {len(one.row.seeds)} not run yet)" if missing else "")


def _range(interval: tuple[float, float]) -> str:
    return " to ".join(f"{100 * edge:.1f}" for edge in interval)


def table(scored: list[Scored]) -> str:
    """Format the table of all rows, in percent."""
    header = [
        "protocol",
        "speakers shared",
        "recipe",
        "accuracy",
        "95% interval",
        "UAR",
        "95% interval",
        "accuracy of each seed",
        "target",
    ]
    rows = []
    for one in scored:
        row = one.row
        kind = f", {KINDS[row.kind].format(len(row.seeds))}" if row.kind in KINDS else ""
        rows.append(
            [
                f"`{row.protocol}`",
                "no" if row.protocol in SEPARATE else "yes",
                f"`{row.preset}`{kind}",
                f"**{100 * one.accuracy:.1f}**",
                _range(one.accuracy_interval),
                f"**{100 * one.unweighted_average_recall:.1f}**",
                _range(one.unweighted_average_recall_interval),
                _seeds(one),
                row.must or "-",
            ]
        )
    return results.table(header, rows)


def text(scored: list[Scored], waiting: list[str]) -> str:
    """Return the text of the section in RESULTS.md."""
    folds = []
    for one in scored:
        of_folds = " ".join(f"{100 * value:.1f}" for value in one.of_folds)
        folds.append([one.row.name, of_folds, f"{one.n_parameters:,}", f"{one.minutes:.0f}", one.machine])
    missing = f"\n\nNot finished: {', '.join(waiting)}." if waiting else ""
    return (
        "`make paper`; last epoch, mean over folds, then over seeds; percent. Intervals are by resampling speakers: "
        "the mean of the seeds' bounds. The `result.json` of each run is in `results/`.\n\n"
        f"{table(scored)}\n\nAccuracy of each fold, first seed:\n\n"
        + results.table(["row", "folds", "parameters", "minutes per run", "machine"], folds)
        + missing
    )


if __name__ == "__main__":
    main()
