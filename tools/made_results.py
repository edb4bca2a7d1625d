"""Describe all kept runs for the docs site, from `benchmarks/results`, each with the command that makes it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from made_reference import ROOT, table

RESULTS = ROOT / "benchmarks" / "results"
_BY_SPEAKERS = ("emocatcher-3-emobox-6-seed0", "emocatcher-3-crema-d-speakers-5-seed0")
_HEADER = ("protocol", "accuracy", "UAR", "95% interval of the UAR", "speakers", "seeds")
_GROUPS = {"sex": "sex", "age": "age", "race": "race", "ethnicity": "ethnicity"}


def kept_runs() -> dict[str, dict[str, Any]]:
    """The `result.json` of each kept run, by name."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    return {name: one for name, one in found.items() if isinstance(one, dict) and {"folds", "mean"} <= set(one)}


def command(name: str, run: dict[str, Any]) -> str:
    """The command that trains a kept run; empty for a recipe that the package has no more."""
    if "speaker-normalised" in name:
        return ""
    words = f"emocatcher train --preset {run['preset']} --corpus {run['corpus_argument']} --protocol {run['protocol']}"
    if "distilled" in name:
        of_teacher = name.replace("-distilled-seed0", "-seed{}")
        words += "".join(f" --teacher runs/{of_teacher.format(seed)}" for seed in range(5))
    return f"{words} --seed {run['seed']} --out runs/{name}"


def runs() -> str:
    """A section for each protocol: a table of its runs, and their commands."""
    by_protocol: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for name, run in kept_runs().items():
        by_protocol[run["protocol"]][name] = run
    lines = []
    for protocol, found in by_protocol.items():
        first = next(iter(found.values()))
        shared = "Test speakers are also training speakers" if first["speakers_shared"] else "Speakers are separate"
        lines += [f"## `{protocol}`", "", f"{shared}. {first['cannot_claim'] or ''}".strip(), ""]
        rows = [_row(name, run) for name, run in found.items()]
        lines += [table(("run", "corpus", "accuracy", "UAR", "95% interval of the UAR"), rows), ""]
        lines += ["```", *filter(None, (command(name, run) for name, run in found.items())), "```", ""]
    return "\n".join(lines)


def _row(name: str, run: dict[str, Any]) -> tuple[str, ...]:
    low, high = (100 * edge for edge in run["interval"]["unweighted_average_recall"])
    scores = [f"{100 * run['mean'][score]['last']:.1f}" for score in ("accuracy", "unweighted_average_recall")]
    return f"`{name}`", run["corpus"], *scores, f"{low:.1f} to {high:.1f}"


def rows() -> str:
    """The rows of `make paper`, with the number of their seeds."""
    found = _scored_rows()
    cells = []
    for one in found:
        kind = "" if one["row"]["kind"] == "single" else f", {one['row']['kind']}"
        cells.append((*_cells(one), f"`{one['row']['preset']}`{kind}"))
    return table((*_HEADER, "recipe"), cells)


def by_protocol() -> str:
    """The rows of the default model: the same recipe under each protocol."""
    return table(_HEADER, [_cells(one) for one in _scored_rows() if one["row"]["preset"] == "emocatcher-3"])


def _scored_rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RESULTS / "rows.json").read_text(encoding="utf-8"))
    return found


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    """Protocol, scores and number of seeds of a row; the numbers first, for narrow screens."""
    row, (low, high) = one["row"], one["unweighted_average_recall_interval"]
    return (
        f"`{row['protocol']}`",
        f"{100 * one['accuracy']:.1f}",
        f"{100 * one['unweighted_average_recall']:.1f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
        "shared" if kept_shares(row["preset"], row["protocol"]) else "separate",
        str(len(row["seeds"])),
    )


def kept_shares(preset: str, protocol: str) -> bool:
    """Whether test speakers of a protocol are also training speakers, as a kept run of it states."""
    run = next(one for one in kept_runs().values() if (one["preset"], one["protocol"]) == (preset, protocol))
    return bool(run["speakers_shared"])


def speaker_groups() -> str:
    """UAR and share of answered recordings by sex, age, race and ethnicity, of runs with separate speakers."""
    cells, commands = [], []
    for name in _BY_SPEAKERS:
        run = json.loads(Path(RESULTS, f"{name}.json").read_text(encoding="utf-8"))
        commands.append(command(name, run))
        for group in run["speaker_groups"]:
            recall, answered = group["unweighted_average_recall"], group["share_answered"]
            low, high = (f"{100 * edge:.0f}" for edge in recall["interval"])
            cells.append(
                (
                    run["corpus"],
                    f"{_GROUPS[group['trait']]}: {group['name']}",
                    str(group["n_speakers"]),
                    f"{100 * recall['mean']:.0f}",
                    f"{low} to {high}",
                    f"{100 * answered['mean']:.0f}",
                )
            )
    header = ("corpus", "group", "speakers", "UAR, %", "95% interval", "answered, %")
    return "\n".join([table(header, cells), "", "```", *commands, "```"])
