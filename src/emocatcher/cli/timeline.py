"""`emocatcher timeline`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocatcher.cli import completion, options, ray_options, settling_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from emocatcher import audio
    from emocatcher.audio import Waveform
    from emocatcher.recognition.timeline import Timeline

EXAMPLES = (
    "emocatcher timeline interview.mp3",
    "emocatcher timeline interview.mp3 --out interview.TextGrid --plot interview.svg",
    "emocatcher timeline call.wav --channels each --out call.TextGrid",
    "emocatcher timeline meeting.wav --speakers meeting.rttm --out meeting.json",
    "emocatcher timeline interview.mp3 --window 3 --hop 0.5 --format csv",
    "emocatcher timeline manifest.parquet --engine ray --out timelines/",
)

_BAR = 20  # characters
_LONG_S = 120.0  # from this duration on, show a progress bar


def timeline(
    recording: Annotated[
        str,
        typer.Argument(metavar="RECORDING", help="A recording of any length, in any common format: a path or a URI."),
    ],
    model: options.Model = None,
    channels: options.Channels = "mix",
    speakers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recognise each turn of each speaker: RTTM, CSV or JSON of a diariser (pyannote, NeMo, WhisperX).",
        ),
    ] = None,
    settled: settling_options.SettledFile = None,
    emotions: settling_options.Emotions = None,
    window: options.Window = 3.0,
    hop: options.Hop = 0.5,
    abstain_below: options.AbstainBelow = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            autocompletion=completion.timeline_formats,
            metavar="KIND",
            help="table, json, csv, parquet, srt, vtt, textgrid or audacity; by default the suffix of --out.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file to write, a path or a URI; by default printed.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Also draw a figure, .svg or .png.")] = None,
    plot_width: Annotated[float, typer.Option(help="Width of the figure, inches.", min=3, max=40)] = 10.0,
    column: ray_options.Column = None,
    id_: ray_options.Id = None,
    engine: ray_options.Engine = None,
    address: ray_options.Address = None,
    num_cpus: ray_options.NumCpus = None,
    batch: ray_options.Batch = None,
    limit: ray_options.Limit = None,
    resume: ray_options.Resume = False,
) -> None:
    """Recognise how the emotion changes over a long recording."""
    ray_options.check_unused(
        engine, column=column, id=id_, address=address, num_cpus=num_cpus, batch=batch, limit=limit,
        resume=resume or None,
    )  # fmt: skip
    if engine is not None:
        ray_options.refuse(
            format="Allowed: parquet, and for a file for each recording too: json, csv, srt, vtt, textgrid, audacity"
            if format_ == "table"
            else "",
            speakers="Give each recording alone" if speakers is not None else "",
            plot="Draw the recordings that you choose, one by one" if plot is not None else "",
        )
        ray_options.run(
            "timeline", [str(recording)], out, model=model, column=column,
            id_column=id_, address=address, num_cpus=num_cpus, batch=batch, limit=limit, resume=resume,
            overwrite=overwrite, settled=settled, emotions=settling_options.names(emotions), channels=channels,
            abstain_below=abstain_below, window_s=window, hop_s=hop, kind=None if format_ == "parquet" else format_,
        )  # fmt: skip
        return
    import msgspec

    from emocatcher.audio.channels import check
    from emocatcher.foundation import uris
    from emocatcher.foundation.errors import SettingError, one_line
    from emocatcher.recognition import each_channel
    from emocatcher.recognition.recognizer import load
    from emocatcher.recognition.timeline import formats
    from emocatcher.recognition.timeline import plot as picture
    from emocatcher.recognition.timeline.envelope import Envelope
    from emocatcher.recognition.timeline.recording import printable

    # Check all arguments before hours of sound are processed.
    check(channels)
    if speakers is not None and channels == "each":
        raise SettingError("--speakers and --channels each both divide the recording. Give only one of them")
    for place in filter(uris.is_uri, (out, plot)):
        uris.check_place(place)
    kind = formats.choose(format_, Path(uris.redacted(out)) if out else None)
    if kind == "parquet" and out is None and sys.stdout.isatty():
        raise SettingError("Parquet is binary and cannot be shown in a terminal. Give --out FILE")
    for path in filter(None, (out, plot)):
        _check_free(path, overwrite=overwrite)
    if plot is not None:
        plot_kind = picture.kind_of(Path(uris.redacted(plot)))
        picture.check()
    recognizer = settling_options.adjust(load(model), settled, emotions)
    rate = recognizer.config.settings.front_end.sample_rate
    from emocatcher.audio.decoding import declared_duration_s
    from emocatcher.audio.sources import path_of
    from emocatcher.cli import screen

    with screen.progress(unit="s") as start, _opened(recording, channels) as source:
        expected_s = declared_duration_s(source)  # only for the progress bar
        advance = start("timeline") if expected_s is None or expected_s >= _LONG_S else None
        envelopes: list[Envelope] = []

        def watch(note: str) -> Callable[[Waveform], None]:
            """Return what is called with each block of one more waveform."""
            envelope, n_samples = Envelope(), 0
            envelopes.append(envelope)

            def block_done(block: Waveform) -> None:
                nonlocal n_samples
                n_samples += len(block)
                if plot is not None:
                    envelope.push(block)
                if advance is not None:
                    advance(n_samples // rate, max(round(expected_s or 0), n_samples // rate + 1), note)

            return block_done

        def recognise(again: audio.Source, channel: int | str) -> Timeline:
            note = "" if channels == "mix" else f"channel {channel}"
            how["on_block"] = watch(note)
            return recognizer.timeline(again, channels=channel, **how)

        def note(text: str) -> None:
            typer.echo(f"Note: {one_line(text)}", err=True)

        how: dict[str, Any] = {"window_s": window, "hop_s": hop, "abstain_below": abstain_below}
        found: tuple[Timeline, ...]
        if speakers is not None:
            how |= {"channels": channels, "on_block": watch(""), "on_note": note}
            found = recognizer.timeline_by_speaker(source, speakers, **how)
            envelopes *= len(found)
        elif channels == "each":
            found = each_channel.recognise(recognise, source)
        else:
            found = (recognise(source, channels),)
        path = printable(path_of(recording))  # as given, also of a file:// URI
        found = tuple(msgspec.structs.replace(each, path=path) for each in found)
        if advance is not None:
            advance(round(found[0].duration_s), round(found[0].duration_s), "")
    if plot is not None:
        parts = list(zip(found, envelopes, strict=True))
        _write(plot, picture.draw_channels(parts, plot_kind, plot_width))
    _print_or_write(found if channels == "each" or speakers is not None else found[0], kind, out)


def _opened(recording: str, channels: str) -> contextlib.AbstractContextManager[audio.Source]:
    """Open a recording at a URI, so that it is transferred once for its duration and all of its channels."""
    from emocatcher.audio.sources import held
    from emocatcher.foundation import uris

    return held(recording, often=channels == "each") if uris.is_uri(recording) else contextlib.nullcontext(recording)


def _print_or_write(result: Timeline | tuple[Timeline, ...], kind: str, out: str | None) -> None:
    from rich.console import Console

    from emocatcher.cli import screen, speaker_card
    from emocatcher.recognition.timeline import SpeakerTimeline, formats

    timelines = result if isinstance(result, tuple) else (result,)
    speakers = [timeline for timeline in timelines if isinstance(timeline, SpeakerTimeline)]
    if kind != "table":
        own = (f"{timeline.of_part}{caution.message}" for timeline in timelines for caution in timeline.warnings)
        for warning in speaker_card.warnings(speakers) if speakers else own:  # most formats have no place for them
            typer.echo(f"! {warning}", err=True)
        payload = formats.encode(result, kind)
        if out is not None:
            _write(out, payload)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(payload)
            sys.stdout.buffer.flush()
        return
    tables = [speaker_card.table(speakers)] if speakers else [_table(timeline) for timeline in timelines]
    if out is None:
        for table in tables:
            screen.console().print(table, soft_wrap=False)
    else:
        import io

        text = Console(file=io.StringIO(), width=100, color_system=None)
        with text.capture() as captured:
            for table in tables:
                text.print(table)
        _write(out, captured.get().encode())


def _table(result: Timeline) -> Group:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from emocatcher.cli import screen

    shades = screen.shades(result.labels)
    title = result.part or None
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in (("from", "right"), ("to", "right"), ("emotion", "left"), ("probability", "left")):
        drawn.add_column(name, justify="right" if justify == "right" else "left")
    for segment in result.segments:
        times = clock(segment.start_s), clock(segment.end_s)
        if segment.emotion is None or segment.probability is None:
            drawn.add_row(*times, Text("no speech", "dim"), "")
        else:
            bar = Text("█" * round(segment.probability * _BAR) or "▏", shades[segment.emotion])
            answer = Text(segment.emotion + "?" * segment.abstain, "dim" if segment.abstain else "")
            drawn.add_row(*times, answer, Text(f"{segment.probability:4.0%} ") + bar)
    notes = [Text("! ", "bold") + Text(caution.message) for caution in result.warnings]
    if any(segment.abstain and segment.emotion is not None for segment in result.segments):
        notes.insert(0, Text(f"?  below {result.abstain_below:.0%}: treat it as no answer", "dim"))
    return Group(drawn, *notes)


def clock(time_s: float) -> str:
    """Format a time for reading.

    Examples:
        >>> clock(3.25), clock(3725.5)
        ('0:03.2', '1:02:05.5')
    """
    tenths = int(10 * time_s)
    hours, minutes, seconds = tenths // 36_000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def _check_free(place: str, *, overwrite: bool) -> None:
    from emocatcher.foundation import uris
    from emocatcher.foundation.errors import OutputError

    if uris.is_uri(place):
        kind = uris.kind_of(place)
    else:
        kind = "folder" if Path(place).is_dir() else "file" if Path(place).exists() else ""
    if kind == "folder":
        raise OutputError(f"{uris.redacted(place)} is a folder. Give the name of a file")
    if kind == "file" and not overwrite:
        raise OutputError(f"{uris.redacted(place)} exists already. Give another name, or --overwrite")


def _write(place: str, payload: bytes) -> None:
    from emocatcher.foundation import atomic_files, uris
    from emocatcher.foundation.errors import OutputError

    if uris.is_uri(place):
        uris.write_bytes(place, payload)
        return
    try:
        atomic_files.write_bytes(Path(place), payload)
    except OSError as error:
        raise OutputError(f"{place} cannot be written: {error.strerror}") from None
