"""Format the comparison as plain strings, for the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emocatcher.reports.comparison import scores
from emocatcher.reports.comparison.scores import OneRun, Row, Speaker, Spread
from emocatcher.reports.run_report import listener_scores, style
from emocatcher.reports.run_report.between import ALL_OTHERS, Cell
from emocatcher.reports.run_report.tables import NONE, Table, interval, percent, plus_minus

SECTIONS = {
    "no": "Speakers not shared: tested on unseen speakers",
    "unknown": "Speakers possibly shared: the corpus names no speakers",
    "yes": "Speakers shared: tested on speakers of the training part, the easier test",
}
SHARED = {"no": "no", "unknown": "unknown", "yes": "yes"}


def spread(value: Spread) -> str:
    """Format mean ± standard deviation in percent.

    Examples:
        >>> spread(Spread(0.5, 0.01)), spread(Spread(0.5))
        ('50.00 ± 1.00', '50.00')
    """
    if value.mean is None:
        return NONE
    return plus_minus(value.mean, math.nan if value.std is None else value.std)


def calibration_error(value: Spread) -> str:
    """Format the expected calibration error, a fraction, with three decimals.

    Examples:
        >>> calibration_error(Spread(0.0512, 0.001))
        '0.051 ± 0.001'
    """
    if value.mean is None:
        return NONE
    return f"{value.mean:.3f}" if value.std is None else f"{value.mean:.3f} ± {value.std:.3f}"


def marks(row: Row) -> list[str]:
    """Return the warnings shown next to a row's name."""
    return ["SYNTHETIC"] * row.synthetic + ["optimistic"] * row.optimistic


def measures(row: Row) -> dict[str, str]:
    """Format the values of a row by column name, in display order; rates are in percent."""
    genders = {f"{kind}": row.by_gender.get(kind) for kind in ("female", "male")}
    return {
        "protocol": row.protocol,
        "speakers shared": SHARED[row.speakers_shared],
        "accuracy (WAR)": spread(row.accuracy),
        "accuracy interval": interval(row.accuracy_interval),
        "UAR": spread(row.unweighted_average_recall),
        "UAR interval": interval(row.unweighted_average_recall_interval),
        "macro F1": spread(row.macro_f1),
        "worst speaker": _speaker(row.worst_speaker),
        "best speaker": _speaker(row.best_speaker),
        **{kind: NONE if rate is None else percent(rate) for kind, rate in genders.items()},
        "ECE": calibration_error(row.expected_calibration_error),
        "parameters": f"{row.n_parameters:,}",
        "training": seconds(row.training_seconds),
        "epochs": f"{row.n_epochs}",
        "selection": row.selection,
        "corpus": row.corpus,
        "preset": row.preset,
        "test utterances": f"{row.n_test:,}",
    }


def seconds(value: Spread) -> str:
    """Format a duration in whole seconds."""
    return NONE if value.mean is None else f"{value.mean:,.0f} s"


def seed_measures(one: OneRun) -> dict[str, str]:
    """Format the values of a single seed by column name, as far as they are known."""
    return {
        "seed": f"{one.seed}",
        "accuracy (WAR)": percent(one.accuracy),
        "UAR": percent(one.unweighted_average_recall),
        "macro F1": percent(one.macro_f1),
        "ECE": f"{one.expected_calibration_error:.3f}",
        "training": seconds(Spread(one.training_seconds)),
    }


def all_labels(rows: Sequence[Row]) -> list[str]:
    """Return the emotions of all rows, in order of first appearance."""
    return list(dict.fromkeys(label for row in rows for label in row.labels))


def recalls(rows: Sequence[Row]) -> Table:
    """Tabulate recall per emotion, one line per row."""
    labels = all_labels(rows)
    lines = tuple(
        (
            _marked_name(row),
            SHARED[row.speakers_shared],
            *(spread(row.recall.get(label, Spread(None))) for label in labels),
        )
        for row in rows
    )
    return Table(caption="Recall per emotion, in percent.", header=("", "speakers shared", *labels), rows=lines)


def corpora(rows: Sequence[Row]) -> Table | None:
    """Tabulate the UAR on each tested corpus, mean over seeds, one line per row; None if no row is between corpora."""
    shown = [row for row in rows if row.cells]
    if not shown:
        return None
    places = list(dict.fromkeys(_place(cell) for row in shown for cell in row.cells))
    lines = []
    for row in shown:
        of = {place: [cell for cell in row.cells if _place(cell) == place] for place in places}
        values = [spread(scores.spread(cell.unweighted_average_recall for cell in cells)) for cells in of.values()]
        chances = [f"{value} (chance {percent(cells[0].chance)})" if cells else NONE
                   for value, cells in zip(values, of.values(), strict=True)]  # fmt: skip
        mean = f"{spread(row.unweighted_average_recall)} (chance {percent(row.chance_of_recall or math.nan)})"
        lines.append((_marked_name(row), *chances, mean))
    caption = "UAR on each tested corpus, in percent; in the mean, each counts equally."
    return Table(caption=caption, header=("", *places, "mean"), rows=tuple(lines))


def listeners(rows: Sequence[Row]) -> Table | None:
    """Tabulate listeners by voice alone and each row's first seed on the same clips; None without votes."""
    return listener_scores.table([(_marked_name(row), row.listeners) for row in rows])


def _place(cell: Cell) -> str:
    return cell.column if cell.row == ALL_OTHERS else f"{cell.row} → {cell.column}"


def _marked_name(row: Row) -> str:
    return " · ".join([row.name, *marks(row)])


def settings(rows: Sequence[Row]) -> Table:
    """Tabulate how each row was trained and tested."""
    lines = tuple(
        (row.name, row.preset, row.corpus, ", ".join(str(one.seed) for one in row.runs), f"{row.n_folds}",
         f"{row.n_epochs}", row.selection, f"{row.n_test:,}", f"{row.n_speakers or NONE}", f"{len(row.labels)}")
        for row in rows
    )  # fmt: skip
    header = (
        "",
        "preset",
        "corpus",
        "seeds",
        "folds",
        "epochs",
        "selection",
        "test utterances",
        "test speakers",
        "emotions",
    )
    mark = f"; best-test is {style.OPTIMISTIC}" if any(row.optimistic for row in rows) else ""
    return Table(caption=f"How each run was trained and tested{mark}.", header=header, rows=lines)


def _speaker(one: Speaker | None) -> str:
    return NONE if one is None else f"{style.shorten(one.name, 12)}: {percent(one.accuracy)}"
