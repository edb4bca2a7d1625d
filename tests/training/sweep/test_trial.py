"""One trial: its predictions, resumed, damaged and diverged."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from emocatcher.evaluation.protocols import Fold
from emocatcher.foundation.settings import load_preset
from emocatcher.training.dataset import load_features
from emocatcher.training.prepared_run import parts_of
from emocatcher.training.sweep import trial
from emocatcher.training.sweep.trial import Trial, TrialTask


@pytest.fixture
def reports(monkeypatch) -> Iterator[list]:
    reports = []
    monkeypatch.setattr("emocatcher.training.training_pool.report", reports.append)
    return reports


@pytest.fixture
def task(voices, small_settings, tmp_path) -> TrialTask:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    ids = [u.id for u in voices]
    parts = parts_of(Fold(train=tuple(ids[:100]), valid=tuple(ids[100:160]), test=()), voices)
    return TrialTask(
        trial=Trial("a", 0, 2, 1), number=7, inner=2, settings=small_settings, labels=voices.labels,
        features=load_features(voices, small_settings), train=parts["train"], valid=parts["valid"],
        resume_dir=tmp_path / "state",
    )  # fmt: skip


def without_duration(finished):
    return msgspec.structs.replace(finished, seconds=0.0)


def test_a_trial_predicts_the_validation_part_after_the_last_epoch(task, reports):
    from emocatcher.training.fold_trainer import FoldTrainer

    found = trial.run(task)
    assert [(one.number, one.epoch) for one in reports] == [(7, 1), (7, 2), (7, 3)]
    assert found.trial == task.trial
    assert found.train_loss == reports[-1].train_loss
    trainer = FoldTrainer(
        task.settings, task.labels, task.features, {"train": task.train}, fold=2, seed=1, resume_dir=None
    )
    trainer.run()
    logits, _ = trainer.evaluate(task.valid)
    assert tuple(found.predictions) == task.valid.ids
    assert list(found.predictions.values()) == [task.labels[i] for i in logits.argmax(axis=1)]


def test_a_resumed_trial_has_the_same_predictions(task, reports, tmp_path, monkeypatch):
    whole = trial.run(task)
    broken = msgspec.structs.replace(task, resume_dir=tmp_path / "other")

    def cut(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("emocatcher.training.fold_trainer._SAVE_EVERY_S", 0.0)
        patch.setattr("emocatcher.training.training_pool.report", cut)
        with pytest.raises(KeyboardInterrupt):
            trial.run(broken)
    reports.clear()
    assert without_duration(trial.run(broken)) == without_duration(whole)
    assert [one.epoch for one in reports] == [2, 3]


def test_a_damaged_state_is_reported_and_the_trial_starts_again(task, reports):
    whole = trial.run(task)
    (path,) = task.resume_dir.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    reports.clear()
    assert without_duration(trial.run(task)) == without_duration(whole)
    assert reports[0].startswith(f"{path} is damaged")
    assert [one.epoch for one in reports[1:]] == [1, 2, 3]


def test_a_trial_that_diverges_is_marked_without_an_error(task, reports, voices, small_network):
    diverging = load_preset("cabg", [*small_network, "training.n_epochs=3", "optimiser.learning_rate=1e30"])
    with np.errstate(all="ignore"):
        found = trial.run(msgspec.structs.replace(task, settings=diverging))
    assert found.predictions == {}
    assert found.diverged.startswith("fold 0, split 2, seed 1, epoch ")
    assert "Training diverged: lower optimiser.learning_rate" in found.diverged
