import contextlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emocatcher.evaluation.run_folder import read
from emocatcher.foundation.errors import RunError

SMALL = {"n_utterances": 120, "n_epochs": 3}
PARTS = ["result.json", "config.toml", "environment.json", "split.csv", "metrics.jsonl", "predictions.csv"]


def test_read_returns_each_part_in_its_documented_shape(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=3, **SMALL))
    assert run.curves["test_accuracy"].shape == (3, 3)
    assert not np.isnan(run.curves["train_loss"]).any()
    assert np.isnan(run.curves["valid_loss"]).all()
    assert run.predictions.fold.size == sum(fold.n_test for fold in run.result.folds)
    assert (run.split.part == "test").sum() == run.result.folds[0].n_test
    assert len(run.evidence.attention) == len(run.evidence.utterances) == run.result.folds[0].n_test
    assert all(weights.sum() == pytest.approx(1, abs=1e-5) for weights in run.evidence.attention)
    assert [log_mel.shape[0] for log_mel in run.evidence.example_log_mel] == [64] * 16
    assert run.settings.training.n_epochs == 3


def test_predictions_agree_with_the_result(made_run: Callable[..., Path]) -> None:
    run = read(made_run(n_folds=2, **SMALL))
    for fold in run.result.folds:
        correct = run.predictions.correct[run.predictions.fold == fold.fold]
        assert correct.mean() == pytest.approx(fold.selected.accuracy)


def test_runs_of_earlier_versions_can_be_read(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(**SMALL)
    now = read(run_dir).predictions
    path = run_dir / "predictions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("probability_", "p_"), encoding="utf-8")
    np.testing.assert_array_equal(read(run_dir).predictions.probabilities, now.probabilities)


def test_recall_of_an_absent_emotion_is_nan(made_run: Callable[..., Path]) -> None:
    run = read(made_run(absent_label=True, **SMALL))
    assert np.isnan(run.result.folds[0].selected.recall["surprised"])


@pytest.mark.parametrize("part", [*PARTS, "fold_0/evidence.npz"])
def test_a_missing_file_is_named(made_run: Callable[..., Path], part: str) -> None:
    run_dir = made_run(**SMALL)
    (run_dir / part).unlink()
    with pytest.raises(RunError, match=part):
        read(run_dir)


@pytest.mark.parametrize("part", [*PARTS, "fold_0/evidence.npz"])
def test_a_broken_file_is_named(made_run: Callable[..., Path], part: str) -> None:
    run_dir = made_run(**SMALL)
    (run_dir / part).write_bytes(b"broken")
    with pytest.raises(RunError, match=part):
        read(run_dir)


def test_a_missing_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No run folder"):
        read(tmp_path / "nowhere")


def test_missing_epochs_are_counted_in_the_error(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_folds=2, **SMALL)
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    (run_dir / "metrics.jsonl").write_text("\n".join(lines[:-2]))
    with pytest.raises(RunError, match="4 of 6 epochs"):
        read(run_dir)


def test_an_emotion_outside_the_labels_is_named(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(**SMALL)
    text = (run_dir / "predictions.csv").read_text()
    head, body = text.split("\n", 1)
    (run_dir / "predictions.csv").write_text(f"{head}\n{body.replace('angry', 'bored')}")
    with pytest.raises(RunError, match="'bored'"):
        read(run_dir)


def test_a_result_without_a_required_field_is_refused(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(**SMALL)
    result = json.loads((run_dir / "result.json").read_text())
    del result["folds"][0]["selected"]["macro_f1"]
    (run_dir / "result.json").write_text(json.dumps(result))
    with pytest.raises(RunError, match="macro_f1"):
        read(run_dir)


def test_a_fold_without_predictions_is_named(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_folds=2, **SMALL)
    path = run_dir / "predictions.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("1,")))
    with pytest.raises(RunError, match="no predictions for fold 1"):
        read(run_dir)


@pytest.mark.parametrize(
    ("name", "value"), [("utterances", "nobody"), ("example_utterances", "nobody"), ("attention_lengths", 1)]
)
def test_evidence_that_contradicts_the_predictions_is_refused(
    made_run: Callable[..., Path], name: str, value: object
) -> None:
    run_dir = made_run(**SMALL)
    _change_evidence(run_dir, name, value)
    with pytest.raises(RunError, match=r"evidence\.npz"):
        read(run_dir)


@pytest.mark.parametrize("n_bytes", [1 << 28, 1 << 31])
def test_compressed_evidence_that_expands_to_gigabytes_is_refused_before_it_is_read(
    made_run: Callable[..., Path], n_bytes: int
) -> None:
    run_dir = made_run(**SMALL)
    path = run_dir / "fold_0" / "evidence.npz"
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("more.npy", "w") as member,
    ):
        for _ in range(16):
            member.write(bytes(1 << 24))
    if n_bytes > 1 << 28:  # declared, but not there
        whole = path.read_bytes()
        path.write_bytes(whole.replace((1 << 28).to_bytes(4, "little"), n_bytes.to_bytes(4, "little")))
    with pytest.raises(RunError, match=r"evidence\.npz' expands to [\d,]+ bytes; allowed are [\d,]+ for its size"):
        read(run_dir)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_in_evidence_are_an_error_or_without_effect(made_run: Callable[..., Path], seed: int) -> None:
    run_dir, random = made_run(**SMALL), np.random.default_rng(seed)
    path = run_dir / "fold_0" / "evidence.npz"
    with np.load(path) as stored:  # as `train` writes it
        np.savez_compressed(path, **stored)
    whole = read(run_dir).result
    damaged = bytearray(path.read_bytes())
    for place in random.integers(len(damaged), size=1 << random.integers(5)):
        damaged[place] ^= 1 << random.integers(8)
    path.write_bytes(damaged)
    with contextlib.suppress(RunError):
        assert read(run_dir).result == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attention_lengths", np.array([])),
        ("attention_lengths", "text"),
        ("attention", np.nan),
        ("attention", "text"),
        ("attention", 1j),
        ("mel_centres_hz", 1j),
        ("frame_period_s", 1j),
        ("example_log_mel", np.inf),
        ("example_log_mel", np.zeros(3)),
        ("example_lengths", np.zeros(16, int)),
        ("mel_centres_hz", np.zeros(3)),
        ("frame_period_s", 0.0),
        ("attention_period_s", np.zeros(2)),
        ("utterances", np.zeros((2, 2))),
    ],
)
def test_evidence_of_another_shape_is_refused(made_run: Callable[..., Path], name: str, value: object) -> None:
    run_dir = made_run(**SMALL)
    path = run_dir / "fold_0" / "evidence.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays[name] = value if isinstance(value, np.ndarray) else np.full(arrays[name].shape, value)
    np.savez(path, **arrays)
    with pytest.raises(RunError, match=r"evidence\.npz"):
        read(run_dir)


def test_pickled_evidence_is_refused(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(**SMALL)
    _change_evidence(run_dir, "utterances", {"an": "object"})
    with pytest.raises(RunError, match=r"evidence\.npz.*allow_pickle"):
        read(run_dir)


def _change_evidence(run_dir: Path, name: str, value: object) -> None:
    path = run_dir / "fold_0" / "evidence.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays[name] = np.full(arrays[name].shape, value, dtype=object if isinstance(value, dict) else None)
    np.savez(path, **arrays)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 200_000, b"text\n", bytes(100)],
    ids=["empty", "not UTF-8", "deep", "deep objects", "huge number", "text", "zeros"],
)
def test_a_damaged_part_is_an_error_that_names_it(made_run: Callable[..., Path], part: str, payload: bytes) -> None:
    run_dir = made_run(**SMALL)
    (run_dir / part).write_bytes(payload)
    with pytest.raises(RunError, match=part):
        read(run_dir)


@pytest.mark.parametrize("value", ["", "x", [[0]], {}, "\x1b[31m", 10**400], ids=lambda value: str(value)[:9])
def test_a_curve_that_is_no_number_is_an_error(made_run: Callable[..., Path], value: object) -> None:
    run_dir = made_run(**SMALL)
    first, *rest = (run_dir / "metrics.jsonl").read_text().splitlines()
    changed = json.dumps(json.loads(first) | {"train_loss": value})
    (run_dir / "metrics.jsonl").write_text("\n".join([changed, *rest]))
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        read(run_dir)


@pytest.mark.parametrize("n_epochs", [-1, 0, 1 << 40, 1 << 70, 99_999])
def test_a_number_of_epochs_that_the_curves_lack_is_an_error(made_run: Callable[..., Path], n_epochs: int) -> None:
    run_dir = made_run(**SMALL)
    result = json.loads((run_dir / "result.json").read_text())
    (run_dir / "result.json").write_text(json.dumps(result | {"n_epochs": n_epochs}))
    with pytest.raises(RunError):
        read(run_dir)


@pytest.mark.parametrize(("key", "value"), [("lowest_fold", 9), ("highest_fold", -1), ("folds", None)])
def test_folds_that_contradict_each_other_are_an_error(
    made_run: Callable[..., Path], key: str, value: int | None
) -> None:
    run_dir = made_run(**SMALL)
    result = json.loads((run_dir / "result.json").read_text())
    result[key] = 2 * result["folds"] if value is None else value
    (run_dir / "result.json").write_text(json.dumps(result))
    with pytest.raises(RunError, match=r"result\.json' contradicts itself"):
        read(run_dir)
