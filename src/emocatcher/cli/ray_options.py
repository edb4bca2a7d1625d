"""Options for tables of recordings and for Ray, and the run of `predict` and `timeline` on it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emocatcher.distributed.jobs import Job, Note, Progress

Engine = Annotated[
    str | None, typer.Option(metavar="ray", help="Work on many cores or machines with Ray; --out is then a folder.")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ray://HOST:PORT", help="With --engine ray: the cluster; by default a Ray on this machine."
    ),
]
Column = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a table: the column with the recordings; by default path.")
]
Id = Annotated[str | None, typer.Option("--id", metavar="NAME", help="Of a table: the column with the rows' ids.")]
NumCpus = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="With --engine ray: CPUs to use; by default all.")
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch", min=1, max=1024, metavar="N", help="With --engine ray: recordings that a worker takes at a time.",
        show_default="up to 32",
    ),
]  # fmt: skip
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="With --engine ray: only the first N recordings.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="With --engine ray: add the recordings that --out has no result of yet.")
]


def check_unused(engine: str | None, **with_ray: object) -> None:
    """Refuse an unknown engine, and options that need Ray without it."""
    if engine not in (None, "ray"):
        raise typer.BadParameter(f"'{engine}' is not an engine. Allowed: ray", param_hint="--engine")
    for name, value in with_ray.items():
        if engine is None and value is not None:
            raise typer.BadParameter("is for work on a cluster. Give --engine ray too", param_hint=_flag(name))


def refuse(**given: str) -> None:
    """Refuse options that make no sense with Ray: each with what to do instead, or "" if it was not given."""
    for name, why in given.items():
        if why:
            raise typer.BadParameter(f"cannot be used with --engine ray. {why}", param_hint=_flag(name))


def run(
    command: str,
    recordings: Sequence[str],
    out: str | None,
    *,
    model: str | None,
    column: str | None,
    id_column: str | None,
    address: str | None,
    num_cpus: int | None,
    batch: int | None,
    limit: int | None,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Recognise recordings, or the rows of manifests, on Ray; print the progress and a summary.

    Args:
        command: "predict" or "timeline".
        recordings: manifests; or files, folders and patterns of recordings.
        out: the folder of the results; also a URI.
        model: as for `load`.
        column: of the recordings; with it or `id_column`, folders are of Parquet.
        id_column: of the ids.
        address: of the cluster; None for a local Ray.
        num_cpus: how many CPUs to use.
        batch: rows of a task.
        limit: rows to use.
        resume: add what is missing.
        overwrite: remove earlier results.
        settings: of the work (see `distributed.works`).
    """
    from emocatcher.distributed import cluster, jobs, manifest_tables, works
    from emocatcher.distributed.result_folder import ResultFolder

    cluster.require_ray()
    cluster.silence_ray()
    if out is None:
        raise typer.BadParameter("needs a folder for the results. Give --out FOLDER", param_hint="--engine ray")
    if manifest_tables.is_table(out):
        raise typer.BadParameter("is the name of a table. Give a folder: the result has many files", param_hint="--out")
    work = works.work(command, model, column or works.COLUMN, id_column, **settings)
    folder = ResultFolder(out, work.main, work.suffix)
    if resume and overwrite:
        raise typer.BadParameter(
            "--overwrite would remove the results to resume. Give only one of them", param_hint="--resume"
        )
    jobs.prepare(folder, resume=resume, overwrite=overwrite)
    names, manifest = works.manifest(
        recordings, folder, column, id_column, limit, on_note=lambda note: typer.echo(note, err=True)
    )
    job = jobs.Job(manifest, names, work, folder)
    if job.is_complete:
        typer.echo(f"{folder.name} is complete.", err=True)
    try:
        note = _with_progress(command, job, address or cluster.LOCAL, num_cpus, batch)
    except KeyboardInterrupt:
        typer.echo(f"Stopped. {_counts(job.note)}. Resume with --resume --out {folder.name}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{_counts(note)}, {note.seconds:,.0f} s: {folder.name}", err=True)
    if note.n_failed:
        raise typer.Exit(1)


def _with_progress(command: str, job: Job, address: str, num_cpus: int | None, batch: int | None) -> Note:
    from emocatcher.cli import screen

    is_plain = not sys.stderr.isatty()
    # A machine that is taken back sends SIGTERM first; Ray sets a handler that loses what is done when it starts.
    takes_sigterm = threading.current_thread() is threading.main_thread()
    with screen.progress(unit="rows") as start:
        advance = start(command)

        def show(progress: Progress) -> None:
            if takes_sigterm and signal.getsignal(signal.SIGTERM) is not signal.default_int_handler:
                signal.signal(signal.SIGTERM, signal.default_int_handler)
            n_new = progress.n_done - progress.n_before
            rate = n_new / progress.seconds if progress.seconds else 0.0
            note = [f"{rate:.3g}/s"] if rate else []
            note += [f"{progress.n_failed:,} failed"] if progress.n_failed else []
            if rate and is_plain and progress.n_done < progress.n_rows:  # a bar has its own
                note.append(f"{_duration((progress.n_rows - progress.n_done) / rate)} left")
            advance(progress.n_done, progress.n_rows, ", ".join(note))

        return job.run(address, num_cpus, batch, show)


def _duration(seconds: float) -> str:
    """Return a duration for reading.

    Examples:
        >>> _duration(41.2), _duration(7500), _duration(400_000)
        ('41 s', '2 h 5 min', '4 d 15 h')
    """
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _counts(note: Note) -> str:
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in note.errors.items())
    failed = f", {note.n_failed:,} of them failed ({kinds})" if note.n_failed else ""
    return f"{note.n_done:,} of {note.n_rows:,} rows are done{failed}"


def _flag(name: str) -> str:
    return f"--{name.rstrip('_').replace('_', '-')}"
