"""Corpus, protocol and recipe → a run folder with trained models."""
