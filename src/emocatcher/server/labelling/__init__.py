"""Label recordings by ear: the clips, the table of labels, the model's agreement, and the page."""

from emocatcher.server.labelling.clip_list import Clip, find_clips, shuffle
from emocatcher.server.labelling.label_session import LabelSession, parse_labels
from emocatcher.server.labelling.label_table import LabelTable

__all__ = ["Clip", "LabelSession", "LabelTable", "find_clips", "parse_labels", "shuffle"]
