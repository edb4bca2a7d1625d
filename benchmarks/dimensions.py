"""Train a regression of arousal on made voices whose arousal is known, and compare its CCC with what the noise allows.

    python benchmarks/dimensions.py

Arousal drives pitch, tempo and brightness of 16 made voices, and not their level (`tests/rated_voices.py`); a rating is
the arousal with noise, whose standard deviation is given as a share of the arousal's. No estimate can have a higher CCC
than the correlation of ratings and arousal: the ceiling. `cabg`, 60 epochs, `speakers-2`: each voice is rated by a
network that was trained on eight others. 95% intervals by drawing speakers.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import results
from emocatcher.evaluation import protocols, run_folder
from emocatcher.foundation.settings import load_preset
from emocatcher.training import experiment

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import rated_voices

HEADING = "Dimensions"
NOISES = (0.0, 0.5, 1.0)


def main() -> None:
    """Measure, and rewrite the section."""
    rows = []
    for noise in NOISES:
        with tempfile.TemporaryDirectory() as folder:
            corpus, ceiling = rated_voices.make(Path(folder), 16, 20, noise)
            settings = load_preset("cabg", ["training.n_epochs=60"])
            protocol, run = protocols.load("speakers-2", corpus, 0), Path(folder) / "run"
            experiment.run(corpus, protocol, settings, run, audited=False, reported=False)
            (found,) = run_folder.read(run).result.dimensions
        low, high = found.concordance.interval
        rows.append([f"{noise:g}", f"{ceiling:.3f}", f"**{found.concordance.mean:.3f}**", f"{low:.3f} to {high:.3f}"])
        print(*rows[-1])
    table = results.table(["noise", "ceiling", "CCC", "95% interval"], rows)
    results.rewrite(HEADING, f"{results.about(__doc__)}\n\n{table}")


if __name__ == "__main__":
    main()
