"""`emocatcher finalise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options

if TYPE_CHECKING:
    from emocatcher.evaluation.scoring.run_result import Epoch

EXAMPLES = (
    "emocatcher finalise runs/speakers-5 --to models/mine --licence 'CC BY 4.0'",
    "emocatcher finalise runs/taught --to models/mine --teacher models/a --teacher models/b --untaught runs/alone",
)


def finalise(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of two or more folds.")],
    to: Annotated[Path, typer.Option(help="The model folder to write.")],
    name: Annotated[str, typer.Option(help="The name of the model; by default the name of the folder.")] = "",
    licence: Annotated[
        str, typer.Option(help="The licence of the model; by default that of the corpus.", show_default=False)
    ] = "",
    abstain_below: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Mark answers below this calibrated probability as uncertain; by default the smallest for which 80% "
            "of the other answers are correct on held-out recordings.",
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            "--teacher",
            metavar="MODEL",
            help="For a run with teachers: the finalised model of one teacher. Repeat it for each.",
        ),
    ] = None,
    untaught: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="For a run with teachers: a run with the same settings, protocol and seed, but without teachers. The "
            "model is trained only if the teachers improve the held-out accuracy significantly.",
            show_default=False,
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Store the weights for recognition as 8-bit integers; an encoder is then twice as fast. "
            "`export --int8` measures what it costs.",
        ),
    ] = False,
    device: options.Device = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in --to.")] = False,
) -> None:
    """Train one model on all recordings of a run's corpus, calibrated on the run's held-out predictions."""
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus

    if not overwrite:
        options.check_holds_no_model(to)
    from emocatcher.reports.adaptation import PAGE
    from emocatcher.training import finalise

    finished, *_ = finalise.check(run, teacher or (), untaught)
    with screen.progress(unit="epochs") as start:
        advance = start("training")

        def show(epoch: Epoch) -> None:
            advance(epoch.epoch, finished.settings.training.n_epochs, f"loss {epoch.train_loss:.3f}")

        model = finalise.finalise(
            run,
            load_corpus(finished.result.corpus_argument),
            to,
            name=name or to.resolve().name,
            licence=licence,
            abstain_below=abstain_below,
            teachers=teacher or (),
            untaught=untaught,
            int8=int8,
            device=device,
            on_epoch=show,
        )
    (to / PAGE).unlink(missing_ok=True)  # of a model that was replaced
    scores = model.config.training.scores
    target = screen.console()
    target.print(
        f"{model.config.name}: {finished.result.protocol} gave these settings an accuracy of {scores['accuracy']:.1%}"
    )
    before, after = scores["expected_calibration_error_before"], scores["expected_calibration_error"]
    if model.config.temperature == 1.0:
        target.print(f"no temperature scaling: no significant gain on held-out folds; calibration error {before:.3f}")
    else:
        target.print(
            f"temperature {model.config.temperature:.2f}: calibration error {before:.3f} before, {after:.3f} after"
        )
    kept, right = scores["share_not_abstained"], scores.get("accuracy_where_not_abstained")
    target.print(
        f"abstains below {model.config.abstain_below:.3f}: {kept:.1%} answered"
        + ("" if right is None else f", {right:.1%} of them correct")
    )
    target.print(f"Model: {to}", markup=False)
