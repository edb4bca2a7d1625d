"""The columns that recognition adds to a table, with their types, and the check that the table has room for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emocatcher.foundation.errors import SettingError, one_line, suggest
from emocatcher.models.model_folder import Bundle
from emocatcher.recognition import failures
from emocatcher.recognition.batch import rows
from emocatcher.recognition.batch.rows import Outputs, Value
from emocatcher.recognition.prediction import Failure

PATH = "path"


def columns(outputs: Outputs) -> dict[str, type]:
    """Return the name and type of each added column: those of a batch's table, `error_kind` and `model_hash`.

    Examples:
        >>> list(columns(Outputs(("calm", "sad"))))[-8:-1]
        ['error', 'error_kind', 'message', 'model', 'model_version', 'model_hash', 'settled_on']
    """
    found: dict[str, type] = {}
    for name, kind in rows.columns(outputs).items():
        found[name] = kind
        if name == "error":
            found["error_kind"] = str
        if name == "model_version":
            found["model_hash"] = str
    return found


def row(outcome: rows.Outcome, outputs: Outputs, model: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of the added columns for one recording; None where there is no value.

    Args:
        outcome: of the recording.
        outputs: what the model returns.
        model: the columns about the model, which also a failure has.
    """
    kind = failures.kind_of(outcome.error) if isinstance(outcome, Failure) else None
    return {**rows.row(rows.printable(outcome), outputs), **model, "error_kind": kind}


def about(model: Bundle) -> dict[str, str]:
    """Return the columns about a model: its name, version and content hash."""
    config = model.config
    return {"model": config.name, "model_version": config.version, "model_hash": model.content_hash()}


def check(names: Iterable[str], column: str, id_column: str | None, added: Iterable[str]) -> None:
    """Check the columns of a table before anything is recognised.

    A column `path` may be in the table: it stays as it is.

    Args:
        names: of the table's columns.
        column: the one with the recordings.
        id_column: the one with the rows' ids; None for none.
        added: names of the columns that are added.

    Raises:
        SettingError: if a column is missing, given twice, or has the name of an added one.

    Examples:
        >>> check(["uri", "emotion"], "uri", None, ["path", "emotion"])
        Traceback (most recent call last):
        emocatcher.foundation.errors.SettingError: The result adds columns that the table has already: emotion. \
Rename them, or give a prefix for the names of the result
    """
    names = list(map(str, names))
    check_there(names, filter(None, (column, id_column)))
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise SettingError(f"The table has the column '{one_line(twice[0])}' twice. Rename one of them")
    if clash := sorted(set(names) & set(added) - {PATH}):
        raise SettingError(
            f"The result adds columns that the table has already: {', '.join(clash)}. Rename them, or give a prefix "
            "for the names of the result"
        )


def check_there(names: Iterable[str], wanted: Iterable[str]) -> None:
    """Check that a table has some columns.

    Args:
        names: of the table's columns.
        wanted: names of the columns that it must have.

    Raises:
        SettingError: if one is missing.
    """
    names = list(names)
    for name in wanted:
        if name not in names:
            raise SettingError(suggest(one_line(name), map(one_line, names), "column"))
