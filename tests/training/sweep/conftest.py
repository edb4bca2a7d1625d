"""A sweep that runs in the test process, and a finished sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.training.sweep.plan import Named, SweepFile, resolve


class Swept(NamedTuple):
    folder: Path
    corpus: Corpus
    file: SweepFile
    ranking: Any
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def small_file(small_network: tuple[str, ...]) -> SweepFile:
    """Two settings on two inner folds: four trials of three epochs."""
    return SweepFile(
        protocol="speakers-2",
        inner=2,
        set=(*small_network, "training.n_epochs=3"),
        setting=(Named("baseline"), Named("smoother", ("training.label_smoothing=0.3",))),
    )


@pytest.fixture(scope="session")
def sweep_here(train_here: Callable[..., Any]) -> Iterator[Callable[..., Swept]]:
    """`sweep.run` in this process: (out, corpus, file, …) → its results. `changes` change the file."""
    from emocatcher.training import experiment
    from emocatcher.training.sweep import engine

    def sweep(out: Path, corpus: Corpus, file: SweepFile, *, changes: Any = None, **options: Any) -> Swept:
        file = msgspec.structs.replace(file, **(changes or {}))
        protocol = protocols.load(file.protocol, corpus, file.seeds[0])
        ranking, seconds = engine.run(resolve(file, "a sweep"), corpus, protocol, out, **options)
        return Swept(out, corpus, file, ranking, seconds)

    with pytest.MonkeyPatch.context() as patch:
        # The replacement by `train_here`, which starts no process.
        patch.setattr(engine, "TrainingPool", experiment.TrainingPool)
        yield sweep


@pytest.fixture(scope="session")
def small_sweep(
    tmp_path_factory: pytest.TempPathFactory, sweep_here: Callable[..., Swept], voices: Corpus, small_file: SweepFile
) -> Swept:
    """A finished sweep; tests must not write to it."""
    return sweep_here(tmp_path_factory.mktemp("sweeps") / "small", voices, small_file)
