"""Group runs that differ only in their seed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from emocatcher.foundation.errors import RunError
from emocatcher.reports import run_report
from emocatcher.reports.run_report import Run
from emocatcher.reports.run_report.style import common_prefix

Shared = str  # "no", "yes", or "unknown" where the corpus names no speakers


def read(run_dirs: Sequence[Path]) -> list[Run]:
    """Read run folders and give each a unique name: the folder's, with its parents' names where two are equal.

    Raises:
        RunError: if one is not a finished run folder, is given twice, or none is given.
    """
    if not run_dirs:
        raise RunError("No run to compare. Give folders written by `emocatcher train --out`")
    paths = [Path(run_dir).resolve() for run_dir in run_dirs]
    twice = next((path for path, n in Counter(paths).items() if n > 1), None)
    if twice is not None:
        raise RunError(f"'{run_dirs[paths.index(twice)]}' is given twice. Give each run once")
    names = unique_names(paths)
    return [
        dataclasses.replace(run_report.read(Path(run_dir)), name=name)
        for run_dir, name in zip(run_dirs, names, strict=True)
    ]


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return each folder's name, with as many parent names as needed to make all names unique.

    Examples:
        >>> unique_names([Path("/runs/a/cv5"), Path("/runs/b/cv5"), Path("/runs/loso")])
        ['a/cv5', 'b/cv5', 'loso']
    """
    names = [path.name for path in paths]
    for n_parts in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        counts = Counter(names)
        if max(counts.values()) == 1:
            break
        names = [
            "/".join(path.parts[-n_parts:]) if counts[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def speakers_shared(run: Run) -> Shared:
    """Return whether a run's test speakers are in its training part too."""
    if run.result.speakers_shared and not run.result.n_speakers:
        return "unknown"
    return "yes" if run.result.speakers_shared else "no"


def group(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that differ only in their seed, in display order.

    Runs tested on unseen speakers come first, human before synthetic voices, and within a protocol the most accurate.
    A second run of the same seed gets a row of its own, because a repetition is not another seed.

    Returns:
        Groups of one run or more, each sorted by seed.
    """
    grouped: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        result = run.result
        key: tuple[object, ...] = (
            run.settings_text, result.preset, result.corpus, result.protocol, result.selection, result.speakers_shared,
            result.labels, result.n_utterances, tuple(fold.fold for fold in result.folds),
        )  # fmt: skip
        n_same = sum(other.result.seed == result.seed for other in grouped.get((*key, 0), ()))
        while any(other.result.seed == result.seed for other in grouped.get((*key, n_same), ())):
            n_same += 1
        grouped.setdefault((*key, n_same), []).append(run)
    groups = [sorted(members, key=lambda run: run.result.seed) for members in grouped.values()]
    return sorted(groups, key=_order)


def _order(members: list[Run]) -> tuple[object, ...]:
    result = members[0].result
    accuracy = sum(run.result.mean.selected.accuracy for run in members) / len(members)
    rank = ("no", "unknown", "yes").index(speakers_shared(members[0]))
    return rank, result.synthetic, result.corpus, result.protocol, -accuracy


def group_names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return a unique name per group: the run's own, or the common prefix of its seeds' names."""
    names = [_group_name([run.name for run in members]) for members in groups]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{members[0].name} and {len(members) - 1} more"
        for name, members in zip(names, groups, strict=True)
    ]


def _group_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    prefix = common_prefix(names)
    cut = max(prefix.rfind(mark) for mark in "-_. ")
    prefix = prefix[:cut] if cut > 0 else prefix.rstrip("/")
    return f"{prefix} ({len(names)} seeds)" if len(prefix) > 1 else f"{names[0]} and {len(names) - 1} more"
