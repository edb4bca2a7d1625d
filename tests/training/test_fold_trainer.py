"""One fold: its arithmetic against plain PyTorch, and that a cut leaves no trace."""

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
from emocatcher.training.dataset import FeatureTable, Part, load_features
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
    """All that must not differ by a bit."""
    weights = {name: tensor.numpy().copy() for name, tensor in trainer.network.state_dict().items()}
    assert trainer.best is not None
    weights |= {f"best {name}": tensor.numpy().copy() for name, tensor in trainer.best.weights.items()}
    epochs = [msgspec.structs.replace(epoch, seconds=0.0) for epoch in trainer.epochs]
    return save(weights) + msgspec.json.encode([epochs, trainer.best.epoch, trainer.best.accuracy])


def test_the_same_seed_gives_the_same_weights_and_another_seed_or_fold_others(make: Make) -> None:
    outcomes = []
    for trainer in (make("a"), make("b"), make("c", seed=1), make("d", fold=1)):
        trainer.run()
        outcomes.append(state(trainer))
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes)) == 3


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_run_cut_and_taken_up_is_one_that_never_was(make: Make, cut: int) -> None:
    # A threshold that nothing meets makes the schedule lower the rate again and again: its state matters.
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
        if epoch.epoch == cut + 1:  # this epoch's work is lost
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
def test_so_it_is_with_an_average_a_cycle_and_variations(
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
    assert save(ours[0]) == save(theirs[0])  # what learns, its moments, and its average
    rates = [epoch.learning_rate for epoch in unbroken.epochs]
    assert rates[0] < max(rates) > rates[-1]


def test_the_average_follows_what_learns(voices: Corpus, residual_settings: Settings, parts: dict[str, Part]) -> None:
    features = load_features(voices, residual_settings)
    trainer = FoldTrainer(residual_settings, voices.labels, features, parts, fold=0, seed=0, resume_dir=None)
    kept, learns = trainer.network.state_dict(), trainer._learner.state_dict()
    start = {name: tensor.clone() for name, tensor in kept.items()}
    assert all(torch.equal(tensor, learns[name]) for name, tensor in kept.items())
    trainer.run()
    for name in ("branches.0.output.weight", "branches.2.hidden_norm.running_var"):
        walked, followed = (float((state[name] - start[name]).norm()) for state in (learns, kept))
        assert 0.0 < followed < walked, name
    assert torch.equal(kept["input.mean"], learns["input.mean"])
    assert (kept["input.deviation"] - 1.0).abs().min() > 0  # fitted on the training part


def test_there_is_nothing_to_restore_at_first(make: Make) -> None:
    assert not make().restore()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_state_is_refused_by_name_and_training_starts_anew(make: Make, tmp_path: Path, damage: str) -> None:
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


def test_a_full_disk_leaves_the_last_good_state(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_loss_gives_the_true_class_nine_tenths(make: Make, parts: dict[str, Part]) -> None:
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


def test_the_steps_are_adabeliefs_and_the_rate_the_plateaus(
    make: Make, voices: Corpus, features: FeatureTable, parts: dict[str, Part]
) -> None:
    """A plain loop, one parameter tensor at a time; all in one batch, so that the shuffling does not matter."""
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
    # Recorded is the rate as the epoch began or as it ended.
    assert [epoch.learning_rate for epoch in trainer.epochs] in (
        pytest.approx(rates),
        pytest.approx([1e-3, *rates[:-1]]),
    )
    ours = dict(trainer.network.named_parameters())
    # Where the gradient is mathematically zero, AdaBelief makes whole steps of its rounding.
    for name in ours.keys() - {"attention.score.bias", "hidden.bias"}:
        moved = (plain.get_parameter(name).detach() - start[name]).norm()
        apart = (ours[name].detach() - plain.get_parameter(name).detach()).norm()
        assert float(apart / moved) < 0.03, name


def test_the_best_epoch_is_the_first_of_the_highest_accuracy(make: Make, parts: dict[str, Part]) -> None:
    trainer = make(training={"n_epochs": 5})
    trainer.run()
    accuracies = [epoch.test_accuracy for epoch in trainer.epochs]
    assert trainer.best is not None
    assert (trainer.best.epoch, trainer.best.accuracy) == (int(np.argmax(accuracies)) + 1, max(accuracies))
    trainer.network.load_state_dict(trainer.best.weights)
    logits, _ = trainer.evaluate(parts["test"])
    assert float((logits.argmax(axis=1) == parts["test"].true).mean()) == max(accuracies)


def test_a_validation_part_chooses_the_best_epoch(make: Make, parts: dict[str, Part], voices: Corpus) -> None:
    chosen = voices.utterances[2::4]
    chosen = chosen[::15]  # four, so that epochs tie: the first of them is the best
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


def test_best_test_means_the_test_part_even_beside_a_validation_part(make: Make, parts: dict[str, Part]) -> None:
    chosen = Part(parts["train"].ids[:20], parts["train"].true[:20])
    trainer = make(valid=chosen, training={"selection": "best-test", "n_epochs": 6})
    trainer.run()
    accuracies = [epoch.test_accuracy for epoch in trainer.epochs]
    assert trainer.best is not None
    assert trainer.best.accuracy == max(accuracies)


def test_it_learns(make: Make, parts: dict[str, Part]) -> None:
    trainer = make(training={"n_epochs": 40, "batch_size": 16}, network={"gru_units": 16, "conv_channels": (16, 16)})
    trainer.run()
    logits, _ = trainer.evaluate(parts["train"])
    assert (logits.argmax(axis=1) == parts["train"].true).mean() > 0.6
    assert trainer.epochs[-1].train_loss < 0.8 * math.log(8)


def test_every_step_moves_the_network_itself(make: Make, tmp_path: Path) -> None:
    """What is saved is what was trained, not a copy that the optimiser walked away from."""
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
