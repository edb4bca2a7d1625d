"""Adapt a model to 50 recordings of corpora that it was not trained on, and test it on other speakers.

    python benchmarks/adaptation.py [MODEL] [CORPUS=MODEL ...]

The corpora lie in EMOCATCHER_CORPORA. Five draws: half of the speakers (of two, one), 50 of their recordings, and up to
1,000 recordings of the other speakers, at even distances, as the test. UAR in percent, the mean of the draws: of the
model as it is; adapted to the 50 with their labels (`emocatcher adapt`), and that settled on the tested recordings; and
adapted to the 50 without labels (`--unlabelled`). CORPUS=MODEL names another model for a corpus that MODEL was trained
on. Seconds: of one adaptation, on one core.
"""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import across_corpora
import emocatcher
import results
from emocatcher import corpora
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.recognition import settling

CORPORA = ("emotiontts-ko", "tess", "nemo", "ased")
HEADING = "Adapting to 50 recordings"
N_DRAWS, N_RECORDINGS, MOST_TESTED = 5, 50, 1_000
WAYS = ("as it is", "adapted", "adapted and settled", "unlabelled")


def main() -> None:
    """Measure, and write the table and `results/adaptation.json`."""
    models = {name: model for name, found, model in (one.partition("=") for one in sys.argv[1:]) if found}
    default = next((one for one in sys.argv[1:] if "=" not in one), None)
    rows = []
    for name in CORPORA:
        corpus, model = corpora.load(name), models.get(name, default)
        for draw in range(N_DRAWS):
            rows.append({"corpus": name, "draw": draw} | measure(corpus, draw, model))
            print(json.dumps(rows[-1]), flush=True)
    path = results.FOLDER / "results" / "adaptation.json"
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    results.rewrite(HEADING, text(rows))


def divide(corpus: Corpus, draw: int) -> tuple[list[Utterance], list[Utterance]]:
    """Draw the recordings to adapt to, and those to test on; no draw has the speakers of another one, if possible."""
    random, n = np.random.default_rng(0), len(corpus.speakers)
    halves: dict[frozenset[str], None] = {}
    while len(halves) < min(N_DRAWS, math.comb(n, n // 2)):
        halves[frozenset(random.permutation(corpus.speakers)[: n // 2].tolist())] = None
    chosen = list(halves)[draw % len(halves)]
    mine = [one for one in corpus if one.speaker in chosen]
    picked = np.random.default_rng(draw).choice(len(mine), min(N_RECORDINGS, len(mine)), replace=False).tolist()
    others = [one for one in corpus if one.speaker not in chosen]
    tested = np.linspace(0, len(others) - 1, min(len(others), MOST_TESTED)).astype(int).tolist()
    return [mine[i] for i in picked], [others[i] for i in tested]


def measure(corpus: Corpus, draw: int, model: str | None) -> dict[str, Any]:
    """Measure one draw."""
    mine, tested = divide(corpus, draw)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "mine.csv")
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "speaker"])
            writer.writerows([one.path, one.emotion, one.speaker] for one in mine)
        found["as it is"] = score(model, corpus, tested)[0]
        start = time.perf_counter()
        adapt(model, [str(table)], Path(folder, "adapted"), folder)
        found["seconds"] = time.perf_counter() - start
        found["adapted"], found["adapted and settled"] = score(str(Path(folder, "adapted")), corpus, tested)
        adapt(model, ["--unlabelled", *(str(one.path) for one in mine)], Path(folder, "settled"), folder)
        found["unlabelled"] = score(str(Path(folder, "settled")), corpus, tested)[0]
    return found


def adapt(model: str | None, given: Sequence[str], to: Path, cache: str) -> None:
    """Run `emocatcher adapt` on one core, with an empty cache."""
    named = ["--model", model] if model else []
    command = [sys.executable, "-m", "emocatcher", "adapt", *given, "--to", str(to), *named]
    cores = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    subprocess.run(
        [*cores, *command], check=True, env=os.environ | {"EMOCATCHER_CACHE": cache}, stdout=subprocess.DEVNULL
    )


def score(model: str | None, corpus: Corpus, tested: Sequence[Utterance]) -> tuple[float, float]:
    """Return the UAR of a model on recordings, as it is and settled on them."""
    recognizer = emocatcher.load(model)
    part = Corpus(name=corpus.name, utterances=tuple(tested), labels=corpus.labels)
    outcomes = list(recognizer.predict_many([one.path for one in tested], workers=2))
    by_path = {str(one.path): one for one in outcomes}
    shift = settling.estimate([by_path[path] for path in settling.sample(list(by_path))], recognizer.config).shift
    as_it_is, settled = (across_corpora.score(part, outcomes, recognizer.config, one) for one in (None, shift))
    return as_it_is["unweighted_average_recall"], settled["unweighted_average_recall"]


def text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the text of the section."""
    lines = []
    for name in CORPORA:
        mine = [row for row in rows if row["corpus"] == name]
        means = [100 * np.mean([row[way] for row in mine]) for way in WAYS]
        draws = ", ".join(f"{100 * row['adapted']:.0f}" for row in mine)
        seconds = f"{np.mean([row['seconds'] for row in mine]):.0f}"
        lines.append([name, *(f"{mean:.1f}" for mean in means), draws, seconds])
    means = [100 * np.mean([row[way] for row in rows]) for way in WAYS]
    lines.append(["mean", *(f"**{mean:.1f}**" for mean in means), "", ""])
    header = ["corpus", *WAYS, "adapted, each draw", "seconds"]
    return f"{results.about(__doc__)}\n\n{results.table(header, lines)}"


if __name__ == "__main__":
    main()
