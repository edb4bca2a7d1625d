"""EmoCatcher: an emotion, how sure we are, and where in the sound we heard it."""

__version__ = "0.1.0"
