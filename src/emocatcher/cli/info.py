"""`emocatcher info`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options

if TYPE_CHECKING:
    from rich.text import Text

    from emocatcher.models.model_folder import Bundle, ModelConfig

EXAMPLES = (
    "emocatcher info",
    "emocatcher info runs/holdout/fold_0/last --json",
    "emocatcher info --schema > prediction.schema.json",
)


def info(
    model: options.ModelArgument = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's settings as JSON.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of predictions (the same for all models) and exit.")
    ] = False,
) -> None:
    """Show a model's card: labels, data, protocol, scores, licence, limits."""
    if schema:
        from emocatcher.recognition.json_schema import prediction_schema_text

        typer.echo(prediction_schema_text(), nl=False)
        return
    from emocatcher.cli import screen
    from emocatcher.models import finding, model_folder

    opened = model_folder.read(finding.find_folder(model or None))
    if as_json:
        screen.print_json(opened.config, indent=True)
    else:
        _print(opened)


def _print(opened: Bundle) -> None:
    from emocatcher.cli import screen
    from emocatcher.models import model_folder
    from emocatcher.models.model_folder import model_card

    config, training, front_end = opened.config, opened.config.training, opened.config.settings.front_end
    speakers = {None: "", True: "; test speakers are also in training", False: "; no speaker is in both parts"}
    protocol = training.protocol + ("" if training.fold is None else f", fold {training.fold}")
    selection = training.selection + (
        " (optimistic: chosen on the test part)" if training.selection == "best-test" else ""
    )
    trained = (("epoch", training.epoch), ("seed", training.seed))
    sound = f"{front_end.sample_rate:,} Hz, {front_end.n_mels} mel bands up to {front_end.f_max:g} Hz"
    if front_end.pitch:
        sound += f", pitch from {front_end.pitch.f_min:g} to {front_end.pitch.f_max:g} Hz"
    rows: list[tuple[str, str | Text]] = [
        ("Emotions", _labels(config)),
        ("Input", sound),
        ("Parameters", f"{config.n_parameters:,} (preset {config.settings.preset})"),
        ("Corpus", training.corpus + (" (SYNTHETIC: generated voices, for tests only)" if training.synthetic else "")),
        ("Protocol", protocol + speakers[training.speakers_shared]),
        ("Selection", ", ".join([selection, *(f"{name} {value}" for name, value in trained if value is not None)])),
        ("Adaptation", "\n".join(model_card.adapted_to(config.adaptation)) if config.adaptation else ""),
        ("Scores", _scores(training.scores)),
        ("Calibration", _calibration(config)),
        ("Abstains", f"below a probability of {config.abstain_below:.0%}" if config.abstain_below else "never"),
        ("Note", training.note),
        ("Licence", training.licence),
        ("Limits", _limits(opened.path / model_folder.CARD)),
        ("Folder", str(opened.path)),
    ]
    screen.facts(rows, title=config.name, after_title=f", by emocatcher {config.version}")


def _labels(config: ModelConfig) -> Text:
    from rich.text import Text

    from emocatcher.cli import screen

    shades = screen.shades(config.labels).items()
    return Text("  ").join(Text.assemble(("■ ", shade), screen.one_line(label)) for label, shade in shades)


def _scores(scores: dict[str, float]) -> str:
    shown = {name: value for name, value in scores.items() if not name.startswith("expected_calibration_error")}
    width = max(map(len, shown), default=0)
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {value:.1%}" for name, value in shown.items())


def _calibration(config: ModelConfig) -> str:
    """Describe the temperature, and its effect on the calibration error if that was measured."""
    scores = config.training.scores
    before, after = scores.get("expected_calibration_error_before"), scores.get("expected_calibration_error")
    if config.temperature == 1.0:
        return "none: the probabilities are the network's own"
    measured = "" if before is None or after is None else f"; calibration error {before:.3f} before, {after:.3f} after"
    return f"temperature {config.temperature:.3g}{measured}"


def _limits(card: Path) -> str:
    """Return the section "Limits" of the model card as one paragraph."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^## Limits\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
