"""`emocatcher matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import completion, options

if TYPE_CHECKING:
    from emocatcher.reports.matrix import Matrix

EXAMPLES = (
    "emocatcher matrix runs/loco runs/ravdess runs/crema-d --out matrix.html",
    "emocatcher matrix --corpora ravdess,crema-d,nemo --preset emocatcher-3 --out runs/matrix",
)


_OF_TRAINING = ("preset", "seed", "epochs", "device", "setting", "no_audit")  # parameters


def matrix(
    context: typer.Context,
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR]...", help="Finished run folders.", show_default=False)
    ] = None,
    corpora: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Train what is missing between and within these corpora, into run folders in --out.",
            autocompletion=completion.corpora,
        ),
    ] = None,
    preset: options.Preset = "emocatcher-3",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="The page to write, with its figure next to it; by default matrix.html, none with --json. "
            "With --corpora: the folder of the runs, which then also holds matrix.html.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed of the trainings.")] = 0,
    epochs: options.Epochs = None,
    device: options.Device = "cpu",
    setting: options.Set = None,
    no_audit: Annotated[bool, typer.Option("--no-audit", help="Skip the audits; the reports note that.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page and its figure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how well models recognise each corpus: rows trained on, columns tested on."""
    from emocatcher.cli import screen
    from emocatcher.foundation.errors import SettingError
    from emocatcher.reports import matrix as report
    from emocatcher.reports import run_report

    if bool(runs) == (corpora is not None):
        raise SettingError("Give finished run folders, or --corpora to train what is missing: one of the two")
    if corpora is not None:
        if out is None:
            raise SettingError("--corpora needs --out, the folder for the runs")
        page: Path | None = out / "matrix.html"  # made again from the runs each time
        overrides = [*(setting or ()), *([f"training.n_epochs={epochs}"] if epochs else ())]
        runs = _train(corpora, preset, overrides, out, device=device, seed=seed, audited=not no_audit)
        overwrite = True
    else:
        _refuse_options_of_training(context)
        page = None if as_json and out is None else out or Path("matrix.html")
    if page is not None:
        report.check_page_path(page, overwrite=overwrite)
    read = [run_report.read(folder) for folder in runs or ()]
    found = report.tabulate(read)
    if page is not None:
        report.write(found, page, read, overwrite=overwrite)
    if as_json:
        screen.print_json(found)
        return
    _show(found)
    screen.console().print(f"Matrix: {screen.one_line(page)}", markup=False)


def _refuse_options_of_training(context: typer.Context) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _OF_TRAINING and source is not None and source.name != "DEFAULT":
            name = parameter.opts[0]
            raise typer.BadParameter(
                f"{name} is for training, with --corpora; finished runs have their own. Leave it out", param_hint=name
            )


def _train(
    corpora: str, preset: str, overrides: list[str], out: Path, *, device: str, seed: int, audited: bool
) -> list[Path]:
    from emocatcher.cli import screen, training_screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.foundation.settings import load_preset
    from emocatcher.training import experiment, matrix_runs

    settings = load_preset(preset, overrides)
    experiment.require_training(report=True)
    planned = matrix_runs.plan(corpora, out, load=lambda name: load_corpus(name, with_notes=False))
    log = screen.console(stderr=True)
    for number, one in enumerate(planned, 1):
        what = screen.one_line(f"{one.corpus.name}, {one.protocol}")
        log.print(f"Run {number} of {len(planned)}: {what}, in {one.folder}", markup=False)
        with screen.progress(unit="done") as start:
            show, show_audit = training_screen.watch(start)
            trained = matrix_runs.train(
                one, settings, seed=seed, device=device, audited=audited, on_audit=show_audit, on_progress=show
            )
        if not trained:
            log.print("It is finished already.", markup=False)
    return [one.folder for one in planned]


def _show(found: Matrix) -> None:
    from emocatcher.cli import screen
    from emocatcher.reports.matrix import tables

    grid = tables.grid(found)
    screen.table(list(grid.header), [[screen.one_line(cell) for cell in row] for row in grid.rows])
    target = screen.console()
    target.print(f"{grid.caption} {tables.EXPLANATION}", markup=False)
    if any(cell.calm_as_neutral for cell in found.cells):
        target.print("Calm counts as neutral between corpora.", markup=False)
