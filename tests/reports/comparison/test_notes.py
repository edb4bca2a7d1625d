from collections.abc import Callable
from pathlib import Path

from emocatcher.reports.comparison import compare

Several = dict[str, Path]


def _notes(several: Several, *names: str) -> str:
    return "\n".join(compare([several[name] for name in names]).notes)


def test_notes_warn_against_comparing_shared_and_separate_speakers(several: Several) -> None:
    first = compare([several["shared-s0"], several["apart"]]).notes[0]
    assert "Do not compare" in first
    assert "shared-s0 was tested on speakers of the training part, apart on unseen speakers" in first
    assert "none of these scores" in _notes(several, "shared-s0", "other")
    assert "unseen speakers" not in _notes(several, "apart")


def test_notes_state_optimistic_and_synthetic_runs_and_different_tasks(several: Several) -> None:
    text = _notes(several, "shared-s0", "made", "odd")
    assert "optimistic: epoch chosen on the test part" in text
    assert "SYNTHETIC" in text
    assert "different emotions" in text
    assert "shared-s0 8" in text
    assert "odd 2" in text
    assert "Fewer emotions are easier" in text
    assert "different corpora" in text
    plain = _notes(several, "shared-s0", "other")
    assert not any(word in plain for word in ("optimistic", "SYNTHETIC", "different"))


def test_notes_state_a_single_run_and_a_single_seed(several: Several) -> None:
    assert "One run only" in _notes(several, "apart")
    assert "A test with one seed compares the trained models" in _notes(several, "shared-s0", "other")
    assert "seeds alone give a standard deviation of up to" in _notes(several, "shared-s0", "shared-s1", "other")


def test_other_emotions_of_the_same_number_are_not_called_easier(make: Callable[..., Path]) -> None:
    one, other = make("one", labels=("sad", "happy")), make("other", labels=("sad", "bored"))
    text = "\n".join(compare([one, other]).notes)
    assert "different emotions (" in text
    assert "easier." not in text.split("different emotions")[1].split("\n")[0]
