"""`emocatcher audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from emocatcher.cli import completion, options

EXAMPLES = (
    "emocatcher audit --corpus ravdess --protocol emobox-6",
    "emocatcher audit --corpus my.csv --protocol manifest --json",
)


def audit(
    protocol: Annotated[
        str,
        typer.Option(
            help="The protocol to audit: emobox-6, speakers-K, manifest, …", autocompletion=completion.protocols
        ),
    ],
    corpus: options.CorpusName = "ravdess",
    preset: options.Preset = "cabg",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed of speakers-K and stratified-K.")] = 0,
    setting: options.Set = None,
    everything: Annotated[bool, typer.Option("--all", help="List every pair of recordings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for leaks between training and test.

    Finds speakers and recordings that are in both parts (also re-encoded,
    resampled, trimmed or at another level), recordings with two labels, and
    settings that fit or select on data outside the training part.
    Exit code: 0 if nothing leaks, 1 if something leaks, 2 if the audit cannot run.
    """
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.evaluation import audit as auditing
    from emocatcher.evaluation import protocols
    from emocatcher.foundation.settings import load_preset

    settings = load_preset(preset, setting or ())
    loaded = load_corpus(corpus)
    folds = protocols.load(protocol, loaded, seed)
    with screen.progress(unit="recordings") as start:
        advance = start("audit")
        found = auditing.run(loaded, folds, settings, on_progress=lambda done, total: advance(done, total, ""))
    if as_json:
        screen.print_json(found)
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
