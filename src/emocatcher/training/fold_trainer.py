"""Train one fold: an explicit loop whose state is saved and restored, on a CPU bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.features.padding import pad_batch
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import DamagedStateError, DivergedError
from emocatcher.foundation.settings import Settings
from emocatcher.models.networks import registry
from emocatcher.training import batch_loss, classification, encoding, optimiser, sampling, saved_state, schedule
from emocatcher.training.augmentation import Augmenter
from emocatcher.training.batch_loss import BatchLosses, Targets
from emocatcher.training.dataset import Part, batches
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable
from emocatcher.training.loss import smoothed_cross_entropy

_SAVE_EVERY_S = 5.0
_STATE = "state.safetensors"


class Snapshot(msgspec.Struct):
    """The best epoch so far."""

    epoch: int
    accuracy: float
    weights: dict[str, Tensor]


class FoldTrainer:
    """One fold's network, optimiser and progress.

    Args:
        settings: the recipe.
        labels: the classes, in order.
        features: the features of every utterance of the fold.
        parts: "train"; "test", unless nothing is held out; and "valid", if there is a validation part.
        fold: the fold's number; it and `seed` determine all random numbers.
        seed: the seed of the run.
        resume_dir: the folder for the state; None to save none.
        encoded: the clips after the encoder, from `encoding.encode`, if the network has one.
        device: the network's and its batches': "cpu", "cuda" or "mps".
        teachers: returns the teachers' probabilities of a batch (see `Teachers`), which are targets next to the labels;
            None for the labels alone.
    """

    def __init__(
        self,
        settings: Settings,
        labels: tuple[str, ...],
        features: FeatureTable,
        parts: dict[str, Part],
        *,
        fold: int,
        seed: int,
        resume_dir: Path | None,
        encoded: EncodedClips | None = None,
        teachers: Callable[[Tensor, Tensor], Tensor] | None = None,
        device: str = "cpu",
    ) -> None:
        self.settings, self.labels, self.features, self.parts = settings, labels, features, parts
        self.fold, self.seed, self._teachers, self._encoded, self._device = fold, seed, teachers, encoded, device
        self._state_path = resume_dir / _STATE if resume_dir else None
        torch.manual_seed(int(self._seeds(0).generate_state(1)[0]))
        ratings = parts["train"].ratings
        self.n_dimensions = 0 if ratings is None else ratings.shape[1]
        self._learner = registry.build(settings, len(labels), self.n_dimensions)
        if encoded is None:
            self._learner.fit(features.clips(parts["train"].ids))
        else:
            encoding.load_encoder(self._learner, settings)
            self._learner.fit(encoded.all_copies(parts["train"].ids))
        self._learner.to(device)  # drawn and fitted on the CPU, so the same on every device
        self._flat = optimiser.flatten(self._learner)
        self._optimiser = optimiser.build(settings.optimiser, self._flat)
        recipe = settings.training
        n_steps = recipe.n_epochs * len(batches(np.arange(len(parts["train"].ids)), recipe.batch_size))
        self._schedule = schedule.build(settings.schedule, self._optimiser, n_steps)
        decay = recipe.weight_average
        self._average = optimiser.WeightAverage(self._learner, self._flat, decay) if decay else None
        # The network that is evaluated and saved: the moving average, or the trained network itself.
        self.network = self._average.network if self._average else self._learner
        varies = settings.augmentation.varies and encoded is None
        self._augmenter = Augmenter(settings.augmentation, settings.front_end) if varies else None
        self.epochs: list[Epoch] = []
        # The published scores select the epoch on the test part; this is possible here too, and marked as optimistic.
        by_test = settings.training.selection == "best-test" or "valid" not in parts
        self.best_part = "test" if by_test else "valid"
        self.best: Snapshot | None = None
        self._saved_at = time.monotonic()

    def run(self, on_epoch: Callable[[Epoch], None] | None = None) -> None:
        """Train the epochs that are left; save the state every few seconds and at the end.

        Args:
            on_epoch: called after every epoch.

        Raises:
            RunError: if the state cannot be saved; the last saved state is intact.
            DivergedError: if the loss is not finite.
        """
        while len(self.epochs) < self.settings.training.n_epochs:
            epoch = self._run_epoch()
            if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                self.save()
            if on_epoch:
                on_epoch(epoch)
        self.save()

    def evaluate(self, part: Part) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Return logits (n_utterances, n_classes), masked, and attention, one array (n_frames',) per utterance."""
        logits, attention = self.evaluate_clips(self.features.clips(part.ids))
        return part.mask(logits), attention

    def evaluate_clips(self, clips: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Return logits (n_clips, n_classes) and attention of clips, each of shape (n_channels, n_frames)."""
        answers, attention = self._evaluate(self.network, clips)
        return answers[:, : len(self.labels)], attention

    def classify(self, part: Part) -> NDArray[np.float32]:
        """Return the logits of `evaluate` alone; with an encoder, from what it has encoded."""
        return part.mask(self._answers(part)[:, : len(self.labels)])

    def rate(self, part: Part) -> NDArray[np.float32]:
        """Return the dimensions (n_utterances, n_dimensions), in the units of `foundation.dimensions.scaled`."""
        return self._answers(part)[:, len(self.labels) :]

    def _answers(self, part: Part) -> NDArray[np.float32]:
        """Return logits, and dimensions behind them; with an encoder, from what it has encoded."""
        if self._encoded is None:
            return self._evaluate(self.network, self.features.clips(part.ids))[0]
        return self._evaluate(self.network.classify, self._encoded.originals(part.ids))[0]

    def _evaluate(
        self, network: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], clips: list[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        self.network.eval()
        n_answers = len(self.labels) + self.n_dimensions
        return classification.classify(network, clips, self.settings.network.n_steps, n_answers, self._device)

    def save(self) -> None:
        """Write the whole state to one file, atomically.

        Raises:
            RunError: if it cannot be written.
        """
        if self._state_path is None:
            return
        tensors = {"network": optimiser.trained_state(self.network), "optimiser": self._optimiser.state[self._flat]}
        if self._average:
            tensors["learner"] = optimiser.trained_state(self._learner)
        if self.best:
            tensors["best"] = self.best.weights
        group = self._optimiser.param_groups[0]
        meta = {
            "epochs": msgspec.to_builtins(self.epochs),
            "best": [self.best.epoch, self.best.accuracy] if self.best else None,
            "step": group.get("step"),
            "learning_rate": group["lr"],
            "schedule": self._schedule.state_dict(),
        }
        saved_state.write(self._state_path, tensors, meta, self.fold)
        self._saved_at = time.monotonic()

    def restore(self) -> bool:
        """Restore the saved state; return False if there is none.

        Raises:
            DamagedStateError: if it is damaged; the trainer then starts from its first epoch.
        """
        if not (self._state_path and self._state_path.exists()):
            return False
        owners = {"network": self.network, "best": self.network} | ({"learner": self._learner} if self._average else {})
        try:
            arrays, raw = atomic_files.read_tensors(self._state_path) or ({}, None)
            tensors, meta = saved_state.check(arrays, raw, owners, self._flat, self.fold)
        except ValueError:
            raise DamagedStateError(
                f"{self._state_path} is damaged, so fold {self.fold} starts again from its first epoch"
            ) from None
        self.network.load_state_dict(tensors["network"], strict=False)
        if self._average:
            self._learner.load_state_dict(tensors["learner"], strict=False)
        for name, tensor in tensors["optimiser"].items():  # a number of steps stays on the CPU
            self._optimiser.state[self._flat][name] = tensor.to(self._device) if tensor.dim() else tensor
        self._optimiser.param_groups[0]["lr"] = meta.learning_rate
        if meta.step is not None:
            self._optimiser.param_groups[0]["step"] = meta.step
        self._schedule.load_state_dict(meta.schedule)
        self.epochs = meta.epochs
        self.best = Snapshot(*meta.best, tensors["best"]) if meta.best else None
        return True

    def _run_epoch(self) -> Epoch:
        start = time.perf_counter()
        number = len(self.epochs) + 1
        learning_rate = self._optimiser.param_groups[0]["lr"]
        whole_loss, train_loss, train_accuracy = self._train_epoch(number)
        self._schedule.after_epoch(whole_loss)
        valid = self._measure(self.parts["valid"]) if "valid" in self.parts else None
        test = self._measure(self.parts["test"]) if "test" in self.parts else (math.nan, math.nan, math.nan)
        epoch = Epoch(
            fold=self.fold,
            epoch=number,
            learning_rate=learning_rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            valid_loss=valid[0] if valid else None,
            valid_accuracy=valid[1] if valid else None,
            test_loss=test[0],
            test_accuracy=test[1],
            test_unweighted_average_recall=test[2],
            seconds=round(time.perf_counter() - start, 4),
        )
        accuracy = valid[1] if valid and self.best_part == "valid" else test[1]
        if self.best is None or accuracy > self.best.accuracy:
            weights = {name: tensor.clone() for name, tensor in optimiser.trained_state(self.network).items()}
            self.best = Snapshot(number, accuracy, weights)
        self.epochs.append(epoch)
        return epoch

    def _train_epoch(self, number: int) -> tuple[float, float, float]:
        """Train one epoch; return the means of its batches: the loss, that of the emotions alone, and the accuracy."""
        part = self.parts["train"]
        shuffle, noise, variation = self._seeds(number).spawn(3)
        random = np.random.default_rng(variation)
        order = sampling.draw(part, self.settings.training.balance, np.random.default_rng(shuffle))
        clips = self._encoded.drawn(part.ids, random) if self._encoded else self.features.clips(part.ids)
        n_frames = np.array([clip.shape[1] for clip in clips], np.int64)
        variations = []
        if self._augmenter:  # drawn now, for all clips; computed batch by batch, because all do not fit into memory
            variations = [self._augmenter.draw(random) for _ in clips]
            n_frames = np.array([*map(self._augmenter.n_frames, n_frames.tolist(), variations)], np.int64)
        recipe = self.settings.training
        together = batches(order, recipe.batch_size, n_frames, recipe.batches_by_length)
        if recipe.batches_by_length > 1:  # otherwise batches would come in the order of their lengths
            together = [together[turn] for turn in random.permutation(len(together))]
        losses, n_correct = np.zeros(2), 0
        self._learner.train()
        self._learner.set_noise(np.random.SFC64(noise))
        for batch in together:
            true = self._tensor(part.true[batch])
            shares = true if part.shares is None else self._tensor(part.shares[batch])
            targets = Targets(shares, None if part.ratings is None else self._tensor(part.ratings[batch]))
            chosen = [clips[i] for i in batch]
            if self._augmenter:
                chosen = [self._augmenter.vary(clips[i], variations[i]) for i in batch]
            logits, loss = self._train_batch(chosen, targets, random)
            loss_value = loss.all.item()
            if not math.isfinite(loss_value):
                raise DivergedError(
                    f"Fold {self.fold}, epoch {number}: the loss is {loss_value}. Training diverged: "
                    f"lower optimiser.learning_rate (it is {self.settings.optimiser.learning_rate:g})"
                )
            if recipe.largest_gradient:
                nn.utils.clip_grad_norm_(self._flat, recipe.largest_gradient)
            self._schedule.before_step()
            self._optimiser.step()
            if self._average:
                self._average.step()
            losses += np.array([loss_value, loss.of_emotions.item()]) * len(batch)
            n_correct += int((logits.detach().argmax(dim=1) == true).sum())
        return (*(losses / len(order)).tolist(), n_correct / len(order))

    def _train_batch(
        self, clips: list[NDArray[np.float32]], targets: Targets, random: np.random.Generator
    ) -> tuple[Tensor, BatchLosses]:
        """Return logits and losses of a batch; the gradient is stored in the flat parameter."""
        channels, lengths = pad_batch(clips)
        batch = self._tensor(channels), self._tensor(lengths)
        logits, loss = batch_loss.compute(self._learner, *batch, targets, self.settings, random, self._teachers)
        # Gradients are written to one tensor; accumulating them would need a pass that sets them to zero.
        gradients = torch.autograd.grad(loss.all, optimiser.trainable(self._learner))
        self._flat.grad = torch.cat([gradient.flatten() for gradient in gradients])
        return logits, loss

    def _measure(self, part: Part) -> tuple[float, float, float]:
        """Return loss, accuracy and UAR on a part."""
        logits = self.classify(part)
        scored, true = map(torch.from_numpy, part.of_scored(logits))
        loss = smoothed_cross_entropy(scored, true, self.settings.training.label_smoothing).item()
        confusion = metrics.confusion_matrix(part.true, logits.argmax(axis=1), len(self.labels))
        return loss, metrics.accuracy_score(confusion), metrics.unweighted_average_recall_score(confusion)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _seeds(self, epoch: int) -> np.random.SeedSequence:
        """Return the seeds of one epoch (0: the initial weights); a resumed epoch gets the same seeds."""
        return np.random.SeedSequence([self.seed, self.fold, epoch])
