"""Options that several commands share, each with its help text."""

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion

_MODEL = "A model folder, or owner/name on the Hugging Face hub; by default the bundled model."

Model = Annotated[str | None, typer.Option(help=_MODEL, autocompletion=completion.models)]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help=_MODEL, show_default=False, autocompletion=completion.models)
]
Window = Annotated[float, typer.Option(metavar="SECONDS", help="Length of a window.")]
Hop = Annotated[float, typer.Option(metavar="SECONDS", help="Time from one window to the next.")]
AbstainBelow = Annotated[
    float | None,
    typer.Option(
        metavar="P", help="Mark answers below this probability (0 to 1) as uncertain; by default the model's threshold."
    ),
]
Channels = Annotated[
    str,
    typer.Option(
        metavar="mix|each|left|right|N",
        help="Recognise the mix of all channels, each on its own, or one of them, by its number from 1.",
        autocompletion=completion.channels,
    ),
]
OneChannel = Annotated[
    str,
    typer.Option(
        metavar="mix|left|right|N",
        help="Recognise the mix of all channels, or one of them, by its number from 1.",
        autocompletion=completion.one_channel,
    ),
]
_CORPUS = "A corpus name, NAME=FOLDER, a table of recordings, or a folder; or several with commas."
CorpusName = Annotated[str, typer.Option(help=_CORPUS, autocompletion=completion.corpora)]
CorpusArgument = Annotated[str, typer.Argument(help=_CORPUS, autocompletion=completion.corpora)]
Preset = Annotated[
    str,
    typer.Option(help="The training settings: a preset name or a TOML file.", autocompletion=completion.presets),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change one setting; may be repeated.",
        autocompletion=completion.settings,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|mps",
        help="What to train on; auto takes cuda, else mps, else cpu. Only cpu gives the same weights each time.",
    ),
]
Track = Annotated[
    str | None,
    typer.Option(
        metavar="KIND[:PLACE]",
        help="Track it with tensorboard, trackio or mlflow, each alone or with a place: a folder, a project of "
        "Trackio, or the address of a server.",
        show_default=False,
        autocompletion=completion.trackers,
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs; by default the preset's.", show_default=False)]


def one_channel(channels: str) -> int | None:
    """Return the index, from 0, of the channel that `OneChannel` names; None for the mix.

    Raises:
        SettingError: if it is none of these.
    """
    from emocatcher.audio.channels import index_of
    from emocatcher.foundation.errors import SettingError

    if channels == "each":
        raise SettingError("--channels each: one label belongs to one voice. Give mix, left, right, or a number from 1")
    return index_of(channels)


def check_holds_no_model(folder: Path) -> None:
    """Refuse to replace a model, or a README.md that is not a model's.

    Raises:
        ModelError: if the folder has one.
    """
    from emocatcher.foundation.errors import ModelError
    from emocatcher.models import model_folder

    if (folder / model_folder.CONFIG).exists():
        raise ModelError(f"{folder} already contains a model. Give --overwrite, or another folder")
    if (folder / model_folder.CARD).exists():
        raise ModelError(
            f"{folder / model_folder.CARD} would be replaced by the card of the model. Give another folder, or "
            "--overwrite"
        )
