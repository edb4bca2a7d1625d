"""Write the constants that the page shares with the package as JSON: `python web/facts.py FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from emocatcher import audio
from emocatcher.foundation import labels
from emocatcher.recognition import cautions, recognizer
from emocatcher.recognition.prediction import SCHEMA_VERSION


def facts() -> dict[str, object]:
    """Collect the colours of the emotions, and the limits for the warnings that the page also gives."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ravdess_emotions": labels.EMOTIONS,  # in the order of the codes in file names, from 01
        "colours": labels.COLOURS,
        "spare_colours": labels.SPARE_COLOURS,  # for other labels, in the order of their first use
        "longest_s": recognizer.LONGEST_S,
        "lowest_rate_hz": vars(audio)["_MIN_RATE"],
        "shortest_voiced_s": vars(cautions)["_SHORTEST_S"],
        "quiet_db": vars(cautions)["_QUIET_DB"],
        "band_hz": vars(cautions)["_BAND_HZ"],
        "clipped_peak": vars(audio)["_CLIPPED_PEAK"],
        "clipped_spread": vars(audio)["_CLIPPED_SPREAD"],
        "clipped_pairs": vars(audio)["_CLIPPED_PAIRS"],
        "block_s": vars(audio)["_BLOCK_S"],
    }


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts(), indent=2) + "\n", encoding="utf-8")
