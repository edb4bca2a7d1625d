"""Every input gets one row; a batch that is interrupted anywhere and resumed gives the same table."""

import csv
import io
import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import soundfile

from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.recognition import batch
from emocatcher.recognition.batch import table_writing, unfinished_tables
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.recognizer import load

KINDS = ("jsonl", "csv", "json", "parquet")


class Interrupted(Exception):  # noqa: N818
    """Simulates a kill."""


@pytest.fixture(scope="module")
def recognizer(small_run):
    return load(small_run.folder / "fold_0" / "last")


@pytest.fixture(scope="module")
def inputs(small_run, tmp_path_factory):
    paths = [str(utterance.path) for utterance in small_run.corpus.utterances[:12]]
    unreadable = tmp_path_factory.mktemp("odd") / "text, with a comma\nand a line.wav"
    unreadable.write_text("not sound")
    return [*paths[:5], str(unreadable), "nowhere.wav", paths[2], *paths[5:]]


def run(recognizer, inputs, out, **options):
    options = {"kind": table_writing.format_of(None, out), "stream": io.BytesIO()} | options
    return batch.run(recognizer, inputs, out=out, **options)


def table(path: Path) -> list[dict]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_has_one_row_in_order(recognizer, inputs, tmp_path, kind):
    out = tmp_path / "deep" / f"out.{kind}"
    done = run(recognizer, inputs, out)
    found = table(out)
    assert (done.n, done.n_failed, len(found)) == (len(inputs), 2, len(inputs))
    for row, path in zip(found, inputs, strict=True):
        assert row["path"] == path.replace("\n", "\\n")
        failed = path.startswith("nowhere") or "comma" in path
        assert (row.get("error") or "") == ("DecodeError" if failed else "")
        if not failed:
            alone = recognizer.predict(path)
            assert row["emotion"] == alone.emotion
            assert float(row["probability"]) == pytest.approx(alone.probability, abs=1e-5)
    assert [path.name for path in out.parent.iterdir()] == [out.name]  # no other file is left


def test_rows_of_json_decode_to_the_outcome(recognizer, inputs, tmp_path):
    run(recognizer, inputs[:6], tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(lines[0], type=Prediction) == recognizer.predict(inputs[0])
    assert msgspec.json.decode(lines[5], type=Failure).error == "DecodeError"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_an_interrupted_and_resumed_table_equals_an_uninterrupted_one(
    recognizer, inputs, tmp_path, monkeypatch, kind, ordered
):
    monkeypatch.setattr(table_writing, "ROW_GROUP", 4)
    whole, cut = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    run(recognizer, inputs, whole, ordered=ordered)
    random_ = random.Random(f"{kind}{ordered}")
    interruptions = 0
    while True:
        last = random_.randint(1, 5)

        def interrupt(done, _, last=last):
            if done.n - done.n_before == last and done.n < len(inputs):
                raise Interrupted

        try:
            # A kill does not close the table, and neither does this.
            with monkeypatch.context() as patch:
                patch.setattr("emocatcher.recognition.batch.table_writing._Parquet.close", closed_only_when_finished)
                run(recognizer, inputs, cut, ordered=ordered, resume=interruptions > 0, on_row=interrupt)
            break
        except Interrupted:
            interruptions += 1
            if kind in ("jsonl", "csv"):
                with cut.open("ab") as file:
                    file.write(b'{"path": "unreadable')
            else:
                with unfinished_tables.journal_of(cut).open("ab") as file:
                    file.write(b'{"path": "unreadable')
    assert interruptions >= 2
    assert table(cut) == table(whole)
    if kind != "parquet":
        assert cut.read_bytes() == whole.read_bytes()


_close = table_writing._Parquet.close


def closed_only_when_finished(self, *, finished):
    if finished:
        _close(self, finished=True)
    else:
        self._file.close()


def test_parquet_can_be_read_after_every_row_group(recognizer, inputs, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(table_writing, "ROW_GROUP", 4)
    out, seen = tmp_path / "out.parquet", []

    def look(*_):
        if out.exists():
            seen.append(parquet.read_table(out).num_rows)

    run(recognizer, inputs, out, on_row=look)
    assert set(seen) == {4, 8, 12}
    assert parquet.ParquetFile(out).num_row_groups == 4


def test_a_kill_between_the_new_row_group_and_the_emptied_journal_duplicates_nothing(
    recognizer, inputs, tmp_path, monkeypatch
):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(table_writing, "ROW_GROUP", 3)
    out, journal = tmp_path / "out.parquet", b""

    def cut(done, _):
        nonlocal journal
        if done.n == 2:
            journal = unfinished_tables.journal_of(out).read_bytes()
        if done.n == 3:
            raise Interrupted

    monkeypatch.setattr("emocatcher.recognition.batch.table_writing._Parquet.close", closed_only_when_finished)
    with pytest.raises(Interrupted):
        run(recognizer, inputs, out, on_row=cut)
    third = msgspec.json.encode(recognizer.predict(inputs[2]))
    unfinished_tables.journal_of(out).write_bytes(journal + third + b"\n")
    run(recognizer, inputs, out, resume=True)
    assert [row["path"] for row in table(out)] == [path.replace("\n", "\\n") for path in inputs]


def test_two_workers_write_the_same_table(recognizer, inputs, tmp_path):
    run(recognizer, inputs, tmp_path / "one.jsonl")
    run(recognizer, inputs, tmp_path / "two.jsonl", workers=2)
    one, two = table(tmp_path / "one.jsonl"), table(tmp_path / "two.jsonl")
    assert [row["path"] for row in one] == [row["path"] for row in two]
    assert [row.get("emotion") for row in one] == [row.get("emotion") for row in two]


def test_an_existing_file_is_replaced_only_with_overwrite(recognizer, inputs, tmp_path):
    out = tmp_path / "out.csv"
    run(recognizer, inputs[:2], out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists: give --overwrite"):
        run(recognizer, inputs[:3], out)
    assert out.read_bytes() == before
    run(recognizer, inputs[:3], out, overwrite=True)
    assert len(table(out)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_a_finished_table_changes_nothing(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs, out)
    before = out.read_bytes()
    assert run(recognizer, inputs, out, resume=True).n == len(inputs)
    with pytest.raises(OutputError, match="not among the inputs"):
        run(recognizer, inputs[:-1], out, resume=True)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_a_finished_table_adds_new_inputs(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    old, new = inputs[::2], inputs[1::2]  # the new ones lie between the others, as in a folder
    run(recognizer, old, out)
    before, recognised = table(out), []
    done = run(recognizer, inputs, out, resume=True, on_row=lambda _, outcome: recognised.append(outcome.path))
    assert recognised == new
    assert (done.n, done.n_before, done.n_failed) == (len(inputs), len(old), 2)
    rows = table(out)
    assert rows[: len(old)] == before
    assert [row["path"] for row in rows[len(old) :]] == [path.replace("\n", "\\n") for path in new]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    again = out.read_bytes()
    assert run(recognizer, list(reversed(inputs)), out, resume=True).n == len(inputs)  # all have a row, in any order
    assert out.read_bytes() == again


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_interrupted_and_resumed_additions_equal_uninterrupted_ones(
    recognizer, inputs, tmp_path, monkeypatch, kind, ordered
):
    monkeypatch.setattr(table_writing, "ROW_GROUP", 4)
    whole, cut = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    for out in (whole, cut):
        run(recognizer, inputs[::2], out, ordered=ordered)
    run(recognizer, inputs, whole, ordered=ordered, resume=True)

    def interrupt(done, _):
        if done.n - done.n_before == 2 and done.n < len(inputs):
            raise Interrupted

    interruptions = 0
    while True:
        try:
            with monkeypatch.context() as patch:
                patch.setattr("emocatcher.recognition.batch.table_writing._Parquet.close", closed_only_when_finished)
                run(recognizer, inputs, cut, ordered=ordered, resume=True, on_row=interrupt)
            break
        except Interrupted:
            interruptions += 1
            with (cut if kind in ("jsonl", "csv") else unfinished_tables.journal_of(cut)).open("ab") as file:
                file.write(b'{"path": "unreadable')
    assert interruptions >= 2
    assert table(cut) == table(whole)
    if kind != "parquet":
        assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_table_with_missing_inputs_is_refused_and_unchanged(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs[:4], out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="not among the inputs now"):
        run(recognizer, inputs[1:8], out, resume=True)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_table_of_another_model_or_threshold_is_refused(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs[:4], out, abstain_below=0.0)
    before = out.read_bytes()
    with pytest.raises(OutputError, match=r"another abstain_below than 0\.999"):
        run(recognizer, inputs, out, resume=True, abstain_below=0.999)
    config = recognizer.config
    for change, words in (
        ({"name": "another"}, "by the model .* and this is another"),
        ({"version": "9.9"}, "and this is .* 9.9"),
        ({"labels": tuple(reversed(config.labels))}, "other columns .*another order"),
        ({"labels": (*config.labels[:-1], "bored")}, "other columns .*probability_"),
    ):
        other = SimpleNamespace(config=msgspec.structs.replace(config, **change), settled=None, n_settled_on=0)
        with pytest.raises(OutputError, match=words):
            run(other, inputs, out, resume=True, abstain_below=0.0)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "json"])
def test_a_finished_table_of_schema_version_1_is_refused_and_unchanged(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs[:4], out)
    if kind == "csv":
        with out.open(newline="") as file:
            rows = [
                {name: "1" if name == "schema_version" and cell == "2" else cell for name, cell in row.items()}
                for row in csv.DictReader(file)
            ]
        names = [name for name in rows[0] if not name.startswith("share_")]
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    else:
        out.write_text(out.read_text().replace('"schema_version":2', '"schema_version":1').replace('"shares":{},', ""))
    before = out.read_bytes()
    with pytest.raises(OutputError, match=r"schema version 1, and this emocatcher writes version 2\. Give --overwrite"):
        run(recognizer, inputs, out, resume=True)
    assert out.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_without_speech_has_a_row_without_an_emotion(recognizer, inputs, tmp_path, kind):
    silence, out = tmp_path / "silence.wav", tmp_path / f"out.{kind}"
    soundfile.write(silence, np.zeros(16_000), 16_000)
    run(recognizer, [str(silence)], out)
    (row,) = table(out)
    empty = "" if kind == "csv" else None
    names = [*(f"{number}_{label}" for number in ("probability", "share") for label in recognizer.config.labels)]
    names = [
        "emotion",
        "probability",
        "margin",
        "entropy",
        "voiced_start_s",
        *(names if kind in ("csv", "parquet") else []),
    ]
    assert [row[name] for name in names] == [empty] * len(names)
    assert row["abstain"] == ("true" if kind == "csv" else True)
    before = out.read_bytes()
    assert run(recognizer, [str(silence)], out, resume=True).n == 1
    assert run(recognizer, [str(silence), inputs[0]], out, resume=True).n == 2
    assert table(out)[0] == row
    assert out.read_bytes() != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_a_table_is_refused_and_unchanged(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    out.write_bytes(b"who wrote\n\xff this?\n")
    with pytest.raises(OutputError, match=r"not a table of emocatcher|other columns"):
        run(recognizer, inputs, out, resume=True)
    assert out.read_bytes() == b"who wrote\n\xff this?\n"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_finished_table_without_a_final_line_break_keeps_its_last_row(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs[:2], out)
    edited = out.read_bytes().removesuffix(b"\n")
    out.write_bytes(edited)
    with pytest.raises(OutputError, match="no line break"):
        run(recognizer, inputs, out, resume=True)
    assert out.read_bytes() == edited


def test_a_kill_after_the_journal_was_removed_loses_no_row_of_json(recognizer, inputs, tmp_path, monkeypatch):
    out, note = tmp_path / "out.json", tmp_path / ".out.json.begun"
    seen = []
    run(recognizer, inputs[:4], out, on_row=lambda *_: seen.append(note.read_bytes()))
    before = out.read_bytes()
    note.write_bytes(seen[0])  # as it is before the last step
    assert run(recognizer, inputs[:4], out, resume=True).n_before == 4
    assert out.read_bytes() == before


def start(recognizer, inputs, out, after=2):
    def cut(done, _):
        if done.n == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(recognizer, inputs, out, on_row=cut)


def test_resuming_with_other_options_or_inputs_is_refused(recognizer, inputs, tmp_path):
    out = tmp_path / "out.jsonl"
    start(recognizer, inputs, out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="is unfinished: give --resume"):
        run(recognizer, inputs, out)
    with pytest.raises(OutputError, match=r"was started with abstain_below = None, and this is 0.9"):
        run(recognizer, inputs, out, resume=True, abstain_below=0.9)
    with pytest.raises(OutputError, match="other inputs, or another order"):
        run(recognizer, inputs[1:], out, resume=True)
    with pytest.raises(OutputError, match="not among the inputs"):
        run(recognizer, inputs[:1], out, resume=True)
    assert out.read_bytes() == before


def test_a_table_that_another_program_changed_is_refused(recognizer, inputs, tmp_path):
    out = tmp_path / "out.jsonl"
    start(recognizer, inputs, out)
    out.write_bytes(b"who wrote this?\n")
    with pytest.raises(OutputError, match="not a table of emocatcher"):
        run(recognizer, inputs, out, resume=True)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from emocatcher.foundation.errors import OutputError
from emocatcher.recognition import batch
from emocatcher.recognition.batch import table_writing, unfinished_tables
from emocatcher.recognition.recognizer import load

model, out, n_bytes, *inputs = sys.argv[1:]
out = Path(out)
recognizer = load(model)
table_writing.ROW_GROUP = 4
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(n_bytes), int(n_bytes)))
try:
    batch.run(recognizer, inputs, kind=out.suffix[1:], out=out, stream=sys.stdout.buffer)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kind", "n_rows"), [("jsonl", 0.5), ("csv", 1.5), ("jsonl", 6.5), ("csv", 6.5), ("json", 6.5), ("parquet", 3.5)]
)
def test_a_table_on_a_full_disk_keeps_its_whole_rows_and_is_resumed(recognizer, inputs, tmp_path, kind, n_rows):
    """The limit on the size of a file stands in for the disk: a line is written in part, then nothing more.

    The first line of CSV is its header; the journal of Parquet is emptied after four rows.
    """
    whole, out = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}"
    run(recognizer, inputs, whole)
    growing = [] if kind == "csv" else [msgspec.json.encode(o) for o in recognizer.predict_many(inputs)]
    lines = whole.read_bytes().splitlines(keepends=True) if kind == "csv" else [line + b"\n" for line in growing]
    n_bytes = sum(map(len, lines[: int(n_rows)])) + len(lines[int(n_rows)]) // 2
    command = [sys.executable, "-c", FULL_DISK, recognizer.path, out, str(n_bytes), *inputs]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in done.stdout
    n_done = int(n_rows) - (kind == "csv")  # its first line is the header
    assert (f"{n_done} recordings are done" in done.stdout) == (n_done > 0)
    kept = out if kind in ("jsonl", "csv") else unfinished_tables.journal_of(out)
    if n_done:
        assert kept.read_bytes().count(b"\n") == int(n_rows)
        assert kept.read_bytes().endswith(b"\n")
    else:
        assert [path.name for path in tmp_path.iterdir()] == [whole.name]
    assert run(recognizer, inputs, out, resume=True).n_before == n_done
    assert [row["path"] for row in table(out)] == [row["path"] for row in table(whole)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_table_counts_its_earlier_failures(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    run(recognizer, inputs, out)
    done = run(recognizer, inputs, out, resume=True)
    assert (done.n, done.n_failed, done.n_before) == (len(inputs), 2, len(inputs))
    cut = tmp_path / f"cut.{kind}"
    start(recognizer, inputs, cut, after=8)
    assert run(recognizer, inputs, cut, resume=True).n_failed == 2


@pytest.fixture
def damaged(inputs, tmp_path):
    """Ten recordings of which three are not sound yet, and what mends them."""
    broken = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in broken:
        path.write_text("not sound")
    names = [*inputs[:4], str(broken[0]), str(broken[1]), inputs[4], str(broken[2])]

    def mend(*numbers):
        for number in numbers:
            broken[number].write_bytes(Path(inputs[number]).read_bytes())

    return names, mend


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_finished", [True, False])
def test_failed_recordings_are_recognised_again(recognizer, damaged, tmp_path, monkeypatch, kind, is_finished):
    monkeypatch.setattr(table_writing, "ROW_GROUP", 3)
    names, mend = damaged
    out = tmp_path / f"out.{kind}"
    if is_finished:
        run(recognizer, names, out)
    else:
        start(recognizer, names, out, after=6)
    mend(0, 2)
    recognised = []
    done = run(
        recognizer,
        names,
        out,
        resume=True,
        retry_failed=True,
        on_row=lambda _, outcome: recognised.append(outcome.path),
    )
    expected = [names[4], names[5], names[7]] if is_finished else names[4:]
    assert recognised == expected
    assert (done.n, done.n_failed, done.n_before) == (8, 1, 8 - len(expected))
    found = table(out)
    assert [row["path"] for row in found] == [*(name for name in names if name not in expected), *expected]
    assert [row["path"] for row in found if row.get("error")] == [names[5]]
    assert not list(tmp_path.glob(".out*"))
    before = out.read_bytes()
    assert run(recognizer, names, out, resume=True).n_failed == 1  # without retry_failed, nothing changes
    assert out.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_that_is_interrupted_anywhere_loses_no_row(recognizer, damaged, tmp_path, monkeypatch, kind):
    names, mend = damaged
    out = tmp_path / f"out.{kind}"
    run(recognizer, names, out)
    mend(0, 1, 2)

    def interrupt(*_, **__):
        raise Interrupted

    with monkeypatch.context() as patch:  # between the note and the changed table
        patch.setattr("emocatcher.recognition.batch.retrying.remove_failures", interrupt)
        with pytest.raises(Interrupted):
            run(recognizer, names, out, resume=True, retry_failed=True)
    with pytest.raises(Interrupted):  # after the first new row
        run(recognizer, names, out, resume=True, retry_failed=True, on_row=interrupt)
    done = run(recognizer, names, out, resume=True, retry_failed=True)
    assert (done.n, done.n_failed, done.n_before) == (8, 0, 6)
    assert sorted(row["path"] for row in table(out)) == sorted(names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_recording_that_is_no_longer_named_keeps_its_row(recognizer, damaged, tmp_path, kind):
    names, _ = damaged
    out = tmp_path / f"out.{kind}"
    run(recognizer, names, out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="not among the inputs now"):
        run(recognizer, names[:-1], out, resume=True, retry_failed=True)
    assert out.read_bytes() == before
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{"workers": 0}, {"workers": 1_000}, {"abstain_below": 2.0}])
@pytest.mark.parametrize("state", ["absent", "finished", "overwritten"])
def test_a_batch_that_cannot_start_changes_no_file(recognizer, inputs, tmp_path, kind, options, state):
    out = tmp_path / f"out.{kind}"
    if state != "absent":
        run(recognizer, inputs[:2], out, abstain_below=options.get("abstain_below", 0.0) and 1.0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    how = {"absent": {}, "finished": {"resume": True}, "overwritten": {"overwrite": True}}[state]
    with pytest.raises((SettingError, OutputError)):
        run(recognizer, inputs, out, **options, **how)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_before_the_first_row_leaves_nothing_behind(recognizer, inputs, tmp_path, kind):
    def names():
        raise SettingError("The pipe is not a list of names")
        yield

    out = tmp_path / f"out.{kind}"
    with pytest.raises(SettingError):
        run(recognizer, names(), out)
    assert not list(tmp_path.iterdir())
    run(recognizer, inputs[:2], out)  # is not blocked


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_file_beside_the_note_of_a_batch_is_refused_and_unchanged(recognizer, inputs, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    start(recognizer, inputs, out)
    journal = unfinished_tables.journal_of(out)
    if kind == "parquet":
        out.unlink()
    growing = out if kind in ("jsonl", "csv") else journal
    for foreign in (b"name,mark\nann,1\nben,2", b'{"name": "ann"}\n{"name": "ben"', b"1\n2"):
        growing.write_bytes(foreign)
        with pytest.raises(OutputError, match="not a table of emocatcher"):
            run(recognizer, inputs, out, resume=True)
        assert growing.read_bytes() == foreign


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_rows_can_be_written_to_a_stream(recognizer, inputs, kind):
    stream = io.BytesIO()
    batch.run(recognizer, inputs[:3], kind=kind, out=None, stream=stream)
    text = stream.getvalue().decode()
    found = {
        "json": lambda: json.loads(text),
        "jsonl": lambda: [json.loads(line) for line in text.splitlines()],
        "csv": lambda: list(csv.DictReader(io.StringIO(text))),
    }[kind]()
    assert [row["path"] for row in found] == inputs[:3]


def test_no_inputs_give_an_empty_table(recognizer, tmp_path):
    for kind in KINDS:
        run(recognizer, [], tmp_path / f"out.{kind}")
        assert table(tmp_path / f"out.{kind}") == []


def test_an_unknown_format_is_refused():
    with pytest.raises(SettingError, match="'xls' is not a format"):
        batch.format_of(None, Path("out.xls"))
    with pytest.raises(SettingError, match="No format"):
        batch.format_of(None, Path("out"))


def test_a_format_that_contradicts_the_files_name_is_refused():
    with pytest.raises(SettingError, match=r"'out\.CSV' ends with \.csv, and --format is jsonl"):
        batch.format_of("jsonl", Path("out.CSV"))
    for requested, name in (("csv", "out.csv"), ("jsonl", "out.txt"), ("json", "out")):
        assert batch.format_of(requested, Path(name)) == requested


def test_csv_has_no_formulas_and_can_be_resumed(recognizer, inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["=cmd|'!A0.wav", "+1.wav", "-1.wav", "@sum.wav", "'=quoted.wav", inputs[0]]
    for name in names[:-1]:
        Path(name).write_bytes(Path(inputs[0]).read_bytes())
    out = tmp_path / "out.csv"
    run(recognizer, names[:3], out)
    assert [row["path"] for row in table(out)] == ["'=cmd|'!A0.wav", "'+1.wav", "'-1.wav"]
    done = run(recognizer, names, out, resume=True)
    assert (done.n_before, done.n) == (3, 6)
    assert [row["path"] for row in table(out)][3:] == ["'@sum.wav", "''=quoted.wav", inputs[0]]
