"""What a worker does with the rows of a `predict` job, and what every worker returns."""

from __future__ import annotations

from typing import Any

from emocatcher.distributed.recognise_batch import shared

FILES = "files"  # the sub-folder with a file for each recording
Tables = dict[str, Any]  # an Arrow table for each sub-folder of the results, "" for the folder itself


class PredictRows:
    """Recognises rows with a `RecogniseBatch` that each worker process makes once.

    Args:
        arguments: of `RecogniseBatch`.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def __call__(self, table: Any) -> Tables:
        """Return the table with the columns of the answers."""
        return {"": shared(self._arguments)(table)}
