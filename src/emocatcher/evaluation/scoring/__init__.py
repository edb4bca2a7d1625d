"""Predictions and true labels → numbers: scores, intervals, paired tests, calibration. Pure functions."""
