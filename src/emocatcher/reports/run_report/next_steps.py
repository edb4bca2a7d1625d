"""Commands to continue with after a run: use its model, compare it, train the final model."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from emocatcher.evaluation.run_folder import Run
from emocatcher.reports.run_report import text


class Step(NamedTuple):
    """Something to do next."""

    purpose: str
    command: str


def steps(run: Run) -> list[Step]:
    """Return what to do next, for a shell in the folder that contains the run folder."""
    result, name = run.result, run.name
    model = f"{name}/fold_{result.folds[0].fold}/{'last' if result.selection == 'last' else 'best'}"
    found = [Step("Recognise a recording with this run's model.", _join("predict", "recording.wav", "--model", model))]
    if run.audit is None:
        found.append(Step("Audit the protocol, which was not done.", audit(run)))
    changes = {}
    if result.optimistic:
        name, changes = f"{name}-last", {"training.selection": '"last"'}
        again = text.command(run, out=name, changes=changes)
        found.append(Step("Train again without choosing the epoch on the test part.", again))
    other = f"{name}-seed{result.seed + 1}"
    with_seed = text.command(run, out=other, seed=result.seed + 1, changes=changes)
    found += [
        Step("Train with another seed, to see how much the scores depend on it.", with_seed),
        Step(
            "Compare the two, or any other runs: scores, paired tests and figures on one page.",
            _join("compare", name, other, "--out", "comparison.html"),
        ),
    ]
    folds = name
    if len(result.folds) < 2:
        folds = f"{name}-folds"
        protocol = "speakers-5" if result.n_speakers >= 5 else "stratified-5"
        found.append(
            Step(
                "Test all recordings in turn: the final model is calibrated on such held-out answers.",
                text.command(run, out=folds, protocol=protocol, changes=changes),
            )
        )
    final = _join("finalise", folds, "--to", f"models/{run.name}")
    found.append(Step("Train the final model on all recordings, and calibrate it on the held-out answers.", final))
    return found


def audit(run: Run) -> str:
    """Return the command that audits a run's protocol."""
    result = run.result
    return _join("audit", "--corpus", result.corpus_argument, "--protocol", result.protocol, "--seed", f"{result.seed}")


def _join(*words: str) -> str:
    return shlex.join(["emocatcher", *words])
