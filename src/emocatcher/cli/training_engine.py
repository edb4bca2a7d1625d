"""Choose where a training runs, by the options of `train` and `sweep`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emocatcher.training import training_pool

Engine = Annotated[
    str | None, typer.Option(metavar="ray", help="Train on many machines with Ray (the extra 'distributed').")
]
CpusPerTask = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="With --engine ray: CPUs for each task; by default 1.")
]
GpusPerTask = Annotated[
    float | None,
    typer.Option(min=0, metavar="N", help="With --engine ray: GPUs for each task, such as 1 or 0.25; by default none."),
]


def refuse_uri(out: Path) -> Path:
    """Refuse a URI as the folder of a training; a path has lost the second slash of its `://`.

    Raises:
        BadParameter: if it is one.
    """
    from emocatcher.foundation import uris

    scheme = out.parts[0] if out.parts else ""
    if uris.is_uri(f"{scheme}//"):
        raise typer.BadParameter(
            f"'{scheme}//…' is not a folder. A training changes its files again and again, which object storage does "
            "not allow. Give a folder, for Ray on a file system that all nodes share, and copy it there at the end"
        )
    return out


@contextlib.contextmanager
def chosen(
    engine: str | None, address: str | None, num_cpus: int | None, num_gpus: float | None
) -> Iterator[training_pool.Engine | None]:
    """Yield the engine for the `with` block; None for processes of this machine.

    Raises:
        MissingExtraError: if Ray is not installed.
        ClusterError: if the cluster cannot be used.
    """
    if engine is None:
        yield None
        return
    from emocatcher.distributed import cluster
    from emocatcher.distributed.ray_engine import ray_engine

    cluster.silence_ray()
    with ray_engine(address or cluster.LOCAL, num_cpus=num_cpus or 1, num_gpus=num_gpus or 0) as found:
        yield found
