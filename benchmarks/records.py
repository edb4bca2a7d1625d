"""Scores of other work on the same protocols, in percent, from its papers and repositories."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One published score."""

    protocol: str
    who: str
    score: float
    metric: str  # "accuracy" or "UAR"
    kind: str  # "from scratch", "pretrained" (a large encoder, frozen), "features" or "people"
    note: str = ""


RECORDS = (
    Record("emobox-6", "HuBERT-base", 66.2, "accuracy", "pretrained"),
    Record("emobox-6", "WavLM-large", 72.2, "accuracy", "pretrained"),
    Record("emobox-6", "Whisper-large-v3", 75.9, "accuracy", "pretrained"),
    Record("emobox-6", "ComParE functionals + logistic regression", 56.7, "accuracy", "features"),
    Record("luna-5", "ResLSTM", 62.3, "UAR", "from scratch"),
    Record("luna-5", "XLSR-53", 56.5, "UAR", "pretrained"),
    Record("loso-24", "ComParE functionals + logistic regression", 63.6, "UAR", "features"),
    Record("loso-24", "XLS-R 300M", 81.9, "UAR", "pretrained"),
    Record("reference-cv5", "EmoCatcher 2023, last epoch", 81.87, "accuracy", "from scratch"),
    Record("reference-cv5", "WavLM-large", 91.5, "accuracy", "pretrained"),
    Record("reference-holdout", "EmoCatcher 2023, last epoch", 85.42, "accuracy", "from scratch", "one lucky run"),
    Record("kfold-10", "TIM-Net, last epoch", 90.07, "accuracy", "from scratch"),
    Record("kfold-10", "GM-TCNet", 82.6, "accuracy", "from scratch"),
    Record("kfold-10", "CPAC", 80.5, "accuracy", "from scratch"),
)
PEOPLE = 62.4  # accuracy of listeners, audio only, the same eight emotions
