"""Write the page's example, a synthetic voice, as JSON: `python web/example.py FILE`.

No recording of a person may be shipped with the page, so the example is made by the package's own synthesiser. The
sentences differ in pitch, tempo, loudness and timbre, as acted emotions do; the model was not trained on such
voices.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from emocatcher.corpora.synthesiser import SAMPLE_RATE, Delivery, Voice, synthesise

_VOICE = Voice(pitch_hz=190.0, formant_scale=1.12, tilt_db=0.0, breath_db=0.0, tempo=1.0, level_db=8.0)
_SENTENCES = (
    (("gi", "d@", "ta", "k@", "ba", "d@", "do"), Delivery(-1.0, 1.8, -3.0, 0.9, -27.0, -0.8, -30.0, 0.1, 0.1, -0.02)),
    (("do", "g@", "si", "t@", "ba", "d@", "do"), Delivery(3.0, 4.0, -3.0, 1.12, -21.0, 2.2, -28.0, 0.35, 0.0, 0.02)),
    (("gi", "d@", "ta", "k@", "ba", "d@", "do"), Delivery(4.0, 5.0, 5.0, 1.02, -25.0, 0.8, -28.0, 0.12, 0.0, 0.02)),
)
_PAUSE_S = 0.8
_NOISE_DB = -66.0  # as in a quiet room


def waveform() -> npt.NDArray[np.float32]:
    """Return the example, shape (n_samples,), at the synthesiser's sample rate."""
    random = np.random.default_rng(4)
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE))
    parts = [pause[: len(pause) // 2]]
    for syllables, delivery in _SENTENCES:
        parts += [synthesise(syllables, _VOICE, delivery, random), pause]
    sound = np.concatenate(parts)
    sound += 10 ** (_NOISE_DB / 20) * random.standard_normal(len(sound))
    return np.asarray(sound * (0.8 / np.abs(sound).max()), np.float32)


def write(path: Path) -> None:
    """Write the example as an MP3 file in base64, which the page holds, so that it sends no request for it."""
    file = io.BytesIO()
    soundfile.write(file, waveform(), SAMPLE_RATE, format="MP3", compression_level=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "audio/mpeg", "data": base64.b64encode(file.getvalue()).decode()}) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
