"""`emocatcher sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.cli.screen import Advance
    from emocatcher.sweep import Progress, Ranking, Row, Score

EXAMPLES = (
    "emocatcher sweep sweep.toml --out runs/sweep",
    "emocatcher sweep sweep.toml --out runs/sweep --resume --json",
)
_WIDE = 132  # columns from which an interval has room beside its score
_NONE = "\N{EN DASH}"


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="SWEEP.TOML", help="What to try: preset, corpus, protocol, settings or a grid.")
    ],
    out: Annotated[Path, typer.Option(help="The sweep folder to write.")] = Path("runs/sweep"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the sweep in --out was cut.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as one JSON object.")] = False,
) -> None:
    """Rank a list of settings by validation inside the training part."""
    import msgspec

    from emocatcher import corpora, protocols
    from emocatcher import sweep as sweeps
    from emocatcher.cli import screen

    plan = sweeps.read(file)
    corpus = corpora.load(plan.file.corpus)
    protocol = protocols.load(plan.file.protocol, corpus, plan.file.seeds[0])
    with screen.progress(unit="done") as start:
        bars: dict[str, Advance] = {}
        state = {"done": 0, "all": 0}

        def show(step: Progress) -> None:
            if step.stage not in bars:
                bars[step.stage] = start(step.stage)
            state.update({"done": step.n_trials_done, "all": step.n_trials})
            note = f"trials {step.n_trials_done}/{step.n_trials}" if step.n_trials else ""
            loss = "" if step.train_loss is None else f", loss {step.train_loss:.3f}"
            bars[step.stage](step.done, step.total, note + loss)

        try:
            ranking, seconds = sweeps.run(plan, corpus, protocol, out, resume=resume, on_progress=show)
        except KeyboardInterrupt:
            kept = f"{state['done']} of {state['all']} trials are done and kept" if state["all"] else "Nothing is lost"
            typer.echo(f"Stopped. {kept}. Go on with --resume --out {out}", err=True)
            raise typer.Exit(130) from None
    if as_json:
        typer.echo(msgspec.json.encode(ranking).decode())
        return
    target = screen.console()
    wide = target.width >= _WIDE
    header = ("rank", "setting", "what differs", "accuracy", "UAR", _gap("difference", "to the first", wide), "s/trial")
    rows = [_cells(row, ranking, seconds[row.setting], wide) for row in ranking.settings]
    screen.table(header, rows, n_words=3)
    target.print(_summary(ranking), markup=False)
    for row in ranking.settings:
        if row.diverged:
            target.print(f"{row.setting}: {row.diverged}", markup=False)
    target.print(f"Sweep: {out}", markup=False)


def _cells(row: Row, ranking: Ranking, seconds: float, wide: bool) -> tuple[str, ...]:
    ranked = getattr(row, ranking.ranked_by)
    is_baseline = row.setting == ranking.baseline
    differs = _NONE if is_baseline else ", ".join(row.differs) or "nothing"
    if ranked is None:
        return (_NONE, row.setting, differs, "diverged", _NONE, _NONE, f"{seconds:.1f}")
    return (
        str(row.rank),
        row.setting,
        differs,
        *(_score(score, wide) for score in (row.accuracy, row.unweighted_average_recall)),
        _NONE if is_baseline else _difference(ranked, wide),
        f"{seconds:.1f}",
    )


def _score(score: Score | None, wide: bool) -> str:
    if score is None:
        return _NONE
    low, high = score.interval
    return _gap(f"{score.value:.1%}", f"[{100 * low:.1f}, {100 * high:.1f}]", wide)


def _difference(score: Score, wide: bool) -> str:
    if score.difference is None or score.difference_interval is None:
        return _NONE
    low, high = score.difference_interval
    return _gap(f"{100 * score.difference:+.1f}", f"[{100 * low:+.1f}, {100 * high:+.1f}]", wide)


def _gap(first: str, second: str, wide: bool) -> str:
    return f"{first}{' ' if wide else chr(10)}{second}"


def _summary(ranking: Ranking) -> str:
    score = "accuracy" if ranking.ranked_by == "accuracy" else "UAR"
    n = f"{ranking.n_utterances} clips"
    n += f" by {ranking.n_speakers} speakers" if ranking.n_speakers else ""
    return (
        f"{ranking.note} Ranked by {score} on {n}; {ranking.level:.0%} intervals by resampling {ranking.resampled}, "
        f"differences paired, in percentage points of {score}."
    )
