from pathlib import Path

from emocatcher.comparison import compare

Several = dict[str, Path]


def _notes(several: Several, *names: str) -> str:
    return "\n".join(compare([several[name] for name in names]).notes)


def test_shared_and_separate_speakers_are_never_left_to_be_compared(several: Several) -> None:
    first = compare([several["shared-s0"], several["apart"]]).notes[0]
    assert "Not to be compared" in first
    assert "shared-s0 was tested on voices heard in training, apart on voices never heard" in first
    assert "none of these scores" in _notes(several, "shared-s0", "other")
    assert "voices" not in _notes(several, "apart")


def test_optimistic_made_and_other_tasks_are_told(several: Several) -> None:
    said = _notes(several, "shared-s0", "made", "odd")
    assert "optimistic: epoch chosen on the test part" in said
    assert "SYNTHETIC" in said
    assert "different emotions" in said
    assert "shared-s0 8" in said
    assert "odd 2" in said
    assert "different corpora" in said
    plain = _notes(several, "shared-s0", "other")
    assert not any(word in plain for word in ("optimistic", "SYNTHETIC", "different"))


def test_one_run_is_told_it_is_alone_and_one_seed_that_it_is_one(several: Several) -> None:
    assert "One run only" in _notes(several, "apart")
    assert "A test of one seed is of the trained models" in _notes(several, "shared-s0", "other")
    assert "seeds alone spread by ±" in _notes(several, "shared-s0", "shared-s1", "other")
