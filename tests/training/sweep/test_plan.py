"""Reading `sweep.toml`."""

from pathlib import Path

import pytest

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.settings import load_preset
from emocatcher.training.sweep import plan

HEAD = 'protocol = "emobox-6"\n'
ONE = HEAD + '[[setting]]\nname = "a"\n'
NAMES = ("n_epochs", "batch_size", "batches_by_length")
HUGE_GRID = HEAD + "[grid]\n" + "".join(f'"training.{name}" = {list(range(2, 302))}\n' for name in NAMES)


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> plan.Plan:
        path = tmp_path / "sweep.toml"
        path.write_text(text, encoding="utf-8")
        return plan.read(path)

    return read


def test_keys_have_defaults(read):
    found = read(ONE)
    file = found.file
    assert (file.preset, file.corpus, file.folds, file.inner, file.seeds) == ("cabg", "ravdess", (0,), 5, (0,))
    assert file.rank_by == "accuracy"
    (choice,) = found.choices
    assert choice.settings == found.base == load_preset("cabg")


def test_settings_are_applied_after_those_for_all(read):
    found = read(
        HEAD
        + 'set = ["training.n_epochs=60", "training.batch_size=16"]\n[[setting]]\nname = "a"\n'
        + '[[setting]]\nname = "b"\nset = ["training.n_epochs=5"]\n'
    )
    assert found.base == load_preset("cabg", ["training.n_epochs=60", "training.batch_size=16"])
    assert [choice.settings.training.n_epochs for choice in found.choices] == [60, 5]
    assert [choice.settings.training.batch_size for choice in found.choices] == [16, 16]
    assert plan.differences(found.choices[1].settings, found.choices[0].settings) == ("training.n_epochs=5",)


@pytest.mark.parametrize(
    "grid",
    [
        '[grid]\n"optimiser.learning_rate" = [5e-4, 1e-3]\n"training.selection" = ["last"]\n',
        '[grid]\noptimiser.learning_rate = [5e-4, 1e-3]\ntraining.selection = ["last"]\n',
    ],
)
def test_a_grid_expands_to_every_combination(read, grid):
    found = read(HEAD + grid)
    names = ['learning_rate=0.0005, selection="last"', 'learning_rate=0.001, selection="last"']
    assert [choice.name for choice in found.choices] == names
    assert [choice.settings.optimiser.learning_rate for choice in found.choices] == [5e-4, 1e-3]
    assert [choice.name for choice in read(ONE + grid).choices] == ["a", *names]


def test_a_grid_may_have_lists_and_keys_of_the_same_name(read):
    found = read(
        HEAD + '[grid]\n"network.conv_channels" = [[8, 8], [16]]\n"vad.floor_db" = [60.0]\n"front_end.floor_db" = [70]'
    )
    assert found.choices[0].name == "conv_channels=[8, 8], vad.floor_db=60.0, front_end.floor_db=70"
    assert [choice.settings.network.conv_channels for choice in found.choices] == [(8, 8), (16,)]


def test_a_resolved_sweep_is_read_back_unchanged(read):
    found = read(
        ONE + 'set = ["training.label_smoothing=0.2"]\n[grid]\n"optimiser.learning_rate" = [5e-4, 1e-5]\n'
        '"network.conv_channels" = [[8, 8]]\n'
    )
    assert read(found.to_toml()) == found
    assert "[grid]" not in found.to_toml()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("protocol = ", ["is not TOML"]),
        ("\udcff", ["is not TOML"]),
        ("a = " + "[" * 100_000, ["is not TOML"]),
        ("a = " + "9" * 10_000, ["is not TOML"]),
        ('[[setting]]\nname = "a"\n', ["missing required field `protocol`"]),
        (ONE.replace("protocol", "protocl"), ["Unknown key 'protocl'", "Did you mean 'protocol'?"]),
        (ONE + 'sets = ["a.b=1"]\n', ["Unknown key 'sets'", "Did you mean 'set'?"]),
        (HEAD + "[[settings]]\nname = 'a'\n", ["Did you mean 'setting'?"]),
        (HEAD + "[[setting]]\nset = []\n", ["missing required field `name`", "setting"]),
        (HEAD + "[[setting]]\nname = ''\n", ["length >= 1"]),
        (HEAD, ["names no setting", "[[setting]]", "[grid]"]),
        (HEAD + "setting = []\n", ["names no setting"]),
        (HEAD + "[grid]\n", ["names no setting"]),
        (ONE + '[grid]\n"training.n_epochs" = []\n', ["training.n_epochs", "one or more"]),
        (ONE + '[grid]\n"training.n_epochs" = 3\n', ["training.n_epochs", "a list"]),
        (ONE + '[grid]\n"training.n_epoch" = [3]\n', ["setting 'n_epoch=3'", "Did you mean 'n_epochs'?"]),
        (ONE + "[grid]\nepochs = [3]\n", ["section.key=value"]),
        (ONE + '[grid]\n"training.n_epochs" = [3, 3]\n', ["'n_epochs=3' twice"]),
        (ONE + '[[setting]]\nname = "a"\n', ["'a' twice"]),
        (HUGE_GRID, ["27,000,000 settings (300 * 300 * 300)", "Allowed are 10,000"]),
        ("folds = []\n" + ONE, ["length >= 1", "folds"]),
        ("seeds = []\n" + ONE, ["length >= 1", "seeds"]),
        ("folds = [0, 0]\n" + ONE, ["folds holds 0 twice"]),
        ("seeds = [1, 1]\n" + ONE, ["seeds holds 1 twice"]),
        ("seeds = [-1]\n" + ONE, [">= 0", "seeds"]),
        ("inner = 1\n" + ONE, [">= 2", "inner"]),
        ('rank_by = "uar"\n' + ONE, ["'uar'", "unweighted_average_recall"]),
        ('preset = "cagb"\n' + ONE, ["Did you mean 'cabg'?"]),
        ('set = ["training.n_epochs=0"]\n' + ONE, ["n_epochs = 0", ">= 1"]),
        (ONE + 'set = ["training.n_epochs=many"]\n', ["setting 'a'", "n_epochs = 'many'"]),
        (ONE + 'set = ["optimizer.learning_rate=1"]\n', ["setting 'a'", "Did you mean 'optimiser'?"]),
        (ONE + 'set = ["training.selection=best-test"]\n', ["setting 'a'", "best-test", "training.selection=last"]),
        ('set = ["training.selection=best-valid"]\n' + ONE, ["selects no epoch"]),
    ],
)
def test_invalid_values_are_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "sweep.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingError) as error:
        plan.read(path)
    assert "sweep.toml" in str(error.value)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingError, match=f"{path.name} cannot be read"):
            plan.read(path)
