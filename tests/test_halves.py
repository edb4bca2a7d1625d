"""A batch in two halves: the same gradients as the whole, and the same bits with one process and with two."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from emocatcher import companion, fold, halves, machine, model, optimiser, workers
from emocatcher.bundle import Training
from emocatcher.config import Settings, load_preset
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import FeatureTable, Part
from emocatcher.errors import RunError
from emocatcher.halves import Halves
from emocatcher.padding import pad_batch
from emocatcher.train import FoldTrainer

Make = Callable[..., FoldTrainer]

READY_S = 120.0


@pytest.fixture(scope="module")
def second(small_settings: Settings, features: FeatureTable, parts: dict[str, Part]) -> Iterator[companion.Companion]:
    """One that is ready."""
    with contextlib.closing(companion.Companion(small_settings, 8, features, parts["train"].ids)) as one:
        assert one.is_ready(READY_S)
        yield one


class Seen:
    """A companion, whose batches are counted, and which is only shown from some epoch on."""

    def __init__(self, one: companion.Companion, *, from_epoch: int = 1) -> None:
        self._one, self._from_epoch, self.n_epochs, self.n_batches = one, from_epoch, 0, 0

    def __getattr__(self, name: str) -> Any:
        self.n_batches += name == "start"
        return getattr(self._one, name)

    def is_ready(self) -> bool:
        return self.n_epochs + 1 >= self._from_epoch and self._one.is_ready(READY_S)

    def count(self, _: Any) -> None:
        self.n_epochs += 1


@pytest.fixture
def make(voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]) -> Make:
    def make(settings: Settings = small_settings, resume_dir: Path | None = None) -> FoldTrainer:
        return FoldTrainer(
            settings, voices.labels, features, parts, fold=0, seed=0, resume_dir=resume_dir, in_halves=True
        )

    return make


def state(trainer: FoldTrainer) -> tuple[bytes, bytes, bytes]:
    """All that must not differ by a bit."""
    assert trainer.best is not None
    weights, best = (
        b"".join(tensor.numpy().tobytes() for tensor in one.values())
        for one in (trainer.network.state_dict(), trainer.best.weights)
    )
    epochs = [msgspec.structs.replace(epoch, seconds=0.0) for epoch in trainer.epochs]
    return weights, best, msgspec.json.encode([epochs, trainer.best.epoch])


def test_without_noise_the_halves_give_the_gradient_of_the_whole(
    small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    network = msgspec.structs.replace(small_settings.network, conv_dropout=0.0, classifier_dropout=0.0)
    learner = model.build(msgspec.structs.replace(small_settings, network=network), 8).train()
    flat = optimiser.flatten(learner)
    part = parts["train"]
    learned = Halves(learner, flat, features, part.ids)
    (batch,) = learned.begin(np.random.SeedSequence(0), [np.arange(31)])
    assert sorted(batch) == list(range(31))
    true = torch.from_numpy(part.true[batch])
    logits, _ = learned.learn(lambda logits: functional.cross_entropy(logits, true))
    log_mel, lengths = pad_batch(features.log_mels([part.ids[i] for i in batch]))
    whole, _ = learner(torch.from_numpy(log_mel), torch.from_numpy(lengths))
    gradients = torch.autograd.grad(functional.cross_entropy(whole, true), list(learner.parameters()))
    expected = torch.cat([gradient.flatten() for gradient in gradients])
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(flat.grad, expected, rtol=1e-3, atol=1e-5)


def test_every_half_and_the_classifier_have_noise_of_their_own(
    small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    learner = model.build(small_settings, 8).train()
    twice = (parts["train"].ids[0],) * 2  # the same clip in both halves
    learned = Halves(learner, optimiser.flatten(learner), features, twice)
    learned.begin(np.random.SeedSequence(0), [np.arange(2)])
    seen: list[torch.Tensor] = []
    decide = learner.decide
    learner.decide = lambda context: seen.append(context.detach()) or decide(context)
    learned.learn(lambda logits: logits.square().sum())
    assert not torch.equal(seen[0][0], seen[0][1])


@pytest.mark.parametrize("n_clips", [1, 2, 31])
def test_what_is_measured_in_halves_is_what_the_network_says(
    small_settings: Settings, features: FeatureTable, parts: dict[str, Part], n_clips: int
) -> None:
    learner = model.build(small_settings, 8)
    ids = parts["test"].ids[:n_clips]
    logits = Halves(learner, optimiser.flatten(learner), features, parts["train"].ids).logits(ids)
    log_mel, lengths = pad_batch(features.log_mels(ids))
    with torch.inference_mode():
        expected, _ = learner.eval()(torch.from_numpy(log_mel), torch.from_numpy(lengths))
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("from_epoch", [1, 2])
def test_one_process_and_two_end_in_the_same_weights_whenever_the_second_is_ready(
    make: Make, second: companion.Companion, parts: dict[str, Part], from_epoch: int
) -> None:
    alone, together, seen = make(), make(), Seen(second, from_epoch=from_epoch)
    alone.run()
    together.run(seen.count, companion=seen)
    assert state(together) == state(alone)
    assert seen.n_batches == (3 - from_epoch + 1) * -(-len(parts["train"].ids) // 32)


def test_so_they_do_with_a_network_of_the_published_size(
    make: Make, features: FeatureTable, parts: dict[str, Part]
) -> None:
    settings = load_preset("cabg", ["training.n_epochs=2"])
    alone, together = make(settings), make(settings)
    alone.run()
    with contextlib.closing(companion.Companion(settings, 8, features, parts["train"].ids)) as one:
        assert one.is_ready(READY_S)
        seen = Seen(one)
        together.run(companion=seen)
    assert seen.n_batches
    assert state(together) == state(alone)


@pytest.mark.parametrize(("first", "then"), [("alone", "together"), ("together", "alone")])
def test_a_run_cut_in_one_process_goes_on_in_two_and_the_other_way_round(
    make: Make, second: companion.Companion, tmp_path: Path, first: str, then: str
) -> None:
    with_companion = {"alone": None, "together": second}
    unbroken, broken = make(), make(resume_dir=tmp_path)
    unbroken.run()
    broken.run(until=1, companion=with_companion[first])
    resumed = make(resume_dir=tmp_path)
    assert resumed.restore()
    resumed.run(companion=with_companion[then])
    assert state(resumed) == state(unbroken)


def test_what_was_begun_whole_is_not_gone_on_with_in_halves(
    voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part], make: Make, tmp_path: Path
) -> None:
    whole = FoldTrainer(small_settings, voices.labels, features, parts, fold=0, seed=0, resume_dir=tmp_path)
    whole.run(until=1)
    assert not make(resume_dir=tmp_path).restore()


def test_the_scores_of_a_fold_are_those_of_its_last_epoch(make: Make, parts: dict[str, Part]) -> None:
    trainer = make()
    trainer.run()
    right = trainer.logits(parts["test"]).argmax(axis=1) == parts["test"].true
    assert right.mean() == trainer.epochs[-1].test_accuracy


def test_one_that_is_killed_ends_the_training_with_what_to_do(
    make: Make, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    with contextlib.closing(companion.Companion(small_settings, 8, features, parts["train"].ids)) as one:
        assert one.is_ready(READY_S)
        one._process.kill()
        one._process.join()
        with pytest.raises(RunError, match=r"ended before its time.*--resume"):
            make().run(companion=one)


def test_one_that_is_killed_before_it_is_ready_is_gone_without(
    make: Make, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    alone, together = make(), make()
    alone.run()
    with contextlib.closing(companion.Companion(small_settings, 8, features, parts["train"].ids)) as one:
        one._process.kill()
        assert not one.is_ready(READY_S)
        together.run(companion=one)
    assert state(together) == state(alone)


def test_it_leaves_by_itself_when_the_one_that_leads_is_gone(
    small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    one = companion.Companion(small_settings, 8, features, parts["train"].ids)
    assert one.is_ready(READY_S)
    one._connection.close()  # as the system does for a process that was killed
    one._process.join(READY_S)
    assert one._process.exitcode == 0


@pytest.mark.parametrize("n_cores", [1, 2])
def test_a_fold_has_one_where_a_core_is_free_and_it_is_worth_it(
    monkeypatch: pytest.MonkeyPatch, small_settings: Settings, features: FeatureTable, parts: dict[str, Part],
    n_cores: int,
) -> None:  # fmt: skip
    class Stub:
        def __init__(self, *_: Any) -> None: ...
        def close(self) -> None: ...

    def refused(*_: Any) -> None:
        raise BlockingIOError

    def has_one(n_epochs: int) -> bool:
        ids = parts["train"].ids
        with companion.accompanied(small_settings, 8, features, ids, n_epochs=n_epochs) as one:
            return one is not None

    monkeypatch.setattr(companion, "Companion", Stub)
    monkeypatch.setattr(machine, "usable_cores", lambda: n_cores)
    assert (has_one(3), has_one(1_000)) == (False, n_cores == 2)
    monkeypatch.setattr(companion, "Companion", refused)
    assert not has_one(1_000)


def test_a_fold_that_is_alone_is_trained_so(
    monkeypatch: pytest.MonkeyPatch, voices: Corpus, small_settings: Settings, features: FeatureTable,
    parts: dict[str, Part], tmp_path: Path,
) -> None:  # fmt: skip
    asked = []

    @contextlib.contextmanager
    def accompanied(*_: Any, n_epochs: int) -> Iterator[None]:
        asked.append(n_epochs)
        yield None

    monkeypatch.setattr(companion, "accompanied", accompanied)
    monkeypatch.setattr(workers, "report", lambda _: None)
    training = Training(
        corpus="voices", licence="", protocol="manifest", fold=None, speakers_shared=True, selection="last", epoch=0,
        seed=0, synthetic=True,
    )  # fmt: skip
    for alone in (True, False):
        task = fold.FoldTask(
            fold=0, seed=0, folder=tmp_path / str(alone), settings=small_settings, labels=voices.labels,
            features=features, parts=parts, training=training, resume=False, alone=alone,
        )  # fmt: skip
        assert fold.run(task) is not None
    assert asked == [3, 0]


@pytest.mark.parametrize(
    ("preset", "changes", "taught", "expected"),
    [
        ("cabg", [], False, True),
        ("cabg", [], True, False),
        ("cabg", ["augmentation.mixup=0.2"], False, False),
        ("cabg", ["training.weight_average=0.9"], False, False),
        ("cabg", ["augmentation.gain_db=3"], False, False),
        ("emocatcher-2", [], False, False),
    ],
)
def test_only_where_no_clip_meets_another(preset: str, changes: list[str], taught: bool, expected: bool) -> None:
    assert halves.possible(load_preset(preset, changes), taught=taught) == expected
