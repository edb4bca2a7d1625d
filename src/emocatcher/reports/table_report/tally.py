"""Count a table of predictions in one pass: emotions, groups, course, warnings, errors, the most and the least sure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from emocatcher.foundation.errors import ManifestError, did_you_mean, one_line
from emocatcher.reports.table_report import prediction_rows
from emocatcher.reports.table_report.counts import N_BINS, Emotion, ErrorKind, Grouping, Model, Tally
from emocatcher.reports.table_report.course import ABSTAINED, FAILED, Course, Times
from emocatcher.reports.table_report.grouping import Counted, Groups, folder_of, shared_folder
from emocatcher.reports.table_report.guesses import N_LISTED, Extremes
from emocatcher.reports.table_report.prediction_rows import Answer, BadCellError, kept, text
from emocatcher.reports.table_report.stored_rows import Cells, StoredRows

FOLDER, ROWS = "folder", "rows"  # stand for no column: the folder of the path, the order of rows
TIME_COLUMNS = ("time", "date", "datetime", "timestamp")  # used without being asked for
_MOST_COLUMNS, _MOST_LABELS, _MOST_NAMES = 10_000, 100, 50


def count(path: Path, *, time: str | None = None, by: Sequence[str] = ()) -> Tally:
    """Count the rows of a table that `emocatcher predict --out` wrote; further columns may have been added.

    Args:
        path: JSON, JSONL, CSV or Parquet.
        time: a column of times, or "rows" for the order of rows. By default a column that is named like one, then
            the order of rows if all recordings are in one folder.
        by: columns to group by, or "folder" for the folder of the path. By default the folder and the channel, where
            there are several.

    Raises:
        ManifestError: if it is no table of predictions, has no rows, lacks a column of `time` or `by`, or has a value
            that cannot be read.
        MissingExtraError: if it is Parquet and pyarrow is not installed.
    """
    stored = StoredRows(path)
    named = [one for one in (time, *by) if one is not None]
    counting = _Counting(time, by)
    if stored.columns is not None:
        if lacking := prediction_rows.missing(stored.columns):
            raise _not_predictions(path, lacking, stored.columns)
        _check_named(path, named, stored.columns)
    seen: dict[str, None] = {}

    def is_wanted(column: str) -> bool:
        return prediction_rows.is_wanted(column) or column in named or (time is None and column in TIME_COLUMNS)

    for number, cells in stored.read(is_wanted):
        if stored.columns is None:
            if cells.keys() - seen.keys() and len(seen) < _MOST_COLUMNS:
                seen.update(dict.fromkeys(cells))
            lacking = [name for name in prediction_rows.missing(cells) if name != "error"]
            if lacking and not (text(cells.get("error")) and "path" in cells):
                raise _not_predictions(path, lacking, list(cells))
        try:
            counting.add(prediction_rows.read(cells), cells)
        except BadCellError as error:
            raise stored.fault(number, f"{error}.") from None
    if not counting.n_rows:
        raise ManifestError(f"{path} has no rows. Write them with: emocatcher predict RECORDINGS --out {path}")
    if stored.columns is None:
        _check_named(path, named, list(seen))
    return counting.finish(path.name, stored.notes)


def _not_predictions(path: Path, lacking: Sequence[str], columns: Sequence[str]) -> ManifestError:
    some = ", ".join(one_line(name)[:40] for name in columns[:12]) + (" …" if len(columns) > 12 else "")
    return ManifestError(
        f"{path} is not a table of predictions: it lacks {', '.join(lacking)}. Its columns: {some or 'none'}. "
        "Write one with: emocatcher predict RECORDINGS --out calls.parquet"
    )


def _check_named(path: Path, named: Sequence[str], columns: Sequence[str]) -> None:
    for column in named:
        if column not in columns and column not in (FOLDER, ROWS):
            near, some = did_you_mean(column, columns), ", ".join(one_line(name)[:40] for name in columns[:40])
            raise ManifestError(f"{path} has no column '{column}'.{near} Its columns: {some}")


class _Counting:
    def __init__(self, time: str | None, by: Sequence[str]) -> None:
        self.n_rows = 0
        self._time, self._by = time, by
        self._n_recordings = self._n_no_speech = self._n_long = 0
        self._all, self._abstained = Counted(), Counter[str]()
        self._sums: dict[str, float] = {}  # of the probabilities, by label in the model's order
        self._n_with, self._sum = 0, 0.0
        self._models: Counter[tuple[str, str, int]] = Counter()
        self._warnings: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._examples: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._histogram = [0] * N_BINS, [0] * N_BINS
        self._extremes = Extremes()
        self._root: str | None = None
        self._last_path: str | None = None
        self._folders, self._channels = Groups(FOLDER), Groups("channel")
        self._columns = [Groups(column) for column in by]
        self._times: Times | None = None
        self._no_course = ""

    def add(self, answer: Answer, cells: Cells) -> None:
        if self.n_rows == 0:
            self._times = Times(self._time_column(cells))
        self.n_rows += 1
        folder = kept(folder_of(answer.path))
        self._root = folder if self._root is None else shared_folder(self._root, folder)
        self._n_recordings += answer.path != self._last_path or answer.channel == ""
        self._last_path = answer.path
        self._all.add(answer)
        self._folders.add(folder, answer)
        self._channels.add(answer.channel, answer)
        for groups in self._columns:
            is_folder = groups.by == FOLDER and FOLDER not in cells
            groups.add(folder if is_folder else kept(text(cells.get(groups.by))), answer)
        if answer.error:
            self._add_failure(answer)
            outcome = FAILED
        else:
            outcome = self._add_prediction(answer)
        self._add_time(cells, outcome)

    def _time_column(self, cells: Cells) -> str:
        """Return the column of times; "" for the order of rows."""
        if self._time is None:
            return next((column for column in TIME_COLUMNS if column in cells), "")
        return "" if self._time == ROWS and ROWS not in cells else self._time

    def _add_time(self, cells: Cells, outcome: int) -> None:
        if self._times is None:
            return
        try:
            self._times.add(cells.get(self._times.column), outcome)
        except BadCellError as error:
            if self._time is not None:
                raise
            # A column that only has the name of one.
            self._no_course, self._times = str(error), None

    def _add_failure(self, answer: Answer) -> None:
        kind = answer.error if answer.error in self._errors or len(self._errors) < _MOST_NAMES else "other errors"
        self._errors[kind] += 1
        if len(self._examples[kind]) < N_LISTED:
            self._examples[kind].append((kept(answer.path), answer.message))

    def _add_prediction(self, answer: Answer) -> int:
        """Count a prediction, and return the index of its emotion, or `ABSTAINED`."""
        self._models[answer.model] += answer.model in self._models or len(self._models) < _MOST_NAMES
        for code in dict.fromkeys(answer.warnings):
            self._warnings[code if code in self._warnings or len(self._warnings) < _MOST_NAMES else "others"] += 1
        for label, probability in answer.probabilities.items():
            self._sums[label] = self._sums.get(label, 0.0) + probability
        self._n_with += bool(answer.probabilities)
        self._n_long += answer.is_long
        if not answer.emotion:
            if not answer.abstain:
                raise BadCellError("no emotion, and abstain is false. Give both, or neither")
            self._n_no_speech += 1
            return ABSTAINED
        self._sums.setdefault(answer.emotion, 0.0)
        if len(self._sums) > _MOST_LABELS:
            raise BadCellError(f"{answer.emotion[:40]!r} is emotion number {len(self._sums)}: no model has as many")
        place = min(int(answer.probability * N_BINS), N_BINS - 1)
        self._histogram[answer.abstain][place] += 1
        self._extremes.add(answer)
        if answer.abstain:
            self._abstained[answer.emotion] += 1
            return ABSTAINED
        self._sum += answer.probability
        return list(self._sums).index(answer.emotion)

    def finish(self, table: str, notes: Sequence[str]) -> Tally:
        labels, all_rows = tuple(self._sums), self._all.group("")
        root = self._root or ""
        in_folder = len(root) + bool(root and root[-1] not in "/\\")
        emotions = {
            label: Emotion(
                all_rows.emotions.get(label, 0),
                self._abstained[label],
                self._sums[label] / self._n_with if self._n_with else None,
            )
            for label in labels
        }
        course = self._course(labels)
        return Tally(
            table=one_line(table),
            n_rows=self.n_rows,
            n_recordings=self._n_recordings,
            n_answered=all_rows.n_answered,
            n_abstained=all_rows.n_abstained,
            n_no_speech=self._n_no_speech,
            n_failed=all_rows.n_failed,
            n_long=self._n_long,
            mean_probability=self._sum / all_rows.n_answered if all_rows.n_answered else None,
            labels=labels,
            emotions=emotions,
            models=tuple(Model(*model, n=n) for model, n in self._models.most_common()),
            root=root,
            groupings=self._groupings(in_folder),
            course=course if isinstance(course, Course) else None,
            no_course="" if isinstance(course, Course) else course,
            most_sure=self._extremes.most,
            least_sure=self._extremes.least,
            histogram=(tuple(self._histogram[0]), tuple(self._histogram[1])),
            warnings=dict(self._warnings.most_common()),
            errors=tuple(ErrorKind(name, n, tuple(self._examples[name])) for name, n in self._errors.most_common()),
            notes=tuple(notes),
        )

    def _groupings(self, in_folder: int) -> tuple[Grouping, ...]:
        if self._by:
            return tuple(groups.finish(in_folder if groups.by == FOLDER else 0) for groups in self._columns)
        folders = (self._folders.finish(in_folder),) if self._folders.n > 1 else ()
        return (*folders, self._channels.finish()) if self._channels.n_named > 1 else folders

    def _course(self, labels: Sequence[str]) -> Course | str:
        if self._times is None:
            return self._no_course
        if not self._times.column and self._time is None and self._folders.n > 1:
            return "the table has no column of times, and its recordings are in several folders"
        return self._times.cut(labels)
