"""`emocatcher push`."""

from __future__ import annotations

from typing import Annotated

import typer

from emocatcher.cli import options

EXAMPLES = ("emocatcher push models/mine owner/mine --dry-run", "emocatcher push models/mine owner/mine")


def push(
    model: options.ModelArgument,
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hugging Face hub.")],
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository public; by default it is private.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of a repository; they stay in its history.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, with the whole card, and send nothing.")
    ] = False,
) -> None:
    """Publish a model on the Hugging Face hub, with its card, licence and scores.

    Only the files of the model are sent, never the rest of its folder. The
    token is that of `hf auth login` or HF_TOKEN. Needs the extra hub.
    """
    from emocatcher.cli import screen
    from emocatcher.models import finding, hub_push, model_folder

    opened = model_folder.read(finding.find_folder(model or None))
    sent = hub_push.files(opened, name)
    target = screen.console()
    sizes = {part: len(what) if isinstance(what, bytes) else what.stat().st_size for part, what in sent.items()}
    screen.table(("file", "bytes"), [(part, f"{size:,}") for part, size in sizes.items()])
    target.print(screen.one_line(f"Licence: {opened.config.training.licence}"), markup=False)
    if dry_run:
        state = "public" if public else "private"
        address = f"{hub_push.endpoint()}/{name} ({state}, if it is new)"
        target.print(f"Nothing was sent. It would go to {address}, with this card:", markup=False)
        card = sent[model_folder.CARD]
        typer.echo(card.decode() if isinstance(card, bytes) else "")
        return
    done = hub_push.push(name, sent, private=not public, overwrite=overwrite)
    state = "private: its owner's token reads it" if done.private else "public"
    target.print(f"Published at {done.address} ({state})", markup=False)
    target.print(screen.one_line(f"Use it: emocatcher predict voice.wav --model {name}"), markup=False)
