from pathlib import Path

from emocatcher.reports.comparison import compare, tables
from emocatcher.reports.run_report.tables import NONE

Several = dict[str, Path]


def test_each_row_has_all_documented_columns(several: Several) -> None:
    for row in compare(list(several.values())).rows:
        shown = tables.measures(row)
        documented = {"protocol", "speakers shared", "accuracy (WAR)", "accuracy interval", "UAR", "macro F1", "ECE",
                    "worst speaker", "best speaker", "female", "male", "parameters", "training"}  # fmt: skip
        assert documented <= set(shown)
        assert all(shown.values())
    assert shown["speakers shared"] in ("yes", "no", "unknown")


def test_several_seeds_have_a_standard_deviation_and_single_runs_none(several: Several) -> None:
    rows = {row.name: row for row in compare(list(several.values())).rows}
    assert "±" in tables.measures(rows["shared (2 seeds)"])["accuracy (WAR)"]
    assert "±" not in tables.measures(rows["other"])["accuracy (WAR)"]


def test_an_emotion_missing_from_a_run_has_a_dash(several: Several) -> None:
    rows = compare([several["shared-s0"], several["odd"]]).rows
    table = tables.recalls(rows)
    assert table.header[2:] == tuple(tables.all_labels(rows))
    cells = {line[0]: dict(zip(table.header, line, strict=True)) for line in table.rows}
    assert cells["odd"]["angry"] == cells["shared-s0"]["<i>x</i>"] == NONE
    assert NONE not in (cells["odd"]["happy"], cells["shared-s0"]["happy"])


def test_marks_are_set_only_where_they_apply(several: Several) -> None:
    marks = {row.name: tables.marks(row) for row in compare([several["made"], several["other"]]).rows}
    assert marks == {several["made"].name: ["SYNTHETIC", "optimistic"], "other": []}
