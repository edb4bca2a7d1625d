"""`emocatcher adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from emocatcher.models.model_folder import Bundle

EXAMPLES = (
    "emocatcher adapt my.csv --to models/mine",
    "emocatcher adapt my.csv --labels satisfied,annoyed,neutral --to models/mine",
    "emocatcher adapt calls/ --unlabelled --to models/calls",
)


def adapt(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="A table with the columns path and label, better also speaker, or a folder with one sub-folder per "
            "label. With --unlabelled: files, folders, quoted patterns or lists.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="The model folder to write.")],
    model: options.Model = None,
    channels: options.OneChannel = "mix",
    labels: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="The labels of the adapted model, old or new; by default those of the recordings.",
            show_default=False,
        ),
    ] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Adapt to recordings without labels, by its own answers.")
    ] = False,
    name: Annotated[
        str, typer.Option(help="The name of the model; by default the name of the folder.", show_default=False)
    ] = "",
    track: options.Track = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in --to.")] = False,
) -> None:
    """Adapt a model to your recordings: with some 50 labelled ones, or to a room or a language without labels."""
    from emocatcher.foundation.errors import SettingError, one_line
    from emocatcher.models import finding, model_folder
    from emocatcher.training.tracking import trainings

    if not overwrite:
        options.check_holds_no_model(to)
    if unlabelled and labels:
        raise SettingError("--labels needs labelled recordings. Leave out --labels or --unlabelled")
    channel = options.one_channel(channels)
    opened = model_folder.read(finding.find_folder(model))
    named = name or to.resolve().name
    model_folder.check_names(named, ())
    if len(recordings) > 1 and not unlabelled:
        raise SettingError("Give one table or one folder of labelled recordings. Join tables into one")
    with trainings.track_adaptation(track, to, lambda note: typer.echo(f"Note: {one_line(note)}", err=True)) as finish:
        if unlabelled:
            adapted = _adapt_unlabelled(opened, recordings, channel, to, named)
        else:
            wanted = tuple(filter(None, (one.strip() for one in labels.split(","))))
            adapted = _adapt(opened, recordings[0], channel, to, named, wanted)
        finish(adapted.config)


def _adapt(opened: Bundle, source: str, channel: int | None, to: Path, name: str, labels: tuple[str, ...]) -> Bundle:
    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus
    from emocatcher.reports import adaptation as page
    from emocatcher.training.adaptation import adapt as adapt_model

    corpus = load_corpus(source).of_channel(channel)
    notes = screen.console(stderr=True)
    with screen.progress(unit="done") as start:
        adapted = adapt_model(
            opened, corpus, to, name=name, labels=labels, on_progress=_bars(start),
            on_note=lambda note: notes.print(f"Note: {screen.one_line(note)}", markup=False),
        )  # fmt: skip
    written = page.write(adapted)
    found = adapted.config.adaptation
    assert found is not None  # noqa: S101 (it was adapted)
    target = screen.console()
    screen.table(page.steps(found).header, page.steps(found).rows)
    target.print(page.outcome(found), markup=False)
    for sentence in page.advice(found):
        target.print(f"Next: {sentence}", markup=False)
    target.print(f"Model: {to}", markup=False)
    target.print(f"Report: {written}", markup=False)
    return adapted


def _bars(start: Callable[[str], Callable[[int, int, str], None]]) -> Callable[[str, int, int], None]:
    """Return what shows the progress of each kind of work in a bar of its own."""
    bars: dict[str, Callable[[int, int, str], None]] = {}

    def show(what: str, n_done: int, n: int) -> None:
        bars[what] = bars.get(what) or start(what)
        bars[what](n_done, n, "")

    return show


def _adapt_unlabelled(opened: Bundle, recordings: list[str], channel: int | None, to: Path, name: str) -> Bundle:
    from emocatcher.audio import folder_search
    from emocatcher.cli import screen
    from emocatcher.corpora.table import Corpus, Utterance
    from emocatcher.evaluation.scoring.adaptation import AS_IT_IS
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.errors import SettingError, one_line
    from emocatcher.recognition import batch, settling
    from emocatcher.recognition.prediction import Prediction
    from emocatcher.recognition.recognizer import load
    from emocatcher.reports import adaptation as page
    from emocatcher.training import adaptation, long_recordings

    adaptation.check(opened)  # before minutes of recognition
    names = batch.expand(recordings, on_note=lambda note: typer.echo(f"Note: {one_line(note)}", err=True))
    batch.only_local(names, "adapt")
    chosen = settling.sample(list(dict.fromkeys(names)))
    with screen.progress(unit="done") as start:
        advance, found = start("speech"), []
        channels = "mix" if channel is None else channel + 1
        outcomes = load(opened.path).predict_many(chosen, channels=channels, workers=process_setup.usable_cores())
        for number, (one, outcome) in enumerate(zip(chosen, outcomes, strict=True), start=1):
            if isinstance(outcome, Prediction) and outcome.emotion is not None:
                path = folder_search.expand_home(one)
                found.append(Utterance(id=one, path=path, emotion="", channel=channel))
            advance(number, len(chosen), "")
        if len(found) < settling.FEWEST:
            raise SettingError(
                f"{len(found)} of the recordings have speech; to adapt to them, {settling.FEWEST} or more are needed, "
                "better 50. Add recordings of the same room, microphone or language"
            )
        if note := long_recordings.note(found, "is adapted to as one utterance"):
            typer.echo(f"Note: {note}", err=True)
        corpus = Corpus(name=Path(recordings[0]).resolve().stem, utterances=tuple(found), labels=("",))
        adapted = adaptation.adapt_unlabelled(opened, corpus, to, name=name, on_progress=_bars(start))
    (to / page.PAGE).unlink(missing_ok=True)  # of a model that was replaced
    of = "" if len(found) == len(names) else f" of {len(names)}"
    if adapted.config.adaptation and adapted.config.adaptation.chosen == AS_IT_IS:
        what = (
            f"The answers for {len(found)}{of} recordings are of too few emotions to learn from: the model is as it was"
        )
        typer.echo(f"{what}. Give recordings of many emotions", err=True)
    else:
        typer.echo(
            f"Adapted to {len(found)}{of} recordings by its own answers for them. Nothing was measured", err=True
        )
    typer.echo(f"{one_line(to)} is written. Use it with: emocatcher predict RECORDING --model {one_line(to)}")
    return adapted
