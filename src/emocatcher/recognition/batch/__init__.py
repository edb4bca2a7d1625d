"""Many recordings → a table: one row for each, whatever becomes of it, and nothing lost when it is cut."""

from emocatcher.recognition.batch.engine import Done, run
from emocatcher.recognition.batch.growing_tables import FORMATS, format_of
from emocatcher.recognition.batch.inputs import expand, lines

__all__ = ["FORMATS", "Done", "expand", "format_of", "lines", "run"]
