"""`emocatcher audit`."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = (
    "emocatcher audit --corpus ravdess --protocol emobox-6",
    "emocatcher audit --corpus my.csv --protocol manifest --json",
)


def audit(
    protocol: Annotated[str, typer.Option(help="Its folds are audited: emobox-6, speakers-K, manifest, …")],
    corpus: Annotated[str, typer.Option(help="A corpus's name, a table of recordings, or a folder.")] = "ravdess",
    preset: Annotated[str, typer.Option(help="The recipe: a preset's name, or a TOML file.")] = "cabg",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of speakers-K and stratified-K.")] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace one setting; may be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Name every pair of recordings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for leaks between training and test.

    Speakers and recordings on both sides (also coded anew, resampled, trimmed or at another level), recordings under
    two labels, and what the recipe learns or selects where it must not. Leaves with 0 where nothing leaks, with 1 where
    something does, and with 2 where it cannot tell.
    """
    import msgspec

    from emocatcher import corpora
    from emocatcher.cli import screen
    from emocatcher.evaluation import audit as auditing
    from emocatcher.evaluation import protocols
    from emocatcher.foundation.settings import load_preset

    settings = load_preset(preset, setting or ())
    loaded = corpora.load(corpus)
    folds = protocols.load(protocol, loaded, seed)
    with screen.progress(unit="recordings") as start:
        advance = start("audit")
        found = auditing.run(loaded, folds, settings, on_progress=lambda done, total: advance(done, total, ""))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        target = screen.console()
        target.print(
            f"{found.corpus}, {found.protocol}: {found.n_utterances} recordings in {found.n_folds} "
            f"fold{'s' * (found.n_folds > 1)}, {found.n_fingerprints} of them with a fingerprint",
            markup=False,
        )
        for line in found.lines(everything=everything):
            target.print(line, markup=False)
    if found.leaks:
        raise typer.Exit(1)
