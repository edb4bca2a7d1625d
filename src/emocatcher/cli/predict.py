"""`emocatcher predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocatcher.cli import completion, options, ray_options, settling_options, table_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emocatcher.recognition.batch import Done
    from emocatcher.recognition.prediction import Failure, Prediction
    from emocatcher.recognition.recognizer import Recognizer
    from emocatcher.recognition.timeline import Timeline

EXAMPLES = (
    "emocatcher predict voice.m4a",
    "emocatcher predict a.wav calls/ '*.ogg' --out results.parquet --workers 2",
    "emocatcher predict calls/ --channels each --out calls.csv",
    "find . -name '*.wav' | emocatcher predict - --format jsonl",
    "emocatcher predict manifest.parquet --column uri --id call_id --engine ray --out results/",
)


def predict(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS",
            help="Files, folders, quoted patterns, URIs, lists (tables with a column path, or .txt); - reads a pipe.",
        ),
    ],
    model: options.Model = None,
    channels: options.Channels = "mix",
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="json, jsonl, csv or parquet; by default the suffix of --out.",
            metavar="KIND",
            autocompletion=completion.table_formats,
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The table to write, a path or a URI; by default printed.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 means one per core.")] = 1,
    unordered: Annotated[bool, typer.Option("--unordered", help="Write rows in the order they finish.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the table in --out, or add new recordings to it.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: recognise again what failed before.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the table in --out.")] = False,
    settle: Annotated[
        bool, typer.Option("--settle", help="First settle on these recordings, without labels: 25 or more of one set.")
    ] = False,
    settled: settling_options.SettledFile = None,
    emotions: settling_options.Emotions = None,
    abstain_below: options.AbstainBelow = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="File names in the pipe end with NUL, as from find -print0.")
    ] = False,
    column: ray_options.Column = None,
    id_: ray_options.Id = None,
    engine: ray_options.Engine = None,
    address: ray_options.Address = None,
    num_cpus: ray_options.NumCpus = None,
    batch_: ray_options.Batch = None,
    limit: ray_options.Limit = None,
) -> None:
    """Recognise the emotion in recordings."""
    ray_options.check_unused(engine, address=address, num_cpus=num_cpus, batch=batch_, limit=limit)
    if engine is not None:
        ray_options.refuse(
            recordings="A pipe has no order to resume: write a table" if "-" in recordings else "",
            format="The results are Parquet" if format_ not in (None, "parquet") else "",
            workers="Give --num-cpus" if workers != 1 else "",
            unordered="Rows are in the manifest's order, in shards" if unordered else "",
            settle="Run `emocatcher settle` first, then give --settled FILE" if settle else "",
            retry_failed="" if not retry_failed else "Give the failed rows as a manifest of their own",
        )
        ray_options.run(
            "predict", recordings, out, model=model, column=column, id_column=id_,
            address=address, num_cpus=num_cpus, batch=batch_, limit=limit, resume=resume, overwrite=overwrite,
            settled=settled, emotions=settling_options.names(emotions), channels=channels, abstain_below=abstain_below,
        )  # fmt: skip
        return
    import contextlib
    import itertools
    import sys

    from emocatcher.audio.channels import check
    from emocatcher.foundation import process_setup
    from emocatcher.foundation.uris import redacted
    from emocatcher.recognition import batch
    from emocatcher.recognition.recognizer import load

    check(channels)
    kind = batch.format_of(format_, out) if format_ or out else None
    if resume and out is None:
        raise typer.BadParameter("no table to resume. Give --out too", param_hint="--resume")
    if resume and overwrite:
        raise typer.BadParameter(
            "--overwrite would replace the table to resume. Give only one of them", param_hint="--resume"
        )
    if settle and settled is not None:
        raise typer.BadParameter("--settled names what to use. Give only one of them", param_hint="--settle")
    if retry_failed and not resume:
        raise typer.BadParameter("needs the table of an earlier run. Give --resume too", param_hint="--retry-failed")
    piped = [name for name in recordings if name == "-"]
    files, ids = table_options.expand(recordings, column, id_, kind)
    names: Iterable[str] = itertools.chain(files, batch.lines(sys.stdin.buffer, null=null) if piped else ())
    recognizer, n_workers = load(model), workers or process_setup.usable_cores()
    if settle:
        names = listed = list(names)
        recognizer = settling_options.settle(recognizer, listed, n_workers, channels)
    recognizer = settling_options.adjust(recognizer, settled, emotions)
    if kind is None:
        if len(files) == 1 and not piped:
            _print_cards(recognizer, files[0], channels, abstain_below)
        else:
            _print_lines(recognizer, names, n_workers, channels, abstain_below)
        return
    from emocatcher.cli import screen

    # Bars would stand between the rows of a table that is printed in the same terminal.
    shown = contextlib.nullcontext() if out is None and sys.stdout.isatty() else screen.progress(unit="files")
    with shown as start:
        advance = start("predict") if start else None

        def show(done: Done, _: Prediction | Failure) -> None:
            if advance is not None:
                note = f"{done.n_failed} failed" if done.n_failed else ""
                advance(done.n, None if piped else len(files), note)

        try:
            state = batch.run(
                recognizer,
                names,
                kind=kind,
                out=out,
                stream=sys.stdout.buffer,
                workers=n_workers,
                ordered=not unordered,
                resume=resume,
                retry_failed=retry_failed,
                overwrite=overwrite,
                abstain_below=abstain_below,
                channels=channels,
                ids=ids,
                on_row=show,
            )
        except KeyboardInterrupt:
            how = f"are kept. Resume with --resume --out {redacted(screen.one_line(out))}" if out else "were printed"
            typer.echo(f"Stopped. All finished rows {how}", err=True)
            raise typer.Exit(130) from None
    if state.n_failed:
        todo = f". After fixing them: --resume --retry-failed --out {redacted(screen.one_line(out))}" if out else ""
        typer.echo(f"{state.n_failed} of {state.n} recordings failed: see their rows{todo}", err=True)
        raise typer.Exit(1)


def _print_cards(recognizer: Recognizer, name: str, channels: str, abstain_below: float | None) -> None:
    """Print a card for a recording, or for each of its channels."""
    from emocatcher.cli import card, screen

    timelines: list[Timeline] = []
    how: dict[str, Any] = {"abstain_below": abstain_below, "on_timeline": timelines.append}
    if channels == "each":
        found = recognizer.predict_each(name, **how)
    else:
        found = (recognizer.predict(name, channels=channels, **how),)
    long = {timeline.channel: timeline for timeline in timelines}
    for prediction in found:
        card.show(prediction, screen.console(), long.get(prediction.channel))


def _print_lines(
    recognizer: Recognizer, names: Iterable[str], n_workers: int, channels: str, abstain_below: float | None
) -> None:
    """Print a line for each of several recordings, or for each of their channels."""
    from emocatcher.cli import screen
    from emocatcher.recognition.prediction import Failure

    target = screen.console()
    n_failed, width = 0, max(len("no speech"), *(len(screen.one_line(label)) for label in recognizer.config.labels))
    for result in recognizer.predict_many(names, channels=channels, workers=n_workers, abstain_below=abstain_below):
        if isinstance(result, Failure):
            n_failed += 1
        target.print(_line(result, width), markup=False, soft_wrap=True)
    if n_failed:
        typer.echo(f"{n_failed} {'recording' if n_failed == 1 else 'recordings'} failed", err=True)
        raise typer.Exit(1)


def _line(result: Prediction | Failure, width: int) -> str:
    """Return one line in columns; `width` is that of the widest emotion, in characters."""
    from emocatcher.cli import card
    from emocatcher.foundation.errors import one_line
    from emocatcher.recognition.prediction import Failure

    if isinstance(result, Failure):
        return f"{'failed':<{width}}        {one_line(result.path)}: {result.message}"
    codes = " ".join(caution.code for caution in result.warnings)
    name, emotion, share, unsure = one_line(result.path), result.emotion, result.probability, result.abstain
    name += "" if result.channel is None else f", channel {result.channel}"
    if result.shares and emotion is not None:
        share = result.shares[emotion]
        name, unsure = f"{name}: {card.shares_in_words(result.shares)} of the speech", False
    answer = f"{'no speech':<{width}}" if emotion is None else f"{one_line(emotion):<{width}}  {share:4.0%}"
    return f"{answer + '?' * (unsure and emotion is not None):<{width + 7}} {name}" + (f"  ! {codes}" if codes else "")
