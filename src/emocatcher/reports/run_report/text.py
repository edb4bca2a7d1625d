"""A run as sentences: the head of the report, and the last lines a training prints in the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import msgspec

from emocatcher.evaluation.audit import NOT_AUDITED
from emocatcher.evaluation.run_folder import Run
from emocatcher.foundation.settings import load_preset, presets
from emocatcher.reports.run_report import (
    between,
    confidence,
    deletion,
    dimension_scores,
    group_scores,
    listener_scores,
    style,
    tables,
)


def headline(run: Run) -> str:
    """Return the main result in one sentence, with its protocol and its selection.

    Args:
        run: a finished run.

    Returns:
        One line of plain text.
    """
    result = run.result
    mean, std = result.mean.selected, result.std.selected
    many = len(result.folds) > 1
    accuracy = tables.plus_minus(mean.accuracy, std.accuracy) if many else tables.percent(mean.accuracy)
    uar = tables.percent(mean.unweighted_average_recall)
    over = f", mean ± std of {len(result.folds)} folds" if many else ""
    stamp = "SYNTHETIC. " if result.synthetic else ""
    return (
        f"{stamp}{result.preset} on {result.corpus}, {result.protocol}: accuracy {accuracy}%, UAR {uar}%{over} "
        f"({selection(run)}). {speakers(run)}"
    )


def selection(run: Run) -> str:
    """State which epoch's model the results are for."""
    result = run.result
    words = {
        "last": "selection: last epoch",
        "best-valid": "selection: best epoch on the validation part",
        "best-test": "selection: best epoch on the test part",
    }
    chosen = words.get(result.selection, f"selection: {result.selection}")
    return f"{chosen}; {style.OPTIMISTIC}" if result.optimistic else chosen


def speakers(run: Run) -> str:
    """State whether training and test share speakers, and what the protocol therefore cannot claim."""
    result = run.result
    shared = "yes" if result.speakers_shared else "no"
    if result.speakers_shared and not result.n_speakers:
        shared = "unknown, because the corpus names no speakers"
    cannot = result.cannot_claim.strip()
    return f"Speakers shared between training and test: {shared}{'. ' + cannot if cannot else '.'}"


def audit_line(run: Run) -> str:
    """Return the result of the leakage audit in one line."""
    return run.audit.stamp if run.audit else NOT_AUDITED


def trust_lines(run: Run) -> list[str]:
    """State the mean over corpora, dimensions, calibration, attention, listeners and differing groups, as measured."""
    result = run.result
    found = (
        between.sentence(run),
        dimension_scores.sentence(result.dimensions),
        confidence.sentence(run),
        deletion.verdict(run),
        listener_scores.sentence(result.listeners),
        group_scores.sentence(result.speaker_groups),
    )
    return [words for words in found if words]


def resampling(run: Run) -> str:
    """Describe how the intervals were computed, and what was resampled."""
    result = run.result
    interval = result.interval
    n = result.n_speakers if interval.resampled == "speakers" else len(run.predictions.fold)
    folds = "the test predictions" if len(result.folds) == 1 else "the test predictions of all folds pooled"
    return (
        f"{interval.level:.0%} intervals: bootstrap of {folds}, {interval.n_resamples} resamples of "
        f"{n} {interval.resampled}{' (for UAR, within each tested corpus)' if result.over_corpora else ''}."
    )


def summary_rows(run: Run) -> tuple[list[str], list[list[str]]]:
    """Return the summary table that a training prints at its end.

    Args:
        run: a finished run.

    Returns:
        header: the column names; rates are in percent.
        rows: one per fold, then mean ± std over folds, then the interval over all predictions.
    """
    result = run.result
    by_epoch = tables.epochs(run, "accuracy").rows
    by_selection = tables.selected(run).rows
    n_shown = len(result.folds) + (len(result.folds) > 1)
    rows = [
        [chosen[0], chosen[3], chosen[5], chosen[7], late[2], late[3]]
        for chosen, late in zip(by_selection[:n_shown], by_epoch[:n_shown], strict=True)
    ]
    interval = result.interval
    rows.append(
        [f"{interval.level:.0%} interval ({interval.resampled})", tables.interval(interval.accuracy),
         tables.interval(interval.unweighted_average_recall), "", "", ""]
    )  # fmt: skip
    chosen = f"accuracy %, {result.selection}" + (" (optimistic)" if result.optimistic else "")
    late = f"accuracy %, {tables.late_epochs(result.n_epochs)}"
    return ["", chosen, "UAR %", "macro F1 %", late, f"accuracy %, {tables.BEST}"], rows


def command(
    run: Run, *, out: str = "", seed: int | None = None, protocol: str = "", changes: Mapping[str, str] | None = None
) -> str:
    """Return the command that repeats the training, or repeats it with a difference.

    Args:
        run: a finished run.
        out: the run folder to write; by default the run's name and "-again".
        seed: another seed.
        protocol: another protocol.
        changes: settings that differ, as TOML by `section.key`.
    """
    result = run.result
    words = ["emocatcher", "train"]
    settings: dict[str, str] = {}
    if result.preset in presets():
        words += ["--preset", result.preset]
        settings = _changes(msgspec.to_builtins(run.settings), msgspec.to_builtins(load_preset(result.preset)))
    else:
        words += ["--preset", f"{run.name}/config.toml"]
    words += ["--corpus", result.corpus_argument, "--protocol", protocol or result.protocol]
    words += ["--seed", f"{result.seed if seed is None else seed}"]
    device, _, _ = str(run.environment.get("device", "cpu")).partition(" ")  # of an earlier version: not stated
    words += [] if device == "cpu" else ["--device", device]
    for key, value in {**settings, **(changes or {})}.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join([*words, "--out", out or f"{run.name}-again"])


def _changes(ours: dict[str, dict[str, object]], theirs: dict[str, dict[str, object]]) -> dict[str, str]:
    # Numbers, strings and lists in JSON are valid TOML.
    return {
        f"{section}.{key}": json.dumps(value)
        for section, fields in ours.items()
        if isinstance(fields, dict)
        for key, value in fields.items()
        if value != theirs.get(section, {}).get(key)
    }
