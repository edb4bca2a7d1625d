"""Write the constants that the page shares with the package as JSON: `python web/facts.py FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from msgspec import to_builtins

from emocatcher import audio
from emocatcher.audio import arrays, channels, sections
from emocatcher.features import speech_gate, voiced_span
from emocatcher.foundation import labels
from emocatcher.foundation.settings import load_preset
from emocatcher.recognition import cautions, settling
from emocatcher.recognition.prediction import SCHEMA_VERSION
from emocatcher.recognition.timeline import summary

_CLIPPED = ("peak", "spread", "pairs", "step", "levels", "share")


def facts() -> dict[str, object]:
    """Collect the colours of the emotions, and the limits for the warnings that the page also gives."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ravdess_emotions": labels.EMOTIONS,  # in the order of the codes in file names, from 01
        "colours": labels.COLOURS,
        "spare_colours": labels.SPARE_COLOURS,  # for other labels, in the order of their first use
        "longest_s": 600.0,  # the page holds a whole recording in memory
        "long_s": summary.LONG_S,
        "lowest_rate_hz": sections.LOWEST_RATE,
        "shortest_voiced_s": vars(cautions)["_SHORTEST_S"],
        "quiet_db": vars(cautions)["_QUIET_DB"],
        "band_hz": vars(cautions)["_BAND_HZ"],
        "band_db": vars(cautions)["_BAND_DB"],
        "clipped": {name: vars(audio)[f"_CLIPPED_{name.upper()}"] for name in _CLIPPED}
        | {name: vars(audio)[f"_TONE_{name.upper()}"] for name in ("frame_s", "rate", "rest")},
        "block_s": sections.SECTION_S,
        "settling": {"fewest": settling.FEWEST, "most": settling.MOST, "half": settling.HALF},
        "gate": _gate(),
        "largest_float": arrays.LARGEST_FLOAT,
        "divisors": vars(arrays)["_DIVISORS"],
        "slack": vars(arrays)["_SLACK"],
        "channels": _channels(),
        "clicks": {
            "block_s": voiced_span.CLICK_BLOCK_S,
            "near": voiced_span.CLICK_NEAR,
            "far": voiced_span.CLICK_FAR,
            "db": voiced_span.CLICK_DB,
            "floor": voiced_span.CLICK_FLOOR,
        },
    }


def _channels() -> dict[str, object]:
    """Collect the limits by which channels are mixed."""
    names = (
        *("silent", "frame_s", "n_frames", "n_parts", "active", "latest_s", "band_hz", "same_voice", "quiet_copy"),
        *("clearly", "steady_db", "lively_db", "least_frames", "own", "own_frames"),
    )
    return {name: vars(channels)[f"_{name.upper()}"] for name in names}


def _gate() -> dict[str, object]:
    """Collect the numbers of the speech gate."""
    constants = vars(speech_gate)
    return {
        "front_end": to_builtins(speech_gate.front_end()),
        "fitted_front_end": to_builtins(load_preset(speech_gate.PRESET).front_end),
        "n_cepstra": speech_gate.N_CEPSTRA,
        "active_db": speech_gate.ACTIVE_DB,
        "loud_db": constants["_LOUD_DB"],
        "quietest_db": constants["_QUIETEST_DB"],
        "fft_multiple": constants["_FFT_MULTIPLE"],
        "silence_db": constants["_SILENCE_DB"],
        "n_bands": constants["_N_BANDS"],
        "n_harmonic": constants["_N_HARMONIC"],
        "harmonic_lags": list(constants["_HARMONIC_LAGS"]),
        "ripple_bands": constants["_RIPPLE_BANDS"],
        "n_modulation": constants["_N_MODULATION"],
        "modulations": constants["_MODULATIONS"],
        "bias": constants["_BIAS"],
        "weights": constants["_WEIGHTS"].tolist(),
    }


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts(), indent=2) + "\n", encoding="utf-8")
