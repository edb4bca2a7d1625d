"""`emocatcher train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion, options, ray_options, training_engine
from emocatcher.foundation.errors import SettingError

EXAMPLES = (
    "emocatcher train --corpus ravdess --protocol reference-holdout --out runs/holdout",
    "emocatcher train --preset emocatcher-2 --protocol emobox-6 --out runs/one --teacher runs/a --teacher runs/b",
    "emocatcher train --corpus crema-d,nemo,tess --protocol leave-one-corpus-out --out runs/loco",
    "emocatcher train --protocol loso-24 --seeds 0,1,2 --engine ray --out runs/loso",
    "emocatcher train --corpus my.csv --protocol speakers-5 --out runs/mine --set optimiser.learning_rate=5e-4",
)

_LARGEST_SEED = 2**32 - 1


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
    out: Annotated[Path, typer.Option(callback=training_engine.refuse_uri, help="The run folder to write.")],
    corpus: options.CorpusName = "ravdess",
    preset: options.Preset = "cabg",
    seed: Annotated[int, typer.Option(min=0, max=_LARGEST_SEED, help="Random seed.")] = 0,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Several seeds in parallel: a run folder for each in --out (seed-A, …), and their comparison.",
            show_default=False,
        ),
    ] = None,
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
    engine: training_engine.Engine = None,
    address: ray_options.Address = None,
    num_cpus: training_engine.CpusPerTask = None,
    num_gpus: training_engine.GpusPerTask = None,
) -> None:
    """Audit a protocol for leaks, train and test each fold, and write a report."""
    from emocatcher.cli import screen, training_screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.evaluation import protocols
    from emocatcher.foundation.settings import load_preset

    ray_options.check_unused(engine, address=address, num_cpus=num_cpus, num_gpus=num_gpus)
    if seeds is not None and seed:
        raise SettingError("Give --seed or --seeds: one of the two")
    chosen = [seed] if seeds is None else _seeds(seeds)
    overrides = [*(setting or ()), *([f"training.n_epochs={epochs}"] if epochs else ())]
    settings = load_preset(preset, overrides)
    loaded = load_corpus(corpus)
    folds = {one: protocols.load(protocol, loaded, one) for one in chosen}
    from emocatcher.training import experiment, long_recordings
    from emocatcher.training.prepared_run import SeedRun
    from emocatcher.training.tracking import trainings

    if note := long_recordings.note(loaded.utterances, "is trained on and tested as one utterance"):
        typer.echo(f"Note: {note}", err=True)
    folders = {one: out if seeds is None else out / f"seed-{one}" for one in chosen}
    with (
        training_engine.chosen(engine, address, num_cpus, num_gpus) as where,
        screen.progress(unit="done") as start,
    ):
        show, show_audit = training_screen.watch(start)
        try:
            with trainings.track_seeds(track, folders, show) as watch:
                pages = experiment.run_seeds(
                    loaded, [SeedRun(seed=one, protocol=folds[one], out=folders[one]) for one in chosen], settings,
                    corpus_argument=corpus, teachers=teacher or (), device=device, engine=where, resume=resume,
                    audited=not no_audit, strict=strict, on_audit=show_audit, on_progress=watch,
                )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo(f"Stopped. Resume with --resume --out {screen.one_line(out)}", err=True)
            raise typer.Exit(130) from None
    if len(chosen) > 1:
        _show_seeds(out, list(folders.values()))
    else:
        _show_run(folders[chosen[0]], pages[0])


def _seeds(text: str) -> list[int]:
    names = [part.strip() for part in text.split(",")]
    if not all(name.isascii() and name.isdigit() and int(name) <= _LARGEST_SEED for name in names):
        raise SettingError(f"--seeds is '{text}'. Allowed: whole numbers from 0 to {_LARGEST_SEED}, such as 0,1,2")
    seeds = list(map(int, names))
    if len(set(seeds)) < len(seeds):
        raise SettingError(f"--seeds is '{text}', which names a seed twice. Name each once")
    return seeds


def _show_run(folder: Path, page: Path) -> None:
    from emocatcher.cli import screen
    from emocatcher.reports import run_report

    run = run_report.read(folder)
    target = screen.console()
    target.print(run_report.headline(run), markup=False)
    target.print(run_report.audit_line(run), markup=False)
    screen.table(*run_report.summary_rows(run))
    for line in run_report.trust_lines(run):
        target.print(line, markup=False)
    target.print(f"Report: {page}", markup=False)


def _show_seeds(out: Path, folders: list[Path]) -> None:
    from emocatcher.cli import compare, screen
    from emocatcher.reports import comparison

    found = comparison.compare(folders)
    page = comparison.write(found, out / "comparison.html", overwrite=True)  # made again from the runs each time
    compare.show(found)
    screen.console().print(f"Comparison: {page}, reports in {', '.join(one.name for one in folders)}", markup=False)
