"""Where the voice is in each clip of the synthetic corpus."""

import csv
from pathlib import Path

from emocatcher.corpora import synthetic


def read_truth(root: Path) -> dict[str, tuple[float, float]]:
    """Return for each utterance id the start and end of its voice, in seconds from the clip's first sample."""
    with (root / synthetic.TRUTH_NAME).open(encoding="utf-8", newline="") as file:
        return {
            row["utterance"]: (float(row["voiced_start_s"]), float(row["voiced_end_s"])) for row in csv.DictReader(file)
        }
