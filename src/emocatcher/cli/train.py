"""`emocatcher train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.cli.screen import Advance
    from emocatcher.experiment import Progress

EXAMPLES = (
    "emocatcher train --corpus ravdess --protocol reference-holdout --out runs/holdout",
    "emocatcher train --corpus my.csv --protocol speakers-5 --out runs/mine --set optimiser.learning_rate=5e-4",
)


def train(
    protocol: Annotated[
        str, typer.Option(help="reference-holdout, reference-cv5, speakers-K, stratified-K or manifest.")
    ],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    corpus: Annotated[str, typer.Option(help="A corpus's name, a table of recordings, or a folder.")] = "ravdess",
    preset: Annotated[str, typer.Option(help="The recipe: a preset's name, or a TOML file.")] = "cabg",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs; by default the preset's.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out was cut.")] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace one setting; may be repeated."),
    ] = None,
) -> None:
    """Train and test every fold of a protocol, and write the report."""
    import time

    from emocatcher import corpora, protocols, run_writer
    from emocatcher.cli import screen
    from emocatcher.config import load_preset

    overrides = [*(setting or ()), *([f"training.n_epochs={epochs}"] if epochs else ())]
    settings = load_preset(preset, overrides)
    if corpus == "synthetic" and corpora.locate(corpus) is None:
        screen.console(stderr=True).print("Making the synthetic corpus, once: about 20 s")
    loaded = corpora.load(corpus)
    folds = protocols.load(protocol, loaded, seed)
    from emocatcher import experiment

    with screen.progress(unit="done") as start:
        bars: dict[str, Advance] = {}

        def show(step: Progress) -> None:
            if step.stage not in bars:
                bars[step.stage] = start(step.stage)
            epoch = step.epoch
            note = f"loss {epoch.train_loss:.3f}, test accuracy {epoch.test_accuracy:.1%}" if epoch else ""
            bars[step.stage](step.done, step.total, note)

        experiment.run(loaded, folds, settings, out, seed=seed, corpus_argument=corpus, resume=resume, on_progress=show)
    from emocatcher import report

    started = time.perf_counter()
    page = report.write(out)
    run_writer.record_report_seconds(out, time.perf_counter() - started)
    run = report.read(out)
    target = screen.console()
    target.print(report.headline(run), markup=False)
    screen.table(*report.summary_rows(run))
    target.print(f"Report: {page}", markup=False)
