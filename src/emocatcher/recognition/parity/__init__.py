"""Measure the difference between an exported file and the model that it was exported from, on recordings."""
