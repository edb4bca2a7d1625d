"""`emocatcher evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emocatcher.cli import completion, options, settling_options

EXAMPLES = (
    "emocatcher evaluate models/mine --corpus test.csv",
    "emocatcher evaluate emocatcher-3 --corpus test.csv --emotions neutral,happy,sad,angry",
    "emocatcher evaluate runs/holdout/fold_0/last --protocol reference-holdout --fold 0 --json",
)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="A model folder.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="The protocol whose test part to use; by default all recordings of the corpus.",
            show_default=False,
            autocompletion=completion.protocols,
        ),
    ] = "",
    fold: Annotated[int, typer.Option(min=0, help="The fold, counting from 0.")] = 0,
    corpus: options.CorpusName = "ravdess",
    channels: options.OneChannel = "mix",
    settled: settling_options.SettledFile = None,
    emotions: settling_options.Emotions = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Utterances per batch; does not affect the scores.")] = 64,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Random seed of speakers-K and stratified-K; by default the model's.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a model on a corpus, or on the test part of one fold."""
    import msgspec

    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.evaluation import protocols
    from emocatcher.recognition.recognizer import load
    from emocatcher.reports.run_report import dimension_scores, group_scores
    from emocatcher.training import fold_evaluation

    options.one_channel(channels)
    recognizer = settling_options.adjust(load(model), settled, None)
    loaded = load_corpus(corpus)
    chosen = (recognizer.config.training.seed or 0) if seed is None else seed
    folds = protocols.load(protocol, loaded, chosen) if protocol else protocols.whole(loaded)
    found = fold_evaluation.evaluate(
        recognizer, loaded, folds, fold, seed=chosen, batch_size=batch_size, channels=channels,
        emotions=settling_options.names(emotions),
    )  # fmt: skip
    for warning in found.warnings:
        screen.console(stderr=True).print(f"Note: {warning}", markup=False)
    if as_json:
        fields = {name: value for name, value in msgspec.to_builtins(found).items() if name != "warnings"}
        screen.print_json(fields)
        return
    target = screen.console()
    shared = {True: "yes", False: "no", None: "not known"}[found.speakers_shared]
    if found.speakers_shared is None and found.n_test_trained_on is not None:
        what = "table" if Path(corpus).is_file() else "corpus"
        shared += f": the {what} names " + ("not all" if loaded.speakers else "no") + " speakers"
    part = f"{found.protocol}, fold {found.fold}" if protocol else "all recordings"
    target.print(f"{recognizer.config.name} on {loaded.name}, {part}", markup=False)
    target.print(f"trained on: {found.trained_on}", markup=False)
    if emotions is not None:
        target.print(f"answers: {', '.join(found.recall)}", markup=False)
    target.print(f"speakers shared with training: {shared}")
    rows = [
        ("correct", f"{found.n_correct} of {found.n_utterances}"),
        ("accuracy (WAR)", f"{found.accuracy:.2%}"),
        ("UAR", f"{found.unweighted_average_recall:.2%}"),
        ("macro F1", f"{found.macro_f1:.2%}"),
        *(
            (f"recall of {name}", "no such clip" if rate is None else f"{rate:.2%}")
            for name, rate in found.recall.items()
        ),
    ]
    screen.table(("", "test part"), rows)
    if by_group := group_scores.table(found.speaker_groups):
        screen.table(by_group.header, by_group.rows)
    if by_dimension := dimension_scores.table(found.dimensions):
        screen.table(by_dimension.header, by_dimension.rows)
    if words := group_scores.sentence(found.speaker_groups):
        target.print(words, markup=False)
