"""The result of an audit as one line, as several lines, and as a file in the run folder."""

from __future__ import annotations

import pytest

from emocatcher.evaluation import audit
from emocatcher.evaluation.audit.findings import fold_words
from emocatcher.foundation.errors import LeakError, RunError


def pair(n, **details):
    details = {"how": "content"} | details
    return audit.Pair(utterances=(f"a{n}", f"b{n}"), labels=("sad", "sad"), **details)


def made(*leaks, notes=(), n_folds=5):
    return audit.Audit(
        corpus="x", protocol="y", n_folds=n_folds, n_utterances=9, n_fingerprints=9, leaks=leaks, notes=notes
    )


SPEAKERS = audit.Leak(kind="same-speaker", text="two speakers", folds=(0, 1, 2, 3, 4), speakers=("01", "02"))
AUDIO = audit.Leak(kind="same-audio", text="a recording", folds=(1, 3), pairs=(pair(0, folds=(1, 3)),))
OTHERS = tuple(
    audit.Leak(kind=kind, text="…") for kind in ("two-labels", "fitted-beyond-training", "selection-on-test")
)


def test_the_stamp_is_one_line_that_names_every_kind():
    assert made().stamp == "Audit: no leak found"
    assert made(SPEAKERS, AUDIO).stamp == (
        "Audit: speakers shared in all folds; the same recording on both sides of folds 1 and 3"
    )
    stamp = made(*OTHERS, n_folds=1).stamp
    assert stamp.count(";") == 2
    assert "\n" not in stamp
    assert "{" not in stamp


def test_folds_are_listed_in_words():
    assert fold_words((2,), 5, "of") == " of fold 2"
    assert fold_words((0, 2, 4), 5, "of") == " of folds 0, 2 and 4"


def test_the_lines_name_five_pairs_or_all():
    leak = audit.Leak(kind="same-audio", text="seven pairs", folds=(0,), pairs=tuple(pair(n) for n in range(7)))
    found = made(leak, notes=(audit.Note(text="something"),))
    stamp, line, note = found.lines()
    assert stamp == found.stamp
    assert "a4 and b4 (the same samples)" in line
    assert "a5" not in line
    assert line.endswith("and 2 more (--all)")
    assert "a6 and b6" in found.lines(everything=True)[1]
    assert note == "- note: something"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"how": "overlap", "overlap_s": 0.25}, "overlap by 0.25 s"),
        ({"how": "fingerprint", "bit_error_rate": 0.0123, "shift_s": 0.01}, "1.2% of the fingerprint bits differ"),
    ],
)
def test_a_pair_states_how_it_matches(details, words):
    assert words in str(pair(0, **details))


def test_strict_refuses_a_leak_and_not_a_note():
    made(notes=(audit.Note(text="something"),)).refuse_leaks()
    with pytest.raises(LeakError, match=r"speakers shared in all folds\. --strict refuses"):
        made(SPEAKERS).refuse_leaks()


def test_an_audit_can_be_written_read_and_removed(tmp_path):
    found = made(SPEAKERS, AUDIO, *OTHERS, notes=(audit.Note(text="x", pairs=(pair(1),)),))
    audit.write(found, tmp_path)
    assert audit.read(tmp_path) == found
    audit.write(None, tmp_path)
    assert audit.read(tmp_path) is None
    audit.write(None, tmp_path)


def test_the_error_for_an_invalid_file_names_it(tmp_path):
    (tmp_path / "audit.json").write_text('{"corpus": 3}')
    with pytest.raises(RunError, match=r"audit\.json"):
        audit.read(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        audit.write(made(), tmp_path / "file")
