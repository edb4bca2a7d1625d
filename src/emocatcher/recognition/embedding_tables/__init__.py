"""Embed many recordings into a table: one row per recording, also for failures, and resumable at any point."""

from emocatcher.recognition.embedding_tables.embedding_batch import Done, embed_batch
from emocatcher.recognition.embedding_tables.file_formats import FORMATS, format_of

__all__ = ["FORMATS", "Done", "embed_batch", "format_of"]
