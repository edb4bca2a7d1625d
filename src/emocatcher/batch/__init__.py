"""Many recordings → a table: one row for each, whatever becomes of it, and nothing lost when it is cut."""

from emocatcher.batch.engine import Done, run
from emocatcher.batch.inputs import expand, lines
from emocatcher.batch.tables import FORMATS, format_of

__all__ = ["FORMATS", "Done", "expand", "format_of", "lines", "run"]
