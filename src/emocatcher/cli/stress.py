"""`emocatcher stress`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import completion, options

if TYPE_CHECKING:
    from emocatcher.evaluation.scoring.robustness import Stress

EXAMPLES = (
    "emocatcher stress emocatcher-2 --protocol emobox-6 --fold 0",
    "emocatcher stress runs/mine --protocol emobox-6 --out runs/mine/stress",
)


def stress(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model folder or name, or a run folder: each of its models is tested on the test part of its fold.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ],
    protocol: Annotated[
        str, typer.Option(help="The protocol whose test parts to use.", autocompletion=completion.protocols)
    ],
    corpus: options.CorpusName = "ravdess",
    fold: Annotated[
        int | None,
        typer.Option(min=0, help="The fold; by default all, or the one that the model was trained on."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write stress.json, stress.svg and stress.png into this folder."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed of noise, rooms and cuts.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 means one per core.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how many points a model loses on telephone, codecs, noise, rooms, level and cuts."""
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.foundation import process_setup
    from emocatcher.reports import stress_figure
    from emocatcher.training import stress as engine

    if out is not None:
        stress_figure.check(out, overwrite=overwrite)
    loaded = load_corpus(corpus)
    tested = engine.open_models(model, loaded, protocol, fold)
    with screen.progress(unit="clips") as start:
        advance = start("stress")
        found = engine.run(
            tested, loaded, seed=seed, n_workers=workers or process_setup.usable_cores(),
            on_progress=lambda done, total: advance(done, total, ""),
        )  # fmt: skip
    for warning in found.warnings:
        screen.console(stderr=True).print(f"Note: {warning}", markup=False)
    written = None if out is None else stress_figure.write(found, out, overwrite=overwrite)
    if as_json:
        screen.print_json(found)
        return
    _show(found)
    if written is not None:
        screen.console().print(f"Figure: {screen.one_line(written)}", markup=False)


def _show(found: Stress) -> None:
    from emocatcher.cli import screen

    target, scores = screen.console(), found.scores
    folds = ", ".join(map(str, found.folds))
    target.print(f"{found.model} on {found.corpus}, {found.protocol}, fold {folds}", markup=False)
    rows = [("as recorded", f"{scores.accuracy:.1%}", "", f"{scores.unweighted_average_recall:.1%}", "")]
    rows += [
        (
            found.titles[name],
            f"{loss.accuracy:.1%}",
            _points(loss.accuracy_lost, loss.accuracy_lost_interval),
            f"{loss.unweighted_average_recall:.1%}",
            _points(loss.unweighted_average_recall_lost, loss.unweighted_average_recall_lost_interval),
        )
        for name, loss in scores.losses.items()
    ]
    screen.table(("recordings", "accuracy (WAR)", "points lost", "UAR", "points lost"), rows)
    drawn = "speakers" if scores.resampled == "speakers" else "utterances, because speakers are unknown"
    target.print(f"Points lost with their {scores.level:.0%} interval, by drawing {drawn}.", markup=False)


def _points(lost: float, interval: tuple[float, float]) -> str:
    low, high = (100 * bound for bound in interval)
    return f"{100 * lost:.1f} [{low:.1f}, {high:.1f}]"
