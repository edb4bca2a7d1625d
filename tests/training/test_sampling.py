"""An epoch has equal shares of corpora and classes if the recipe asks for it."""

import msgspec
import numpy as np
import pytest

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.settings import from_toml, load_preset
from emocatcher.training import sampling
from emocatcher.training.dataset import Part


def part(seed=0):
    """Three corpora of very different sizes; one lacks a class, and classes are rare in others."""
    random = np.random.default_rng(seed)
    corpus = random.permutation(np.repeat([0, 1, 2], [400, 60, 20]))
    true = np.where(corpus == 2, random.integers(0, 2, 480), random.choice(3, 480, p=[0.7, 0.2, 0.1]))
    return Part(tuple(map(str, range(480))), true, corpus)


def test_without_balance_the_order_is_that_of_every_earlier_version():
    for balance in (msgspec.UNSET, "none"):
        drawn = sampling.draw(part(), balance, np.random.default_rng(5))
        assert (drawn == np.random.default_rng(5).permutation(480)).all()


@pytest.mark.parametrize("seed", range(5))
def test_every_corpus_has_the_same_share_of_an_epoch(seed):
    rows = part(seed)
    drawn = sampling.draw(rows, "corpora", np.random.default_rng(seed))
    assert len(drawn) == 480
    assert np.bincount(rows.corpus[drawn]).tolist() == pytest.approx([160] * 3, abs=8)
    times = np.bincount(drawn, minlength=480)
    assert set(times[rows.corpus == 2].tolist()) == {8}  # 160 / 20
    assert set(times[rows.corpus == 0].tolist()) == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_within_a_corpus_every_class_that_it_has_has_the_same_share(seed):
    rows = part(seed)
    drawn = sampling.draw(rows, "corpora-and-classes", np.random.default_rng(seed))
    cells = np.zeros((3, 3), int)
    np.add.at(cells, (rows.corpus[drawn], rows.true[drawn]), 1)
    expected = np.array([[160 / 3] * 3, [160 / 3] * 3, [80, 80, 0]])
    shares = sampling.shares(rows, classes=True)
    exact = [[480 * shares[(rows.corpus == c) & (rows.true == t)].sum() for t in range(3)] for c in range(3)]
    assert np.allclose(exact, expected)
    assert np.abs(cells - expected).max() < 25


def test_each_epoch_draws_others_of_a_frequent_corpus():
    rows, random = part(), np.random.default_rng(0)
    drawn = np.concatenate([sampling.draw(rows, "corpora", random) for _ in range(12)])
    assert len(np.unique(drawn[rows.corpus[drawn] == 0])) > 390


def test_a_single_corpus_is_balanced_by_class_only():
    rows = msgspec.structs.replace(part(), corpus=None)
    counts = np.bincount(rows.true[sampling.draw(rows, "corpora-and-classes", np.random.default_rng(0))])
    assert np.ptp(counts) < 45
    assert np.allclose(sampling.shares(rows, classes=False), 1 / 480)


def test_the_setting_is_written_only_where_it_is_given():
    assert "balance" not in load_preset("cabg").to_toml()
    chosen = load_preset("cabg", ["training.balance=corpora-and-classes"])
    assert from_toml(chosen.to_toml(), "x") == chosen
    with pytest.raises(SettingError, match="corpora-and-classes"):
        load_preset("cabg", ["training.balance=speakers"])
