"""A list of settings → a ranking, by validation inside the training part: test parts are thrown away first of all."""

from emocatcher.sweep.engine import Progress, run
from emocatcher.sweep.folder import read_trials
from emocatcher.sweep.plan import Plan, read
from emocatcher.sweep.ranking import Ranking, Row, Score

__all__ = ["Plan", "Progress", "Ranking", "Row", "Score", "read", "read_trials", "run"]
