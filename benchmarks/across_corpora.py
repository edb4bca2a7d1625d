"""Measure model folders on corpora that they were not trained on, as they are and settled.

    python benchmarks/across_corpora.py [MODEL ...]

The corpora lie in EMOCATCHER_CORPORA. A model answers with the emotions of the corpus alone, of which those that it
does not know are left out; calm counts as neutral, and a recording without speech is a wrong answer that is not given.
Settled: on up to 200 of the corpus's own clips, without their labels, as `emocatcher predict --settle` does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import emocatcher
import results
from emocatcher import corpora
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.scoring import metrics
from emocatcher.recognition import settling
from emocatcher.recognition.prediction import Prediction

CORPORA = ("ravdess", "crema-d", "tess", "nemo", "ased", "turev", "emotiontts-ko")
HEADING = "Corpora that a model was not trained on"


def main() -> None:
    """Measure the models, and write the table and `results/across-corpora.json`; rows of other models stay."""
    path = results.FOLDER / "results" / "across-corpora.json"
    rows = [row for model in sys.argv[1:] or [None] for row in measure(model)]
    rows = merge(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else [], rows)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    results.rewrite(HEADING, text(rows))


def merge(earlier: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the rows of the measured models, in their places; those of other models stay.

    Examples:
        >>> old = [{"model": "a", "n": 1}, {"model": "b", "n": 1}]
        >>> merge(old, [{"model": "c", "n": 2}, {"model": "a", "n": 2}])
        [{'model': 'a', 'n': 2}, {'model': 'b', 'n': 1}, {'model': 'c', 'n': 2}]
    """
    names = dict.fromkeys(row["model"] for row in (*earlier, *measured))
    renewed = {row["model"] for row in measured}
    return [row for name in names for row in (measured if name in renewed else earlier) if row["model"] == name]


def measure(model: str | None) -> list[dict[str, Any]]:
    """Measure one model on each corpus that it was not trained on."""
    recognizer = emocatcher.load(model)
    trained_on = set(recognizer.config.training.corpus.split("+"))
    rows = []
    for name in (one for one in CORPORA if one not in trained_on):
        corpus = corpora.load(name)
        outcomes = list(recognizer.predict_many([utterance.path for utterance in corpus], workers=2))
        if failed := [one for one in outcomes if not isinstance(one, Prediction)]:
            raise SystemExit(f"{name}: {failed[0]}")
        by_path = {one.path: one for one in outcomes}
        settled = settling.estimate([by_path[path] for path in settling.sample(list(by_path))], recognizer.config)
        rows += [
            {"model": recognizer.config.name, "corpus": name, "settled": shift is not None}
            | score(corpus, outcomes, recognizer.config, shift)
            for shift in (None, settled.shift)
        ]
        print(json.dumps(rows[-2:]), flush=True)
    return rows


def score(corpus: Corpus, outcomes: Sequence[Prediction], config: Any, shift: Sequence[float] | None) -> dict[str, Any]:
    """Score the answers for one corpus, at the model's threshold for abstaining."""
    labels = tuple(label for label in config.labels if label != "calm")
    emotions = ["neutral" if one.emotion == "calm" else one.emotion for one in corpus]
    known = np.array([emotion in labels for emotion in emotions])
    outcomes = [one for one, is_known in zip(outcomes, known, strict=True) if is_known]
    speakers = [one.speaker for one, is_known in zip(corpus, known, strict=True) if is_known]
    true = np.array([labels.index(emotion) for emotion in emotions if emotion in labels])
    has_speech = np.array([one.emotion is not None for one in outcomes])
    given = np.array([[one.probabilities.get(label, 1.0) for label in config.labels] for one in outcomes])
    if shift is not None:
        given = settling.apply(given, shift)
    merged = given[:, [config.labels.index(label) for label in labels]]
    if "calm" in config.labels:
        merged[:, labels.index("neutral")] += given[:, config.labels.index("calm")]
    classes = np.unique(true)
    kept = np.zeros_like(merged)
    kept[:, classes] = merged[:, classes]
    probabilities: NDArray[np.float64] = kept / kept.sum(axis=1, keepdims=True)
    predicted = np.where(has_speech, probabilities.argmax(axis=1), (true + 1) % len(labels))
    answered = has_speech & (probabilities.max(axis=1) >= config.abstain_below)
    right = predicted == true
    found = metrics.bootstrap_intervals(true, predicted, speakers, len(labels))
    error = metrics.expected_calibration_error(probabilities[:, classes], np.searchsorted(classes, true))
    return {
        "n_clips": len(true),
        "n_classes": len(classes),
        "unweighted_average_recall": float(np.mean([(predicted[true == one] == one).mean() for one in classes])),
        "interval": found.unweighted_average_recall,
        "calibration_error": error,
        "answered": float(answered.mean()),
        "right_where_answered": float(right[answered].mean()) if answered.any() else None,
    }


def text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the text of the section."""
    lines = []
    for row in rows:
        low, high = row["interval"]
        right = "-" if row["right_where_answered"] is None else f"{100 * row['right_where_answered']:.0f}"
        lines.append([
            f"`{row['model']}`", row["corpus"] + (", settled" if row["settled"] else ""), str(row["n_clips"]),
            f"{100 / row['n_classes']:.0f}", f"**{100 * row['unweighted_average_recall']:.1f}**",
            f"{100 * low:.1f} to {100 * high:.1f}", f"{row['calibration_error']:.2f}", f"{100 * row['answered']:.0f}",
            right,
        ])  # fmt: skip
    header = [
        "model",
        "corpus",
        "clips",
        "chance",
        "UAR",
        "95% interval",
        "calibration error",
        "answered",
        "of them right",
    ]
    return f"{results.about(__doc__)}\n\n{results.table(header, lines)}"


if __name__ == "__main__":
    main()
