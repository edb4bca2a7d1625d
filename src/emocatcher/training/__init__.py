"""Train models: corpus, protocol and recipe → a run folder."""
