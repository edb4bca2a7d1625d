from collections.abc import Callable
from pathlib import Path

import pytest

from emocatcher.foundation.errors import RunError
from emocatcher.reports.comparison import groups

Make = Callable[..., Path]


def _names(run_dirs: list[Path]) -> list[list[str]]:
    return [[run.name for run in members] for members in groups.group(groups.read(run_dirs))]


def test_runs_that_differ_only_in_the_seed_form_one_group(make: Make) -> None:
    runs = [make("b", seed=7), make("a", seed=3), make("c", seed=9)]
    assert _names(runs) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    "other",
    [{"preset": "x"}, {"corpus": "y"}, {"protocol": "stratified-3"}, {"shared": False}, {"selection": "best-test"}],
)
def test_runs_that_differ_in_another_field_are_not_grouped(make: Make, other: dict[str, object]) -> None:
    assert sorted(map(len, _names([make("a", seed=0), make("b", seed=1, **other)]))) == [1, 1]


def test_runs_with_different_settings_are_not_grouped(make: Make) -> None:
    first, second = make("a"), make("b", seed=1)
    config = second / "config.toml"
    config.write_text(config.read_text().replace("batch_size = 32", "batch_size = 16"))
    assert len(_names([first, second])) == 2


def test_a_repeated_seed_gets_its_own_group(make: Make) -> None:
    runs = [make("a", seed=0), make("b", seed=0), make("c", seed=1), make("d", seed=0)]
    assert sorted(_names(runs), key=len, reverse=True) == [["a", "c"], ["b"], ["d"]]


def test_order_is_unseen_speakers_then_human_voices_then_accuracy(make: Make) -> None:
    runs = [
        make("shared"), make("worse", answers=2, preset="p"), make("made", synthetic=True),
        make("apart", shared=False), make("unnamed", with_speakers=False),
    ]  # fmt: skip
    assert [names[0] for names in _names(runs)] == ["apart", "unnamed", "shared", "worse", "made"]


def test_names_of_runs_and_groups_are_unique(make: Make) -> None:
    found = groups.read([make("x/cv5-s0"), make("y/cv5-s0"), make("loso")])
    assert [run.name for run in found] == ["x/cv5-s0", "y/cv5-s0", "loso"]
    seeds = [[run] for run in found]
    assert groups.group_names(seeds) == ["x/cv5-s0", "y/cv5-s0", "loso"]
    runs = groups.read([make("cv5-s0"), make("cv5-s1", seed=1), make("cv5-t0"), make("cv5-t1", seed=1)])
    assert groups.group_names([runs[:2]]) == ["cv5 (2 seeds)"]
    names = groups.group_names([runs[:2], runs[2:]])
    assert len(set(names)) == 2


def test_no_run_a_repeated_run_and_an_unfinished_run_are_refused(make: Make, tmp_path: Path) -> None:
    run = make("run")
    with pytest.raises(RunError, match="No run to compare"):
        groups.read([])
    with pytest.raises(RunError, match="given twice"):
        groups.read([run, tmp_path / "x" / ".." / "run"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="not a finished run folder"):
        groups.read([run, tmp_path / "empty"])
