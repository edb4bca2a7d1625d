"""`emocatcher train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion, options

EXAMPLES = (
    "emocatcher train --corpus ravdess --protocol reference-holdout --out runs/holdout",
    "emocatcher train --preset emocatcher-2 --protocol emobox-6 --out runs/one --teacher runs/a --teacher runs/b",
    "emocatcher train --corpus crema-d,nemo,tess --protocol leave-one-corpus-out --out runs/loco",
    "emocatcher train --corpus my.csv --protocol speakers-5 --out runs/mine --set optimiser.learning_rate=5e-4",
)


def train(
    protocol: Annotated[
        str,
        typer.Option(
            help="How to split the corpus. RAVDESS: emobox-6, luna-5, loso-24, reference-holdout, reference-cv5, "
            "kfold-10. Any corpus: speakers-K, stratified-K (K folds), manifest (the table's split). Several corpora: "
            "leave-one-corpus-out, cross-corpus (each may end in -with-calm, for calm as a class of its own).",
            autocompletion=completion.protocols,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    corpus: options.CorpusName = "ravdess",
    preset: options.Preset = "cabg",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed.")] = 0,
    epochs: options.Epochs = None,
    device: options.Device = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out where it stopped.")] = False,
    setting: options.Set = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option("--teacher", metavar="RUN", help="A finished run to distil from; may be repeated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to train if the audit finds a leak.")] = False,
    track: options.Track = None,
    no_audit: Annotated[bool, typer.Option("--no-audit", help="Skip the audit; the report notes that.")] = False,
) -> None:
    """Audit a protocol for leaks, train and test each fold, and write a report."""
    from emocatcher.cli import screen, training_screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.evaluation import protocols
    from emocatcher.foundation.settings import load_preset

    overrides = [*(setting or ()), *([f"training.n_epochs={epochs}"] if epochs else ())]
    settings = load_preset(preset, overrides)
    loaded = load_corpus(corpus)
    folds = protocols.load(protocol, loaded, seed)
    from emocatcher.reports import run_report
    from emocatcher.training import experiment
    from emocatcher.training.tracking import trainings

    with screen.progress(unit="done") as start:
        show, show_audit = training_screen.watch(start)
        with trainings.track_run(track, out, show) as watch:
            page = experiment.run(
                loaded, folds, settings, out,
                seed=seed, corpus_argument=corpus, teachers=teacher or (), device=device, resume=resume,
                audited=not no_audit, strict=strict, on_audit=show_audit, on_progress=watch,
            )  # fmt: skip
    run = run_report.read(out)
    target = screen.console()
    target.print(run_report.headline(run), markup=False)
    target.print(run_report.audit_line(run), markup=False)
    screen.table(*run_report.summary_rows(run))
    for line in run_report.trust_lines(run):
        target.print(line, markup=False)
    target.print(f"Report: {page}", markup=False)
