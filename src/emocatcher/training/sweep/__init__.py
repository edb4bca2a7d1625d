"""Rank settings by validation inside the training part; test parts are discarded first."""

from emocatcher.training.sweep.engine import Progress, run
from emocatcher.training.sweep.folder import read_trials
from emocatcher.training.sweep.plan import Plan, read
from emocatcher.training.sweep.ranking import Ranking, Row, Score

__all__ = ["Plan", "Progress", "Ranking", "Row", "Score", "read", "read_trials", "run"]
