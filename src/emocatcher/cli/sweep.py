"""`emocatcher sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options, ray_options, training_engine

if TYPE_CHECKING:
    from emocatcher.cli.screen import Advance
    from emocatcher.training.sweep import Progress, Ranking, Row, Score

EXAMPLES = (
    "emocatcher sweep sweep.toml --out runs/sweep",
    "emocatcher sweep sweep.toml --out runs/sweep --resume --json",
    "emocatcher sweep sweep.toml --out runs/sweep --engine ray --address auto",
)
_BROAD, _WIDE = 100, 132  # terminal widths that fit a setting's section, and an interval next to its score
_DASH = "\N{EN DASH}"


def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SWEEP.TOML", help="A file with preset, corpus, protocol, and the settings (or a grid) to try."
        ),
    ],
    out: Annotated[Path, typer.Option(callback=training_engine.refuse_uri, help="The sweep folder to write.")] = Path(
        "runs/sweep"
    ),
    device: options.Device = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Resume the sweep in --out where it stopped.")] = False,
    track: options.Track = None,
    engine: training_engine.Engine = None,
    address: ray_options.Address = None,
    num_cpus: training_engine.CpusPerTask = None,
    num_gpus: training_engine.GpusPerTask = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as one JSON object.")] = False,
) -> None:
    """Rank settings by cross-validation inside the training part."""
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.evaluation import protocols
    from emocatcher.training import sweep as sweeps
    from emocatcher.training.tracking import trainings

    ray_options.check_unused(engine, address=address, num_cpus=num_cpus, num_gpus=num_gpus)
    plan = sweeps.read(file)
    corpus = load_corpus(plan.file.corpus)
    protocol = protocols.load(plan.file.protocol, corpus, plan.file.seeds[0])
    with (
        training_engine.chosen(engine, address, num_cpus, num_gpus) as where,
        screen.progress(unit="done") as start,
    ):
        bars: dict[str, Advance] = {}
        log = screen.console(stderr=True)
        n_trials = 0

        def show(step: Progress) -> None:
            nonlocal n_trials
            n_trials = step.n_trials
            if step.stage not in bars:
                bars[step.stage] = start(step.stage)
            note = f"trials {step.n_trials_done}/{step.n_trials}" if step.n_trials else ""
            loss = "" if step.train_loss is None else f", loss {step.train_loss:.3f}"
            bars[step.stage](step.done, step.total, note + loss)
            if step.warning:
                log.print(f"Warning: {step.warning}", markup=False)

        try:
            with trainings.track_sweep(track, plan, out, show) as (watch, finish):
                ranking, seconds = sweeps.run(
                    plan, corpus, protocol, out, device=device, engine=where, resume=resume, on_progress=watch
                )
                finish(ranking)
        except KeyboardInterrupt:
            kept = f"{len(sweeps.read_trials(out))} of {n_trials}" if n_trials else "None"
            rest = f"Resume with --resume --out {screen.one_line(out)}"
            typer.echo(f"Stopped. Trials finished and kept: {kept}. {rest}", err=True)
            raise typer.Exit(130) from None
    if as_json:
        screen.print_json(ranking)
        return
    target = screen.console()
    header, rows = _table(ranking, seconds, target.width)
    screen.list_table(header, rows, n_words=len(header) - 4)
    target.print(_summary(ranking), markup=False)
    for row in ranking.settings:
        if row.diverged:
            target.print(f"{row.setting}: {row.diverged}", markup=False)
    target.print(f"Sweep: {out}", markup=False)


def _table(ranking: Ranking, seconds: dict[str, float], width: int) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return header and rows. A narrow table puts the differences below the setting, and intervals below scores."""
    rows: list[Sequence[str]] = []
    for row in ranking.settings:
        ranked: Score | None = getattr(row, ranking.ranked_by)
        is_baseline = row.setting == ranking.baseline
        differs = _DASH if is_baseline else ", ".join(row.differs) or "nothing"
        numbers = (
            ("diverged", _DASH, _DASH)
            if ranked is None
            else (
                _score(row.accuracy, width),
                _score(row.unweighted_average_recall, width),
                _DASH if is_baseline else _difference(ranked, width),
            )
        )
        names = (row.setting, differs) if width >= _WIDE else (_setting_cell(row, is_baseline, width),)
        rows.append((str(row.rank or _DASH), *names, *numbers, f"{seconds[row.setting]:.1f}"))
    if width >= _WIDE:
        return ("rank", "setting", "what differs", "accuracy", "UAR", "difference to the first", "s/trial"), rows
    return ("rank", "setting\nwhat differs", "accuracy", "UAR", "difference\nto the first", "s/trial"), rows


def _setting_cell(row: Row, is_baseline: bool, width: int) -> str:
    if is_baseline:
        return row.setting
    short = [one.partition(".")[2] for one in row.differs]
    if row.setting == ", ".join(short):  # the name that a grid gives
        return row.setting
    return "\n".join((row.setting, *((short if width < _BROAD else row.differs) or ("nothing",))))


def _score(score: Score | None, width: int) -> str:
    if score is None:
        return _DASH
    low, high = (100 * end for end in score.interval)
    between = f"[{low:.1f}, {high:.1f}]" if width >= _WIDE else f"{low:.1f}{_DASH}{high:.1f}"
    return _joined(f"{score.value:.1%}", between, width)


def _difference(score: Score, width: int) -> str:
    if score.difference is None or score.difference_interval is None:
        return _DASH
    low, high = (100 * end for end in score.difference_interval)
    between = f"[{low:+.1f}, {high:+.1f}]" if width >= _WIDE else f"{low:+.1f} to {high:+.1f}"
    return _joined(f"{100 * score.difference:+.1f}", between, width)


def _joined(value: str, between: str, width: int) -> str:
    return f"{value} {between}" if width >= _WIDE else f"{value}\n{between}"


def _summary(ranking: Ranking) -> str:
    score = "accuracy" if ranking.ranked_by == "accuracy" else "UAR"
    n = f"{ranking.n_utterances} clips"
    n += f" by {ranking.n_speakers} speakers" if ranking.n_speakers else ""
    return (
        f"{ranking.note} Ranked by {score} on {n}; {ranking.level:.0%} intervals by resampling {ranking.resampled}, "
        f"differences paired, in percentage points of {score}."
    )
