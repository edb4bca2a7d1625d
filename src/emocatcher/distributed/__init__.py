"""Work on several machines: recordings, folds and trials on a Ray cluster."""
