"""Run folders → figures and self-contained pages."""
