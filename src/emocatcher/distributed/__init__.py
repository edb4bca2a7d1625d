"""Work on several machines: recordings, folds and trials on a Ray cluster, and tables of recordings in any engine."""

from emocatcher.distributed.recognise_batch import RecogniseBatch

__all__ = ["RecogniseBatch"]
