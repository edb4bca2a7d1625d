"""The page of a table of predictions: its numbers are those of the table; errors name what is wrong."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from emocatcher.foundation import csv_cells
from emocatcher.foundation.errors import ManifestError, OutputError
from emocatcher.recognition.batch import rows, table_writing
from emocatcher.recognition.batch.rows import Outputs
from emocatcher.recognition.prediction import CODES, Caution, Failure, Prediction
from emocatcher.reports import table_report
from emocatcher.reports.table_report import grouping, table_page
from emocatcher.reports.table_report.course import Course, Times

LABELS = ("neutral", "happy", "angry")
N = 120


def predicted(path, probabilities, *, threshold=0.5, warnings=(), channel=None):
    empty = Prediction(path=path, channel=channel, abstain=True, duration_s=2.0, model="made", model_version="1")
    found = empty.answered(probabilities, threshold)
    return msgspec.structs.replace(found, warnings=tuple(Caution(code, "words") for code in warnings))


def made_outcomes(n=N, seed=0):
    """Predictions, silence and failures in two folders."""
    draw = random.Random(seed)
    found = []
    for number in range(n):
        path = f"calls/{draw.choice(('may', 'june'))}/{number:04}.wav"
        kind = draw.random()
        if kind < 0.05:
            found.append(Failure(path=path, error=draw.choice(("DecodeError", "TooLongError")), message="is broken"))
        elif kind < 0.1:
            silence = predicted(path, dict.fromkeys(LABELS, 1 / 3))
            changes = {"emotion": None, "probability": None, "probabilities": {}, "abstain": True}
            caution = (Caution("no-speech", "none"),)
            found.append(msgspec.structs.replace(silence, **changes, warnings=caution))
        else:
            parts = [draw.gammavariate(0.7, 1) + 1e-9 for _ in LABELS]
            shares = [part / sum(parts) for part in parts]
            warnings = draw.choice(((), (), ("clipped",), ("clipped", "narrow-band")))
            found.append(predicted(path, dict(zip(LABELS, shares, strict=True)), warnings=warnings))
    return found


def write(path: Path, outcomes, labels=LABELS):
    kind = path.suffix[1:]
    table = table_writing.open_table(path, kind, Outputs(labels), None)
    for outcome in outcomes:
        table.append(outcome)
    table.close(finished=True)
    return path


def write_csv(path: Path, outcomes, **more):
    """Write a CSV table with further columns, as a user adds them."""
    names = list(rows.columns(Outputs(LABELS)))
    flat = [[*(rows.row(one, Outputs(LABELS))[name] for name in names), *extra]
            for one, extra in zip(outcomes, zip(*more.values(), strict=True), strict=True)]  # fmt: skip
    path.write_text(csv_cells.write_rows([[*names, *more], *flat]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outcomes():
    return made_outcomes()


@pytest.mark.parametrize("kind", table_writing.FORMATS)
def test_every_number_is_that_of_the_table(tmp_path, outcomes, kind):
    tally = table_report.count(write(tmp_path / f"calls.{kind}", outcomes))
    failures = [one for one in outcomes if isinstance(one, Failure)]
    predictions = [one for one in outcomes if isinstance(one, Prediction)]
    answers = [one for one in predictions if not one.abstain]
    spoken = [one for one in predictions if one.emotion]
    assert (tally.n_rows, tally.n_recordings, tally.n_failed) == (N, N, len(failures))
    assert (tally.n_answered, tally.n_abstained) == (len(answers), len(predictions) - len(answers))
    assert tally.n_no_speech == len(predictions) - len(spoken) > 0
    assert tally.mean_probability == pytest.approx(sum(one.probability for one in answers) / len(answers))
    assert set(tally.labels) == set(LABELS)
    for label, one in tally.emotions.items():
        assert one.n_answered == sum(answer.emotion == label for answer in answers)
        assert one.n_abstained == sum(spoke.emotion == label for spoke in spoken if spoke.abstain)
        mean = sum(spoke.probabilities[label] for spoke in spoken) / len(spoken)
        assert one.mean_probability == pytest.approx(mean)
    assert tally.warnings == Counter(caution.code for one in predictions for caution in one.warnings)
    assert {kind.error: kind.n for kind in tally.errors} == Counter(one.error for one in failures)
    assert tally.errors[0].examples[0][1] == "is broken"
    ranked = sorted(spoken, key=lambda one: -one.probability)
    assert [guess.path for guess in tally.most_sure] == [one.path for one in ranked[:10]]
    assert [guess.path for guess in tally.least_sure] == [one.path for one in ranked[:-11:-1]]
    first = ranked[0]
    others = {label: value for label, value in first.probabilities.items() if label != first.emotion}
    guess = tally.most_sure[0]
    assert (guess.second, guess.second_probability) == (max(others, key=others.get), max(others.values()))
    (by_folder,) = tally.groupings
    assert [group.name for group in by_folder.groups] == ["june", "may"]
    for group in by_folder.groups:
        here = [one for one in outcomes if f"/{group.name}/" in one.path]
        assert group.n == len(here) == group.n_answered + group.n_abstained + group.n_failed
        spoke = [one for one in here if isinstance(one, Prediction) and one.emotion]
        assert group.emotions == Counter(one.emotion for one in spoke if not one.abstain)
        assert group.guesses == Counter(one.emotion for one in spoke if one.abstain)
    assert sum(map(sum, tally.histogram)) == len(spoken)
    assert [(model.name, model.version, model.n) for model in tally.models] == [("made", "1", len(predictions))]


def test_the_page_shows_the_numbers_and_loads_nothing(tmp_path, outcomes):
    tally = table_report.count(write(tmp_path / "calls.jsonl", outcomes), time="rows")
    page = table_report.write(tally, tmp_path / "calls.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"] == ["calls.html"]
    for name, n in (("Recordings", N), ("Answered", tally.n_answered), ("Abstained", tally.n_abstained)):
        assert f'<dt>{name}</dt>\n<dd class="value">{n}</dd>' in page
    rows_of = re.findall(r'<tr><th scope="row">(\w+)</th><td>(\d+)</td><td>([\d.]+)%</td>', page)
    shown = {name: (int(n), float(share)) for name, n, share in rows_of}
    for label, one in tally.emotions.items():
        assert shown[label] == (one.n_answered, pytest.approx(100 * one.n_answered / tally.n_answered, abs=0.051))
    assert "the order of its rows" in page
    assert page.count("<svg") == 4
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page


def test_the_page_says_why_the_second_emotion_of_a_long_recording_may_be_more_probable(tmp_path):
    short = [predicted(f"{n}.wav", {"neutral": 0.6, "happy": 0.3, "angry": 0.1}) for n in range(4)]
    shares = {"neutral": 0.5, "happy": 0.3, "angry": 0.2}
    long = short[0].answered({"neutral": 0.3, "happy": 0.6, "angry": 0.1}, 0.5, shares)
    for some, is_said in ((short, False), ([*short, long], True)):
        tally = table_report.count(write(tmp_path / f"{is_said}.jsonl", some))
        page = table_report.write(tally, tmp_path / f"{is_said}.html").read_text(encoding="utf-8")
        assert ("happy 60.0%" in page) == is_said
        assert ("the second may be more probable" in page) == is_said


def test_texts_of_the_table_are_escaped(tmp_path):
    evil = '<script>alert("1")</script>&\u202e\x1b[31m"'
    labels = (evil, "calm")
    answers = [predicted(f"{evil}/{n}/{evil}.wav", {evil: 0.9 - n / 100, "calm": 0.1}) for n in range(30)]
    answers = [msgspec.structs.replace(one, model=evil, model_version=evil) for one in answers]
    table = write(tmp_path / "evil.json", [*answers, Failure(path=evil, error=evil, message=evil)], labels)
    changed = json.loads(table.read_text(encoding="utf-8"))
    for row in changed:
        row |= {"warnings": [{"code": evil}], evil: evil}
    table.write_text(json.dumps(changed), encoding="utf-8")
    tally = table_report.count(table, time="rows", by=(evil, "folder"))
    page = table_report.write(tally, tmp_path / "evil.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert len(re.findall(r'="[^"<>]*<', page)) == 0, "a text of the table leaves its attribute"


def test_columns_that_the_user_added_group_and_order_the_rows(tmp_path, outcomes):
    days = [f"2024-{1 + n // 30:02}-{1 + n % 28:02} 12:00" for n in range(N)]
    speakers = [("anna", "ben", "")[n % 3] for n in range(N)]
    table = write_csv(tmp_path / "calls.csv", outcomes, recorded=days, speaker=speakers)
    tally = table_report.count(table, time="recorded", by=("speaker",))
    (found,) = tally.groupings
    assert [(group.name, group.n) for group in found.groups] == [("anna", 40), ("ben", 40), ("", 40)]
    course = tally.course
    assert course is not None
    assert course.by == "recorded"
    assert sum(part.n_answered for part in course.parts) == tally.n_answered
    assert sum(part.n_abstained for part in course.parts) == tally.n_abstained
    assert sum(part.n_failed for part in course.parts) == tally.n_failed
    assert sum(part.emotions.get("happy", 0) for part in course.parts) == tally.emotions["happy"].n_answered


def test_by_default_a_column_named_like_a_time_is_used_and_otherwise_the_rows_of_one_folder(tmp_path, outcomes):
    plain = write_csv(tmp_path / "plain.csv", outcomes, other=[""] * N)
    assert "several folders" in table_report.count(plain).no_course
    flat = [msgspec.structs.replace(one, path=one.path.replace("june", "may")) for one in outcomes]
    one_folder = table_report.count(write(tmp_path / "flat.csv", flat))
    assert one_folder.course is not None
    assert one_folder.course.by == ""
    assert one_folder.groupings == ()
    dated = write_csv(tmp_path / "dated.csv", outcomes, date=range(N))
    assert table_report.count(dated).course.by == "date"
    # Only its name is that of a time: no error, because nobody asked for it.
    named = write_csv(tmp_path / "named.csv", outcomes, date=["soon"] * N)
    assert "date is 'soon'" in table_report.count(named).no_course


@pytest.mark.parametrize("place", ["", "recordings"])
def test_the_shards_of_a_job_on_ray_are_one_table(tmp_path, outcomes, place):
    from pyarrow import parquet

    whole = parquet.read_table(write(tmp_path / "calls.parquet", outcomes))
    (parts := tmp_path / "job" / place).mkdir(parents=True)
    for first, n in ((0, 2), (2, len(outcomes) - 2)):
        parquet.write_table(whole.slice(first, n), parts / f"part-{first:010d}-{first + n - 1:010d}.parquet")
    (tmp_path / "job" / "_manifest.json").write_text('{"state": "interrupted"}')
    found, expected = (table_report.count(tmp_path / name) for name in ("job", "calls.parquet"))
    assert found.notes == ("The table is not finished: predict --resume adds the rest.", *expected.notes)
    assert (found.n_rows, found.emotions, found.errors) == (expected.n_rows, expected.emotions, expected.errors)


def test_times_of_a_parquet_table_may_have_nanoseconds(tmp_path, outcomes):
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(write(tmp_path / "calls.parquet", outcomes))
    seconds = pa.array([1_700_000_000_000_000_001 + n * 86_400 * 10**9 for n in range(N)], pa.timestamp("ns", "UTC"))
    parquet.write_table(table.append_column("recorded", seconds), tmp_path / "calls.parquet")
    course = table_report.count(tmp_path / "calls.parquet", time="recorded").course
    assert course is not None
    assert (course.is_utc, course.parts[0].start) == (True, "2023-11")


def test_channels_are_grouped_by_default(tmp_path):
    both = [predicted(f"{n // 2}.wav", {"happy": 0.8, "sad": 0.2}, channel=1 + n % 2) for n in range(10)]
    tally = table_report.count(write(tmp_path / "calls.parquet", both, ("happy", "sad")))
    assert (tally.n_rows, tally.n_recordings) == (10, 5)
    assert [(found.by, [group.name for group in found.groups]) for found in tally.groupings] == [
        ("channel", ["1", "2"])
    ]


def test_a_table_that_pandas_wrote_again_gives_the_same_numbers(tmp_path, outcomes):
    before = table_report.count(write(tmp_path / "calls.csv", outcomes))
    lines = (tmp_path / "calls.csv").read_text(encoding="utf-8").splitlines()
    changed = [re.sub(r"\bfalse\b", "False", re.sub(r"\btrue\b", "True", line)) for line in lines]
    # A column of whole numbers with gaps becomes one of floats, and the separator is a tab.
    changed = [re.sub(r",0,2$", ",0.0,2", line).replace(",", "\t") for line in changed]
    (tmp_path / "calls.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(changed).encode())
    assert table_report.count(tmp_path / "calls.csv") == before
    (tmp_path / "calls.csv").write_text("sep=\t\n" + "\n".join(changed), encoding="utf-16")
    assert table_report.count(tmp_path / "calls.csv") == before


def test_emotions_left_out_of_a_model_of_the_package_are_named(tmp_path):
    some = [
        msgspec.structs.replace(predicted("a.wav", {"happy": 0.8, "sad": 0.2}), model="emocatcher-3", settled_on=40)
    ]
    tally = table_report.count(write(tmp_path / "calls.csv", some, ("happy", "sad")))
    page = table_report.write(tally, tmp_path / "calls.html").read_text(encoding="utf-8")
    assert "settled on 40 recordings" in page
    assert "the model also has neutral, calm, angry" in page


def test_every_warning_has_its_words():
    assert set(table_page.WARNINGS) == set(CODES)


@pytest.mark.parametrize("outcome", [Failure(path="a.wav", error="DecodeError", message="is broken"), "silence"])
def test_a_table_without_answers_has_a_page(tmp_path, outcome):
    if outcome == "silence":
        outcome = next(one for one in made_outcomes() if isinstance(one, Prediction) and not one.emotion)
    tally = table_report.count(write(tmp_path / "calls.json", [outcome]))
    page = table_report.write(tally, tmp_path / "calls.html").read_text(encoding="utf-8")
    assert "None: no row has an emotion." in page
    assert "--time rows" not in page, "with so few rows no other order of them makes a course"


def test_the_rest_of_a_long_list_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(grouping, "MOST_GROUPS", 50)
    failed = [Failure(path=f"{n}/a.wav", error="DecodeError", message="") for n in range(60)]
    tally = table_report.count(write(tmp_path / "calls.jsonl", failed))
    (found,) = tally.groupings
    assert (len(found.groups), found.others.n) == (50, 10)
    page = table_report.write(tally, tmp_path / "calls.html").read_text(encoding="utf-8")
    assert "and 50 more" in page
    assert re.search(r"all others</th><td>20</td><td>0</td><td>0</td><td>20</td>", page)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "path,label\na.wav,sad\n", "lacks emotion, probability, abstain, warnings, error, model. Its"),
        ("a.jsonl", '{"path": "a.wav", "label": "sad"}\n', "lacks emotion, probability"),
        ("a.csv", "", "lacks path"),
        ("a.jsonl", "", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.json", "{}", "does not begin with ["),
        ("a.json", '[{"path": "a"', "is not a JSON array"),
        ("a.json", "[1]", "row 1: '1' is not a JSON object"),
        ("a.jsonl", "[]\n", "row 1: not a JSON object"),
        ("a.parquet", "PAR1 but damaged PAR1", "is not a Parquet file"),
        ("a.txt", "a.wav", "Allowed: .json, .jsonl, .csv, .parquet"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_predictions_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=re.escape(message)):
        table_report.count(tmp_path / name)


def test_other_encodings_and_missing_files_are_named(tmp_path):
    (tmp_path / "b.jsonl").write_bytes(b'{"path": "\xff"}\n')
    with pytest.raises(ManifestError, match="not UTF-8"):
        table_report.count(tmp_path / "b.jsonl")
    with pytest.raises(ManifestError, match="no such file"):
        table_report.count(tmp_path / "c.csv")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("probability", "1.5", "row 2: probability is '1.5'. Allowed: a number from 0 to 1"),
        ("probability", "", "row 2: probability is ''"),
        ("abstain", "maybe", "row 2: abstain is 'maybe'. Allowed: true, false"),
        ("settled_on", "many", "row 2: settled_on is 'many'"),
        ("emotion", "", "row 2: no emotion, and abstain is false"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, column, value, message):
    values = rows.row(predicted("a.wav", {"happy": 0.8, "sad": 0.2}), Outputs(LABELS)) | {column: value}
    path = tmp_path / "a.csv"
    path.write_text(csv_cells.write_rows([list(values), list(values.values())]), encoding="utf-8")
    with pytest.raises(ManifestError, match=re.escape(message)):
        table_report.count(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_unknown_column_is_named_with_the_nearest(tmp_path, kind, outcomes):
    table = write(tmp_path / f"a.{kind}", outcomes[:3])
    for options in ({"by": ("chanel",)}, {"time": "chanel"}):
        with pytest.raises(ManifestError, match=r"no column 'chanel'\. Did you mean 'channel'\?"):
            table_report.count(table, **options)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("31.05.2024 noon", ""), "row 2: when is '31.05.2024 noon'. Allowed: dates and times as 2024-05-31"),
        (("2024-05-31", "7"), "row 3: when is '7', and rows before have dates"),
        (("2024-05-31T10:00Z", "2024-05-31T10:00"), "row 3: when is '2024-05-31T10:00': give a time zone in all rows"),
    ],
)
def test_a_time_that_cannot_be_read_is_named(tmp_path, outcomes, times, message):
    table = write_csv(tmp_path / "a.csv", outcomes[:2], when=times)
    with pytest.raises(ManifestError, match=re.escape(message)):
        table_report.count(table, time="when")


def test_the_incomplete_last_row_of_a_killed_batch_is_left_out_and_noted(tmp_path, outcomes):
    for kind in ("jsonl", "csv"):
        table = write(tmp_path / f"a.{kind}", outcomes)
        table.write_bytes(table.read_bytes()[:-30])
        tally = table_report.count(table)
        assert tally.n_rows == N - 1
        assert tally.notes == ("The last row is incomplete, and is left out.",)


def test_a_page_is_not_overwritten_unasked(tmp_path, outcomes):
    tally = table_report.count(write(tmp_path / "a.jsonl", outcomes[:3]))
    (tmp_path / "a.html").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="--overwrite"):
        table_report.write(tally, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("values", "step", "first"),
    [
        ([f"2024-05-31T{n % 24:02}:30" for n in range(240)], "1 hour", "2024-05-31 00:00"),
        ([f"2024-{1 + n % 12:02}-15" for n in range(240)], "1 month", "2024-01"),
        ([f"2026-{5 + n % 3:02}-{1 + n % 9:02}" for n in range(29)], "1 month", "2026-05"),
        ([f"2024-{2 + n % 8:02}-15" for n in range(24)], "1 quarter", "2024-02"),
        ([f"2026-05-{6 + n % 22:02}" for n in range(40)], "1 week", "2026-05-06"),
        ([20240501 + n % 20 for n in range(240)], "1 day", "2024-05-01"),
        ([f"2024-05-31T{n % 24:02}:30+02:00" for n in range(240)], "1 hour", "2024-05-30 22:00"),
        ([n / 1000 for n in range(240)], "0.01", "0"),
        ([2000 + n % 3 for n in range(240)], "1", "2000"),
        ([f"{1600 + n}-01-01" for n in range(240)], "10 years", "1600"),
    ],
)
def test_parts_have_round_lengths(values, step, first):
    times = Times("when")
    for value in values:
        times.add(value, 0)
    found = times.cut(("happy",))
    assert isinstance(found, Course)
    assert (found.step, found.parts[0].start) == (step, first)
    assert sum(part.n_answered for part in found.parts) == len(values)
    assert len(found.parts) <= 40


def test_abstaining_hides_no_group_from_the_page(tmp_path):
    """Of two groups with the same answers, in one the model also guessed anger thrice, below its threshold."""
    sure, unsure = {"happy": 0.8, "angry": 0.2}, {"happy": 0.45, "angry": 0.46, "sad": 0.09}
    some = [predicted(f"{folder}/{n}.wav", sure) for folder in ("calm", "cross") for n in range(4)]
    some += [predicted(f"cross/{n}.wav", unsure) for n in range(4, 7)]
    tally = table_report.count(write(tmp_path / "calls.csv", some, ("happy", "angry", "sad")))
    page = table_report.write(tally, tmp_path / "calls.html").read_text(encoding="utf-8")
    assert "<td>100% (4)</td><td>(3?)</td>" in page
    assert "4 of 7" in page
    assert "where the model abstained by its best guess" in page
