"""Which runs belong together: those that differ in nothing but their seed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from emocatcher import report
from emocatcher.errors import RunError
from emocatcher.report import Run
from emocatcher.report.style import common_prefix

Shared = str  # "no", "yes", or "unknown" where the corpus names no speakers


def read(run_dirs: Sequence[Path]) -> list[Run]:
    """Read run folders, each under a name of its own: the folder's, and its parents' where two are alike.

    Raises:
        RunError: if one is not a finished run folder, is given twice, or none is given.
    """
    if not run_dirs:
        raise RunError("No run to compare. Give folders that emocatcher train --out wrote")
    places = [Path(run_dir).resolve() for run_dir in run_dirs]
    twice = next((place for place, n in Counter(places).items() if n > 1), None)
    if twice is not None:
        raise RunError(f"'{run_dirs[places.index(twice)]}' is given twice. Give every run once")
    names = unlike_names(places)
    return [
        dataclasses.replace(report.read(Path(run_dir)), name=name)
        for run_dir, name in zip(run_dirs, names, strict=True)
    ]


def unlike_names(places: Sequence[Path]) -> list[str]:
    """Each folder's name, with as many of its parents' as it takes to tell all apart.

    Examples:
        >>> unlike_names([Path("/runs/a/cv5"), Path("/runs/b/cv5"), Path("/runs/loso")])
        ['a/cv5', 'b/cv5', 'loso']
    """
    names = [place.name for place in places]
    for n_parts in range(2, max((len(place.parts) for place in places), default=0) + 1):
        alike = Counter(names)
        if max(alike.values()) == 1:
            break
        names = [
            "/".join(place.parts[-n_parts:]) if alike[name] > 1 else name
            for name, place in zip(names, places, strict=True)
        ]
    return names


def speakers_shared(run: Run) -> Shared:
    """Whether the voices that a run was tested on were heard in its training."""
    if run.result.speakers_shared and not run.result.n_speakers:
        return "unknown"
    return "yes" if run.result.speakers_shared else "no"


def group(runs: Sequence[Run]) -> list[list[Run]]:
    """Gather runs that differ only in their seed, in the order in which they are to be shown.

    Speakers that were not heard in training come first, people before made voices, and within a protocol the most
    accurate. A second run of the same seed is a row of its own: a repetition is no further seed.

    Returns:
        Groups of one run or more, each in the order of the seeds.
    """
    gathered: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        result = run.result
        key: tuple[object, ...] = (
            run.settings_text, result.preset, result.corpus, result.protocol, result.selection, result.speakers_shared,
            result.labels, result.n_utterances, tuple(fold.fold for fold in result.folds),
        )  # fmt: skip
        n_same = sum(other.result.seed == result.seed for other in gathered.get((*key, 0), ()))
        while any(other.result.seed == result.seed for other in gathered.get((*key, n_same), ())):
            n_same += 1
        gathered.setdefault((*key, n_same), []).append(run)
    groups = [sorted(members, key=lambda run: run.result.seed) for members in gathered.values()]
    return sorted(groups, key=_order)


def _order(members: list[Run]) -> tuple[object, ...]:
    result = members[0].result
    accuracy = sum(run.result.mean.selected.accuracy for run in members) / len(members)
    rank = ("no", "unknown", "yes").index(speakers_shared(members[0]))
    return rank, result.synthetic, result.corpus, result.protocol, -accuracy


def group_names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A name for every group, unlike all others: the run's own, or what its seeds' names begin with."""
    names = [_group_name([run.name for run in members]) for members in groups]
    alike = Counter(names)
    return [
        name if alike[name] == 1 else f"{members[0].name} and {len(members) - 1} more"
        for name, members in zip(names, groups, strict=True)
    ]


def _group_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    start = common_prefix(names)
    cut = max(start.rfind(mark) for mark in "-_. ")
    start = start[:cut] if cut > 0 else start.rstrip("/")
    return f"{start} ({len(names)} seeds)" if len(start) > 1 else f"{names[0]} and {len(names) - 1} more"
