"""A batch in two halves: the same gradients as the whole, and the same bits with one process and with two."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from emocatcher import companion, halves, machine, model, optimiser
from emocatcher.config import Settings, load_preset
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import FeatureTable, Part, load_features
from emocatcher.errors import RunError
from emocatcher.halves import Halves
from emocatcher.padding import pad_batch
from emocatcher.train import FoldTrainer

READY_S = 120.0


@pytest.fixture(scope="module")
def features(voices: Corpus, small_settings: Settings) -> FeatureTable:
    return load_features(voices, small_settings)


@pytest.fixture(scope="module")
def parts(voices: Corpus) -> dict[str, Part]:
    def part(start: int) -> Part:
        chosen = voices.utterances[start::4]
        return Part(tuple(u.id for u in chosen), np.array([voices.labels.index(u.emotion) for u in chosen], np.int64))

    return {"train": part(0), "test": part(1)}


@contextlib.contextmanager
def started(settings: Settings, features: FeatureTable, parts: dict[str, Part]) -> Iterator[companion.Companion]:
    with contextlib.closing(companion.Companion(settings, 8, features, parts["train"].ids)) as one:
        yield one


def trained(
    settings: Settings, features: FeatureTable, parts: dict[str, Part], labels: tuple[str, ...], **more: Any
) -> FoldTrainer:
    trainer = FoldTrainer(settings, labels, features, parts, fold=0, seed=0, resume_dir=None, in_halves=True, **more)
    trainer.run()
    return trainer


def state(trainer: FoldTrainer) -> tuple[bytes, list[float]]:
    weights = b"".join(tensor.numpy().tobytes() for tensor in trainer.network.state_dict().values())
    return weights, [value for epoch in trainer.epochs for value in (epoch.train_loss, epoch.test_loss)]


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


def test_one_process_and_two_end_in_the_same_weights(
    voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    alone = trained(small_settings, features, parts, voices.labels)
    with started(small_settings, features, parts) as second:
        assert second.is_ready(READY_S)
        assert state(trained(small_settings, features, parts, voices.labels, companion=second)) == state(alone)


def test_it_does_not_matter_when_the_second_process_is_ready(
    voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    class Late:
        """Ready from the second epoch on."""

        def __init__(self, second: companion.Companion) -> None:
            self._second, self.asked, self.n_started = second, 0, 0

        def __getattr__(self, name: str) -> Any:
            self.n_started += name == "start"
            return getattr(self._second, name)

        def is_ready(self) -> bool:
            self.asked += 1
            return self.asked > 1 and self._second.is_ready(READY_S)

    alone = trained(small_settings, features, parts, voices.labels)
    with started(small_settings, features, parts) as second:
        late = Late(second)
        assert state(trained(small_settings, features, parts, voices.labels, companion=late)) == state(alone)
    n_batches = -(-len(parts["train"].ids) // small_settings.training.batch_size)
    assert late.n_started == 2 * n_batches


def test_a_second_process_that_is_killed_ends_the_training_with_what_to_do(
    voices: Corpus, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    with started(small_settings, features, parts) as second:
        assert second.is_ready(READY_S)
        second._process.kill()
        second._process.join()
        with pytest.raises(RunError, match=r"ended before its time.*--resume"):
            trained(small_settings, features, parts, voices.labels, companion=second)


def test_the_second_process_ends_when_it_is_let_go(
    small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    with started(small_settings, features, parts) as second:
        assert second.is_ready(READY_S)
        process = second._process
    process.join(READY_S)
    assert process.exitcode == 0  # by itself: nobody had to kill it


def test_a_short_training_or_a_single_core_has_none(
    monkeypatch: pytest.MonkeyPatch, small_settings: Settings, features: FeatureTable, parts: dict[str, Part]
) -> None:
    class Stub:
        def __init__(self, *_: Any) -> None: ...
        def close(self) -> None: ...

    monkeypatch.setattr(companion, "Companion", Stub)
    recipe = msgspec.structs.replace(small_settings.training, n_epochs=1_000)
    long = msgspec.structs.replace(small_settings, training=recipe)
    found = {}
    for n_cores in (1, 2):
        monkeypatch.setattr(machine, "usable_cores", lambda n_cores=n_cores: n_cores)
        for name, settings in (("short", small_settings), ("long", long)):
            with companion.accompanied(settings, 8, features, parts["train"].ids) as second:
                found[n_cores, name] = second is not None
    assert [key for key, has_one in found.items() if has_one] == [(2, "long")]


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
