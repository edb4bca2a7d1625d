"""Train one fold in a worker process, and write its models and its outcome to the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import __version__
from emocatcher.evaluation.scoring import faithfulness, metrics
from emocatcher.evaluation.scoring.run_result import Epoch
from emocatcher.foundation import atomic_files
from emocatcher.foundation.dimensions import Dimension, unscaled
from emocatcher.foundation.errors import DamagedStateError, ModelError, RunError
from emocatcher.foundation.settings import Settings
from emocatcher.models import model_folder
from emocatcher.training import training_pool
from emocatcher.training.dataset import Part
from emocatcher.training.encoding import EncodedClips
from emocatcher.training.feature_cache import FeatureTable

if TYPE_CHECKING:
    from emocatcher.training.fold_trainer import FoldTrainer

_PROBED_WITH_ENCODER = 12  # clips: a hundred shortened forms of each pass the encoder
_OUTCOME = "outcome.safetensors"
_PROBE = tuple(f"probe.{name}" for name in faithfulness.Probe._fields)


class FoldTask(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker needs to train one fold."""

    fold: int
    seed: int
    folder: Path  # fold_K
    settings: Settings
    labels: tuple[str, ...]
    dimensions: tuple[Dimension, ...] = ()
    features: FeatureTable
    parts: dict[str, Part]
    training: model_folder.Training  # for the model cards; fold, selection, epoch and scores are filled in here
    resume: bool
    encoded: EncodedClips | None = None  # the clips after the encoder, if the network has one
    teachers: tuple[Path, ...] = ()  # model folders
    device: str = "cpu"

    def resumed(self) -> FoldTask:
        """Return the task that continues where this one was ended."""
        return msgspec.structs.replace(self, resume=True)


class EpochDone(msgspec.Struct, frozen=True):
    """The report of a fold after an epoch."""

    seed: int
    epoch: Epoch


class FoldOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The selected model's answers for the test part, and its training."""

    fold: int
    epochs: list[Epoch]
    selected_epoch: int
    n_parameters: int
    logits: NDArray[np.float32]  # (n_test, n_classes)
    attention: NDArray[np.float32]  # the utterances' weights one after the other
    attention_lengths: NDArray[np.int64]  # (n_test,)
    ratings: NDArray[np.float32] | None = None  # (n_test, n_dimensions), in the units of the corpus
    # How deleting parts of some clips changed the answers; None in a fold that an earlier version trained.
    probe: faithfulness.Probe | None = None


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    fold: int
    epochs: list[Epoch]
    selected_epoch: int
    n_parameters: int


def warm_up() -> None:
    """Import what `run` needs, mainly PyTorch; only worker processes import it."""
    from emocatcher.training import fold_trainer  # noqa: F401


def run(task: FoldTask) -> FoldOutcome:
    """Train a fold, or resume it. Damaged files are reported and written again.

    Raises:
        RunError: if the state or the outcome cannot be saved.
        ModelError: if a model folder cannot be written.
    """
    from emocatcher.training.distillation import Teachers
    from emocatcher.training.fold_trainer import FoldTrainer

    finished = read_outcome(task) if task.resume else None
    if finished is not None:
        damaged = _damaged_model(task)
        if damaged is None:
            return finished
        training_pool.report(
            f"{damaged} is damaged, so fold {task.fold} writes its models again from its last saved state"
        )
    trainer = FoldTrainer(
        task.settings,
        task.labels,
        task.features,
        task.parts,
        fold=task.fold,
        seed=task.seed,
        resume_dir=task.folder / "resume",
        encoded=task.encoded,
        device=task.device,
        teachers=Teachers(task.teachers, task.settings, task.labels, task.device) if task.teachers else None,
    )
    if task.resume:
        try:
            trainer.restore()
        except DamagedStateError as error:
            training_pool.report(str(error))
    if trainer.epochs:
        training_pool.report(EpochDone(task.seed, trainer.epochs[-1]))
    trainer.run(lambda epoch: training_pool.report(EpochDone(task.seed, epoch)))
    return _finish(task, trainer)


def read_outcome(task: FoldTask) -> FoldOutcome | None:
    """Read the outcome of a finished fold; return None if there is none, or if it is damaged, which is reported."""
    path = task.folder / "resume" / _OUTCOME
    found = _outcome_of(task)
    if found is None and path.exists():
        training_pool.report(f"{path} is damaged, so fold {task.fold} is tested again from its last saved state")
    return found


def _outcome_of(task: FoldTask) -> FoldOutcome | None:
    """Return the outcome on disk; None if it is missing, damaged, or of another fold or network."""
    tensors, meta = atomic_files.read_tensors(task.folder / "resume" / _OUTCOME) or ({}, None)
    try:
        probed = [tensors.pop(name) for name in _PROBE if name in tensors]
        parts: dict[str, Any] = {**tensors, **msgspec.structs.asdict(msgspec.convert(meta, _Meta))}
        found = FoldOutcome(**parts, probe=faithfulness.Probe(*probed) if probed else None)
    except (TypeError, msgspec.ValidationError):  # of something else
        return None
    n, steps = len(task.parts["test"].ids), found.attention_lengths
    fits = (
        found.logits.shape == (n, len(task.labels))
        and steps.shape == (n,)
        and found.attention.shape == (steps.sum(),)
        and (() if found.ratings is None else found.ratings.shape) == ((n, m) if (m := len(task.dimensions)) else ())
        and {epoch.fold for epoch in found.epochs} == {found.fold} == {task.fold}
        and len(found.epochs) == task.settings.training.n_epochs >= found.selected_epoch >= 1
    )
    return found if fits else None


def _damaged_model(task: FoldTask) -> Path | None:
    """Return the first damaged model folder of the fold, or None."""
    for name in ("last", "best"):
        try:
            config = model_folder.read(task.folder / name).config
        except ModelError:
            return task.folder / name
        found = config.training.fold, config.settings, config.labels, config.dimensions
        if found != (task.fold, task.settings, task.labels, task.dimensions):
            return task.folder / name
    return None


def _finish(task: FoldTask, trainer: FoldTrainer) -> FoldOutcome:
    selection = task.settings.training.selection
    if trainer.best is None:
        raise RunError(f"Fold {task.fold} has no epoch to select from. Set training.n_epochs to at least 1")
    last_epoch, best = len(trainer.epochs), trainer.best
    n_parameters = sum(parameter.numel() for parameter in trainer.network.parameters())
    selected = "last" if selection == "last" else "best"
    chosen_best = selection if selection != "last" else f"best-{trainer.best_part}"

    def outcome_of(epoch: int, named: str, folder: str) -> FoldOutcome:
        test, attention = trainer.parts["test"], list[NDArray[np.float32]]()
        if folder == selected:
            logits, attention = trainer.evaluate(test)
        else:  # its outcome is not used, only its scores
            logits = trainer.classify(test)
        scores = metrics.score(test.true, logits.argmax(axis=1), task.labels)
        training = msgspec.structs.replace(
            task.training,
            fold=task.fold,
            selection=named,
            epoch=epoch,
            scores={
                "accuracy": scores.accuracy,
                "unweighted_average_recall": scores.unweighted_average_recall,
                "macro_f1": scores.macro_f1,
            },
        )
        _write_model(task, trainer, training, task.folder / folder, n_parameters)
        lengths = np.array([len(weights) for weights in attention], np.int64)
        return FoldOutcome(
            fold=task.fold, epochs=trainer.epochs, selected_epoch=epoch, n_parameters=n_parameters, logits=logits,
            attention=np.concatenate(attention or [np.empty(0, np.float32)]), attention_lengths=lengths,
            ratings=unscaled(trainer.rate(test), task.dimensions).astype(np.float32) if task.dimensions else None,
            probe=_probe(task, trainer, attention) if folder == selected else None,
        )  # fmt: skip

    outcome = outcome_of(last_epoch, "last", "last")
    trainer.network.load_state_dict(best.weights, strict=False)
    of_best = outcome_of(best.epoch, chosen_best, "best")
    if selection != "last":
        outcome = of_best
    _write_outcome(task, outcome)
    return outcome


def _probe(task: FoldTask, trainer: FoldTrainer, attention: list[NDArray[np.float32]]) -> faithfulness.Probe:
    """Compare the network's attention on the test part with chance and with occlusion."""

    def classify(clips: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return task.parts["test"].mask(trainer.evaluate_clips(clips)[0])

    clips = task.features.clips(task.parts["test"].ids)
    seed, fewer = (task.seed, task.fold), {"most_clips": _PROBED_WITH_ENCODER} if task.encoded else {}
    return faithfulness.probe(classify, clips, attention, task.settings, seed=seed, **fewer)


def _write_model(
    task: FoldTask, trainer: FoldTrainer, training: model_folder.Training, folder: Path, n_parameters: int
) -> None:
    from emocatcher.models.onnx_graphs import checked_onnx

    config = model_folder.ModelConfig(
        name=f"{task.settings.preset}-{training.corpus}-{training.protocol}-fold{task.fold}-{training.selection}",
        version=__version__,
        labels=task.labels,
        dimensions=task.dimensions,
        settings=task.settings,
        training=training,
        n_parameters=n_parameters,
    )
    network = trainer.network.on_cpu()
    weights = network.stored_weights(frozen=False)  # the graph has the others
    model_folder.write(folder, config, weights, checked_onnx(network, task.settings, task.labels, task.dimensions))


def _write_outcome(task: FoldTask, outcome: FoldOutcome) -> None:
    tensors = {name: getattr(outcome, name) for name in ("logits", "attention", "attention_lengths")}
    if outcome.ratings is not None:
        tensors["ratings"] = outcome.ratings
    tensors |= dict(zip(_PROBE, outcome.probe or (), strict=False))
    meta = {
        "fold": outcome.fold,
        "epochs": msgspec.to_builtins(outcome.epochs),
        "selected_epoch": outcome.selected_epoch,
        "n_parameters": outcome.n_parameters,
    }
    path = task.folder / "resume" / _OUTCOME
    try:
        atomic_files.write_tensors(path, tensors, meta)
    except OSError as error:
        raise RunError(
            f"Fold {task.fold} cannot write its outcome to {path}: {error.strerror}. Fix the problem, then rerun with "
            "--resume"
        ) from error
