"""A generated run folder: random numbers with a fixed seed, as plausible as those of a real run."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emocatcher.foundation.labels import EMOTIONS
from emocatcher.foundation.settings import load_preset


def _course(test: np.ndarray, best: int) -> dict[str, float]:
    return {**_late(test), "best_test": float(test[best])}


def _late(values: np.ndarray) -> dict[str, float]:
    late = values[-10:]
    return {"last": float(values[-1]), "last_10_mean": float(late.mean()), "last_10_std": float(late.std())}


def _interval(value: float, half: float) -> list[float]:
    return [max(0.0, value - half), min(1.0, value + half)]


def _scores(emotion: np.ndarray, predicted: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    recall, f1 = {}, []
    for index, label in enumerate(labels):
        hits = int(((emotion == index) & (predicted == index)).sum())
        n_true, n_predicted = int((emotion == index).sum()), int((predicted == index).sum())
        recall[label] = hits / n_true if n_true else None
        f1.append(2 * hits / max(n_true + n_predicted, 1))
    known = [value for value in recall.values() if value is not None]
    return {
        "accuracy": float((emotion == predicted).mean()),
        "unweighted_average_recall": float(np.mean(known)),
        "macro_f1": float(np.mean(f1)),
        "recall": recall,
    }


def _over(folds: list[dict[str, Any]], pick: Callable[[list[float]], float]) -> dict[str, Any]:
    def reduce(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: reduce([value[key] for value in values]) for key in values[0]}
        known = [value for value in values if value is not None]
        return float(pick(known)) if known else None

    keys = ("accuracy", "unweighted_average_recall", "loss", "selected")
    trimmed = [
        {**fold, "selected": {k: v for k, v in fold["selected"].items() if "interval" not in k}} for fold in folds
    ]
    return {key: reduce([fold[key] for fold in trimmed]) for key in keys}


def _curves(rng: np.random.Generator, n_epochs: int, end: float) -> dict[str, np.ndarray]:
    epoch = np.arange(1, n_epochs + 1) * 120 / max(n_epochs, 120)
    wobble = 0.06 * np.exp(-epoch / 40) + 0.012
    test = end - (end - 0.13) * np.exp(-epoch / 14) + wobble * rng.standard_normal(n_epochs)
    train = 0.99 - 0.86 * np.exp(-epoch / 17) + 0.004 * rng.standard_normal(n_epochs)
    return {
        "test_accuracy": test.clip(0, 1),
        "train_accuracy": train.clip(0, 1),
        "test_loss": 0.86 + 1.25 * np.exp(-epoch / 12) + wobble * rng.standard_normal(n_epochs),
        "train_loss": 0.63 + 1.5 * np.exp(-epoch / 18) + 0.006 * rng.standard_normal(n_epochs),
    }


def _attention(rng: np.random.Generator, n_steps: int, emotion: int) -> np.ndarray:
    at = (np.arange(n_steps) + 0.5) / n_steps
    centre = 0.25 + 0.07 * (emotion % 8) + 0.06 * rng.standard_normal()
    weight = np.exp(-0.5 * ((at - centre) / 0.13) ** 2) + 0.12 + 0.12 * rng.random(n_steps)
    return weight / weight.sum()


def _log_mel(rng: np.random.Generator, n_mels: int, n_frames: int) -> np.ndarray:
    mel, time = np.arange(n_mels)[:, None], np.arange(n_frames)[None, :]
    pitch = 7 + 2.5 * np.sin(time / n_frames * 5 + rng.random() * 6)
    harmonics = 14 * np.cos(2 * np.pi * mel / pitch)
    envelope = -18 * ((mel - 12 - 10 * rng.random()) / 26) ** 2 - 25 * np.cos(2 * np.pi * time / n_frames) ** 4
    loud = harmonics + envelope + 4 * rng.standard_normal((n_mels, n_frames)) - 20
    return np.maximum(loud, loud.max() - 80)


def write_made_run(
    run_dir: Path,
    n_folds: int = 1,
    n_epochs: int = 120,
    labels: tuple[str, ...] = EMOTIONS,
    protocol: str = "reference-holdout",
    selection: str = "last",
    synthetic: bool = False,
    with_speakers: bool = True,
    n_utterances: int = 1440,
    with_valid: bool = False,
    absent_label: bool = False,
    seed: int = 0,
) -> Path:
    """Write a complete run folder of generated numbers."""
    rng = np.random.default_rng(seed)
    run_dir.mkdir(parents=True, exist_ok=True)
    settings = load_preset("cabg", [f"training.n_epochs={n_epochs}", f"training.selection={selection}"])
    (run_dir / "config.toml").write_text(settings.to_toml(), encoding="utf-8")
    environment = {
        "emocatcher": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6", "platform": "Linux-6.1-x86_64",
        "processor": "a made processor", "n_cores": 2, "threads_per_fold": 1, "created": "2026-11-22T21:00:00+00:00",
    }  # fmt: skip
    (run_dir / "environment.json").write_text(json.dumps(environment), encoding="utf-8")

    n_labels = len(labels)
    emotion = rng.permutation(np.arange(n_utterances) % (n_labels - absent_label))
    speaker = [f"{index % 24 + 1:02d}" if with_speakers else "" for index in range(n_utterances)]
    gender = [("female" if int(name) % 2 == 0 else "male") if name else "" for name in speaker]
    utterance = [
        f"03-01-{emotion[index] + 1:02d}-{index:05d}-{speaker[index] or 'xx'}" for index in range(n_utterances)
    ]
    fold_of = rng.permutation(np.arange(n_utterances) % max(n_folds, 5))
    nearness = np.exp(-np.abs(np.subtract.outer(np.arange(n_labels), np.arange(n_labels))) / 1.6)
    np.fill_diagonal(nearness, 0)
    skill = rng.uniform(0.72, 0.96, n_labels)
    voice = {name: rng.normal(0, 0.07) for name in sorted(set(speaker))}

    split_rows, metric_rows, prediction_rows, folds = [], [], [], []
    for fold in range(n_folds):
        test = np.flatnonzero(fold_of == fold)
        rest = np.flatnonzero(fold_of != fold)
        valid = set(rest[:100]) if with_valid else set()
        for index in rest:
            part = "valid" if index in valid else "train"
            split_rows.append([fold, part, utterance[index], speaker[index], labels[emotion[index]]])
        split_rows += [[fold, "test", utterance[i], speaker[i], labels[emotion[i]]] for i in test]

        predicted = np.empty(test.size, dtype=np.int64)
        for row, index in enumerate(test):
            right = np.clip(skill[emotion[index]] + voice[speaker[index]], 0.05, 0.99)
            probabilities = nearness[emotion[index]] / nearness[emotion[index]].sum() * (1 - right)
            probabilities[emotion[index]] = right
            predicted[row] = rng.choice(n_labels, p=probabilities)
            given = rng.dirichlet(0.4 + 9.0 * np.eye(n_labels)[predicted[row]])
            given[[predicted[row], given.argmax()]] = given[[given.argmax(), predicted[row]]]
            prediction_rows.append(
                [fold, utterance[index], speaker[index], gender[index], labels[emotion[index]], labels[predicted[row]],
                 given[predicted[row]], *given]
            )  # fmt: skip

        scores = _scores(emotion[test], predicted, labels)
        curves = _curves(rng, n_epochs, scores["accuracy"])
        curves["test_accuracy"][-1] = scores["accuracy"]
        best = int(curves["test_accuracy"].argmax())
        for epoch in range(n_epochs):
            row = {name: float(values[epoch]) for name, values in curves.items()}
            row |= {"valid_loss": row["test_loss"] + 0.05, "valid_accuracy": row["test_accuracy"] - 0.02}
            if not with_valid:
                row |= {"valid_loss": None, "valid_accuracy": None}
            row["test_unweighted_average_recall"] = row["test_accuracy"] - 0.004
            metric_rows.append({"fold": fold, "epoch": epoch + 1, "learning_rate": 1e-3, **row, "seconds": 0.8})
        folds.append({
            "fold": fold, "n_train": int(rest.size - len(valid)), "n_valid": len(valid), "n_test": int(test.size),
            "selected_epoch": n_epochs if selection == "last" else best + 1,
            "accuracy": _course(curves["test_accuracy"], best),
            "unweighted_average_recall": _course(curves["test_accuracy"] - 0.004, best),
            "loss": _course(curves["test_loss"], best),
            "train_accuracy": _late(curves["train_accuracy"]), "train_loss": _late(curves["train_loss"]),
            "selected": {
                **scores, "accuracy_interval": _interval(scores["accuracy"], 0.04),
                "unweighted_average_recall_interval": _interval(scores["unweighted_average_recall"], 0.043),
            },
        })  # fmt: skip
        _write_evidence(run_dir / f"fold_{fold}", rng, utterance, emotion, test, test[predicted != emotion[test]])

    ranking = sorted(folds, key=lambda entry: entry["selected"]["accuracy"])
    mean = _over(folds, lambda values: float(np.mean(values)))
    result = {
        "protocol": protocol, "separates_speakers": False, "speakers_shared": True,
        "cannot_claim": "A score for speakers of the training part; it does not hold for unseen speakers.",
        "corpus": "synthetic" if synthetic else "ravdess",
        "corpus_argument": "synthetic" if synthetic else "ravdess",
        "licence": "CC BY-NC-SA 4.0", "synthetic": synthetic,
        "preset": "cabg", "selection": selection, "optimistic": selection == "best-test", "seed": 0,
        "n_parameters": 166729, "n_epochs": n_epochs, "n_utterances": n_utterances,
        "n_speakers": 24 if with_speakers else 0, "labels": list(labels),
        "seconds": {"features": 2.1, "training": 148.3}, "folds": folds, "mean": mean,
        "std": _over(folds, lambda values: float(np.std(values))), "min": _over(folds, min), "max": _over(folds, max),
        "lowest_fold": ranking[0]["fold"], "highest_fold": ranking[-1]["fold"],
        "interval": {
            "accuracy": _interval(mean["selected"]["accuracy"], 0.025),
            "unweighted_average_recall": _interval(mean["selected"]["unweighted_average_recall"], 0.027),
            "level": 0.95, "resampled": "speakers" if with_speakers else "utterances", "n_resamples": 2000,
        },
    }  # fmt: skip
    (run_dir / "result.json").write_text(json.dumps(result), encoding="utf-8")
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metric_rows), encoding="utf-8")
    header = ["fold", "utterance", "speaker", "gender", "emotion", "predicted", "probability"]
    _write_csv(run_dir / "predictions.csv", [*header, *(f"probability_{label}" for label in labels)], prediction_rows)
    _write_csv(run_dir / "split.csv", ["fold", "part", "utterance", "speaker", "emotion"], split_rows)
    return run_dir


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _write_evidence(
    fold_dir: Path, rng: np.random.Generator, names: list[str], emotion: np.ndarray, test: np.ndarray, wrong: np.ndarray
) -> None:
    fold_dir.mkdir()
    n_frames = rng.integers(17, 54, test.size)
    attention = [_attention(rng, int(n) // 2, int(emotion[index])) for index, n in zip(test, n_frames, strict=True)]
    examples = np.concatenate([wrong[:4], np.setdiff1d(test, wrong)[: 16 - len(wrong[:4])]])
    frames = {int(index): int(n) for index, n in zip(test, n_frames, strict=True)}
    log_mels = [_log_mel(rng, 64, frames[int(index)]) for index in examples]
    np.savez(
        fold_dir / "evidence.npz",
        utterances=np.array([names[index] for index in test]),
        attention=np.concatenate(attention).astype(np.float32),
        attention_lengths=np.array([len(weights) for weights in attention]),
        attention_period_s=np.float64(2 * 1364 / 22050),
        example_utterances=np.array([names[index] for index in examples]),
        example_log_mel=np.concatenate(log_mels, axis=1).astype(np.float32),
        example_lengths=np.array([log_mel.shape[1] for log_mel in log_mels]),
        frame_period_s=np.float64(1364 / 22050),
        mel_centres_hz=np.linspace(0, 1, 66)[1:-1] ** 1.6 * 6000,
    )


@pytest.fixture
def made_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that generates a run folder with the given options and returns its path."""

    def make(name: str = "run", **options: Any) -> Path:
        return write_made_run(tmp_path / name, **options)

    return make
