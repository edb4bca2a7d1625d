"""One fold: its computation, compared with plain PyTorch, and resuming."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from pytorch_optimizer import AdaBelief
from safetensors.numpy import load_file, save
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.scoring import metrics
from emocatcher.features.padding import pad_batch
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import DamagedStateError, RunError
from emocatcher.foundation.settings import Settings
from emocatcher.models.networks.registry import build
from emocatcher.training.dataset import Part, load_features
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.fold_trainer import FoldTrainer

Make = Callable[..., FoldTrainer]


@pytest.fixture
def make(
    tmp_path: Path, voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> Make:
    def make(
        folder: str = "a", *, seed: int = 0, fold: int = 0, valid: Part | None = None, **changes: Any
    ) -> FoldTrainer:
        settings = small_settings
        for name, values in changes.items():
            section = msgspec.structs.replace(getattr(settings, name), **values)
            settings = msgspec.structs.replace(settings, **{name: section})
        of_fold = parts | ({"valid": valid} if valid else {})
        resume_dir = tmp_path / folder
        return FoldTrainer(settings, voices.labels, features, of_fold, fold=fold, seed=seed, resume_dir=resume_dir)

    return make


def state(trainer: FoldTrainer) -> bytes:
    """Everything that must be equal bit for bit."""
    weights = {name: tensor.numpy().copy() for name, tensor in trainer.network.state_dict().items()}
    assert trainer.best is not None
    weights |= {f"best {name}": tensor.numpy().copy() for name, tensor in trainer.best.weights.items()}
    epochs = [msgspec.structs.replace(epoch, seconds=0.0) for epoch in trainer.epochs]
    return save(weights) + msgspec.json.encode([epochs, trainer.best.epoch, trainer.best.accuracy])


def test_weights_depend_on_seed_and_fold_only(make: Make) -> None:
    outcomes = []
    for trainer in (make("a"), make("b"), make("c", seed=1), make("d", fold=1)):
        trainer.run()
        outcomes.append(state(trainer))
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes)) == 3


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_resuming_equals_never_having_stopped(make: Make, cut: int) -> None:
    # With a threshold that is never met, the schedule keeps lowering the rate, so its state matters.
    changes: dict[str, Any] = {
        "training": {"n_epochs": 6},
        "schedule": {"threshold": 0.9, "patience": 1, "cooldown": 1},
    }
    unbroken = make("unbroken", **changes)
    unbroken.run()
    assert len({epoch.learning_rate for epoch in unbroken.epochs}) > 1

    class CutError(Exception):
        pass

    broken = make("broken", **changes)

    def stop(epoch: Any) -> None:
        if epoch.epoch == cut:
            broken.save()
        if epoch.epoch == cut + 1:  # this epoch is lost
            raise CutError

    with pytest.raises(CutError):
        broken.run(stop)
    torch.manual_seed(999)
    np.random.seed(999)  # noqa: NPY002 (the global state must not matter)
    resumed = make("broken", **changes)
    assert resumed.restore()
    assert len(resumed.epochs) == cut
    resumed.run()
    assert state(resumed) == state(unbroken)
    ours, theirs = (
        atomic_files.read_tensors(next((make(name)._state_path.parent).iterdir())) for name in ("broken", "unbroken")
    )
    assert ours is not None
    assert theirs is not None
    assert save(ours[0]) == save(theirs[0])  # the optimiser's moments too
    assert ours[1]["schedule"] == theirs[1]["schedule"]


@pytest.mark.parametrize("cut", [1, 3])
def test_resuming_restores_weight_average_schedule_and_augmentation(
    tmp_path: Path, voices: Corpus, residual_settings: Settings, parts: dict[str, Part], cut: int
) -> None:
    features = load_features(voices, residual_settings)

    def made(folder: str) -> FoldTrainer:
        return FoldTrainer(
            residual_settings, voices.labels, features, parts, fold=0, seed=0, resume_dir=tmp_path / folder
        )

    unbroken, broken = made("unbroken"), made("broken")
    unbroken.run()

    def stop(epoch: Any) -> None:
        if epoch.epoch == cut:
            broken.save()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.run(stop)
    resumed = made("broken")
    assert resumed.restore()
    resumed.run()
    assert state(resumed) == state(unbroken)
    ours, theirs = (atomic_files.read_tensors(tmp_path / name / "state.safetensors") for name in ("broken", "unbroken"))
    assert ours is not None
    assert theirs is not None
    assert save(ours[0]) == save(theirs[0])  # the trained network, the moments and the average
    rates = [epoch.learning_rate for epoch in unbroken.epochs]
    assert rates[0] < max(rates) > rates[-1]


def test_the_weight_average_follows_the_trained_network(
    voices: Corpus, residual_settings: Settings, parts: dict[str, Part]
) -> None:
    features = load_features(voices, residual_settings)
    trainer = FoldTrainer(residual_settings, voices.labels, features, parts, fold=0, seed=0, resume_dir=None)
    averaged, trained = trainer.network.state_dict(), trainer._learner.state_dict()
    start = {name: tensor.clone() for name, tensor in averaged.items()}
    assert all(torch.equal(tensor, trained[name]) for name, tensor in averaged.items())
    trainer.run()
    for name in ("branches.0.output.weight", "branches.2.hidden_norm.running_var"):
        walked, followed = (float((state[name] - start[name]).norm()) for state in (trained, averaged))
        assert 0.0 < followed < walked, name
    assert torch.equal(averaged["input.mean"], trained["input.mean"])
    assert (averaged["input.deviation"] - 1.0).abs().min() > 0  # fitted on the training part


def test_restore_returns_false_without_a_state(make: Make) -> None:
    assert not make().restore()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_state_is_named_and_training_starts_again(make: Make, tmp_path: Path, damage: str) -> None:
    make().run()
    (path,) = (tmp_path / "a").iterdir()
    payload = path.read_bytes()
    flipped = payload[:-40] + bytes([payload[-40] ^ 1]) + payload[-39:]
    path.write_bytes({"cut": payload[:-7], "flip": flipped, "empty": b"", "text": b"not a tensor"}[damage])
    again = make()
    with pytest.raises(DamagedStateError, match=r"state\.safetensors is damaged, so fold 0 starts again"):
        again.restore()
    again.run()
    unbroken = make("b")
    unbroken.run()
    assert state(again) == state(unbroken)


def test_a_state_of_another_fold_or_network_or_format_is_not_restored(make: Make, tmp_path: Path) -> None:
    make().run()
    make("other fold", fold=1).run()
    make("other network", network={"gru_units": 3}).run()
    path = tmp_path / "a" / "state.safetensors"
    found = atomic_files.read_tensors(path)
    assert found is not None
    arrays, meta = found
    first = next(name for name in arrays if name.startswith("optimiser."))
    changes: list[tuple[dict[str, Any], Any]] = [
        (arrays, []),
        (arrays, meta | {"epochs": "none"}),
        (arrays, meta | {"best": [1]}),
        (arrays, {}),
        (arrays | {"stranger.weight": np.zeros(3)}, meta),
        (arrays | {first: np.zeros(3, np.float32)}, meta),
        ({name: array for name, array in arrays.items() if not name.startswith("best.")}, meta),
    ]
    others = [(tmp_path / name / path.name).read_bytes() for name in ("other fold", "other network")]
    for arrays, meta in changes:
        atomic_files.write_tensors(path, arrays, meta)
        others.append(path.read_bytes())
    (unbroken := make("b", training={"n_epochs": 1})).run()
    for payload in others:
        path.write_bytes(payload)
        again = make(training={"n_epochs": 1})
        with pytest.raises(DamagedStateError, match=r"state\.safetensors is damaged, so fold 0 starts again"):
            again.restore()
        again.run()
        assert state(again) == state(unbroken)


def test_a_full_disk_keeps_the_last_saved_state(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(training={"n_epochs": 2})
    first.run()
    with monkeypatch.context() as patch:

        def full(path: Path, payload: bytes) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(atomic_files, "write_bytes", full)
        trainer = make()
        assert trainer.restore()
        with pytest.raises(RunError, match=r"No space left on device.*--resume"):
            trainer.run()
    resumed = make()
    assert resumed.restore()
    assert len(resumed.epochs) == 2
    resumed.run()
    unbroken = make("b")
    unbroken.run()
    assert state(resumed) == state(unbroken)


def test_the_loss_smooths_labels_by_a_tenth(make: Make, parts: dict[str, Part]) -> None:
    trainer = make(training={"n_epochs": 1})
    trainer.run()
    logits, attention = trainer.evaluate(parts["test"])
    exponential = np.exp(logits.astype(np.float64))
    log_probabilities = np.log(exponential / exponential.sum(axis=1, keepdims=True))
    target = np.full(logits.shape, 0.1 / 7)
    target[np.arange(len(target)), parts["test"].true] = 0.9
    assert target.sum(axis=1) == pytest.approx(1.0)
    epoch = trainer.epochs[-1]
    assert epoch.test_loss == pytest.approx(float(-(target * log_probabilities).sum(axis=1).mean()), abs=1e-5)
    confusion = metrics.confusion_matrix(parts["test"].true, logits.argmax(axis=1), 8)
    assert epoch.test_accuracy == float((logits.argmax(axis=1) == parts["test"].true).mean())
    assert epoch.test_unweighted_average_recall == metrics.unweighted_average_recall_score(confusion)
    assert [float(weights.sum()) for weights in attention] == pytest.approx([1.0] * len(attention), abs=1e-5)


def test_votes_that_agree_train_like_labels_and_others_do_not(make: Make, parts: dict[str, Part]) -> None:
    certain = np.eye(8, dtype=np.float32)[parts["train"].true]
    found = []
    for name, shares in (
        ("labels", None),
        ("agreed", certain),
        ("split", 0.5 * certain + 0.5 * np.roll(certain, 1, 1)),
    ):
        trainer = make(name, training={"n_epochs": 1})
        trainer.parts = parts | {"train": msgspec.structs.replace(parts["train"], shares=shares)}
        trainer.run()
        found.append(trainer.epochs[0].train_loss)
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[2] > found[0]  # the entropy of the votes is the lower bound


def test_steps_and_rates_equal_a_plain_pytorch_loop(
    make: Make, voices: Corpus, features: FeatureTable, parts: dict[str, Part]
) -> None:
    """The loop has one tensor per parameter; there is one batch, so shuffling does not matter."""
    still = {"conv_dropout": 0.0, "classifier_dropout": 0.0}
    schedule = {"threshold": 0.02, "patience": 0, "cooldown": 1, "factor": 0.5, "min_learning_rate": 2e-4}
    trainer = make(network=still, training={"batch_size": 1000, "n_epochs": 10}, schedule=schedule)
    settings = trainer.settings
    plain = build(settings, 8)
    plain.load_state_dict({name: tensor.clone() for name, tensor in trainer.network.state_dict().items()})
    start = {name: parameter.detach().clone() for name, parameter in plain.named_parameters()}
    trainer.run()

    optimiser = AdaBelief(
        list(plain.parameters()), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-7, weight_decouple=False,
        rectify=False,
    )  # fmt: skip
    plateau = ReduceLROnPlateau(
        optimiser, factor=0.5, patience=0, cooldown=1, threshold=0.02, threshold_mode="rel", min_lr=2e-4
    )
    log_mel, lengths = map(torch.from_numpy, pad_batch(features.clips(parts["train"].ids)))
    true = torch.from_numpy(parts["train"].true)
    target = torch.full((len(true), 8), 0.1 / 7).scatter_(1, true[:, None], 0.9)
    plain.train()
    losses, rates = [], []
    for _ in range(10):
        optimiser.zero_grad()
        loss = functional.cross_entropy(plain(log_mel, lengths)[0], target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        plateau.step(loss.item())
        rates.append(optimiser.param_groups[0]["lr"])
    assert [epoch.train_loss for epoch in trainer.epochs] == pytest.approx(losses, abs=2e-4)
    assert rates[-1] < 1e-3
    # The recorded rate may be that at the start or at the end of the epoch.
    assert [epoch.learning_rate for epoch in trainer.epochs] in (
        pytest.approx(rates),
        pytest.approx([1e-3, *rates[:-1]]),
    )
    ours = dict(trainer.network.named_parameters())
    # If a gradient is mathematically zero, AdaBelief turns its rounding errors into full steps.
    for name in ours.keys() - {"attention.score.bias", "hidden.bias"}:
        moved = (plain.get_parameter(name).detach() - start[name]).norm()
        apart = (ours[name].detach() - plain.get_parameter(name).detach()).norm()
        assert float(apart / moved) < 0.03, name


def test_the_best_epoch_is_the_first_with_the_highest_accuracy(make: Make, parts: dict[str, Part]) -> None:
    trainer = make(training={"n_epochs": 5})
    trainer.run()
    accuracies = [epoch.test_accuracy for epoch in trainer.epochs]
    assert trainer.best is not None
    assert (trainer.best.epoch, trainer.best.accuracy) == (int(np.argmax(accuracies)) + 1, max(accuracies))
    trainer.network.load_state_dict(trainer.best.weights)
    logits, _ = trainer.evaluate(parts["test"])
    assert float((logits.argmax(axis=1) == parts["test"].true).mean()) == max(accuracies)


def test_a_validation_part_selects_the_best_epoch(make: Make, parts: dict[str, Part], voices: Corpus) -> None:
    chosen = voices.utterances[3::4]
    chosen = chosen[::15]  # four clips, so that epochs tie
    valid = Part(tuple(u.id for u in chosen), np.array([voices.labels.index(u.emotion) for u in chosen], np.int64))
    trainer = make(valid=valid, training={"n_epochs": 10, "selection": "best-valid"})
    trainer.run()
    accuracies = [epoch.valid_accuracy for epoch in trainer.epochs]
    assert accuracies.count(max(accuracy or 0.0 for accuracy in accuracies)) > 1
    assert all(accuracy is not None for accuracy in accuracies)
    assert trainer.best is not None
    assert trainer.best.epoch == accuracies.index(max(accuracies, key=lambda a: a or 0.0)) + 1
    logits, _ = trainer.evaluate(valid)
    assert trainer.epochs[-1].valid_accuracy == float((logits.argmax(axis=1) == valid.true).mean())


def test_best_test_selects_on_the_test_part_despite_a_validation_part(make: Make, parts: dict[str, Part]) -> None:
    chosen = Part(parts["train"].ids[:20], parts["train"].true[:20])
    trainer = make(valid=chosen, training={"selection": "best-test", "n_epochs": 6})
    trainer.run()
    accuracies = [epoch.test_accuracy for epoch in trainer.epochs]
    assert trainer.best is not None
    assert trainer.best.accuracy == max(accuracies)


def test_training_lowers_the_loss_and_fits_the_training_part(make: Make, parts: dict[str, Part]) -> None:
    trainer = make(training={"n_epochs": 40, "batch_size": 16}, network={"gru_units": 16, "conv_channels": (16, 16)})
    trainer.run()
    logits, _ = trainer.evaluate(parts["train"])
    assert (logits.argmax(axis=1) == parts["train"].true).mean() > 0.6
    assert trainer.epochs[-1].train_loss < 0.8 * math.log(8)


def test_the_saved_weights_are_the_trained_ones(make: Make, tmp_path: Path) -> None:
    """They are not a copy that the optimiser no longer updates."""
    trainer = make(training={"n_epochs": 1})
    before = {name: parameter.detach().clone() for name, parameter in trainer.network.named_parameters()}
    trainer.run()
    (path,) = (tmp_path / "a").iterdir()
    saved = load_file(path)
    for name, parameter in trainer.network.named_parameters():
        assert not torch.equal(parameter.detach(), before[name]), name
        assert any(
            array.shape == parameter.shape and np.array_equal(array, parameter.detach()) for array in saved.values()
        )
