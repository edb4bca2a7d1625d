"""A finished run, and threads that stand in for the processes that track."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from emocatcher.evaluation.scoring.run_result import Plan
from emocatcher.training.tracking.tracked import Tracked
from generated_runs import write_made_run

# Three grey pixels in a row.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000030000000108000000003e8b4b680000000c49444154789c63"
    "6068f80f00020301802461f5970000000049454e44ae426082"
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A generated run of two folds and twelve epochs, with a picture, as a report would write it."""
    folder = write_made_run(tmp_path / "run", n_folds=2, n_epochs=12, n_utterances=60)
    plan = Plan(corpus="ravdess", protocol="reference-holdout", seed=0, n_utterances=60)
    (folder / "run.json").write_bytes(msgspec.json.encode(plan))
    (folder / "figures").mkdir()
    (folder / "figures" / "curves.png").write_bytes(PICTURE)
    return folder


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Connection], None]], None]:
    """A function that lets threads of this process stand in for those that track, which start in seconds."""

    def use(answer: Callable[[Connection], None]) -> None:
        def start(_: Tracked) -> Connection:
            ours, theirs = multiprocessing.Pipe()
            theirs.send("")  # the library is imported

            def work() -> None:
                with contextlib.suppress(OSError, EOFError), theirs:
                    answer(theirs)

            threading.Thread(target=work, daemon=True).start()
            return ours

        monkeypatch.setattr(Tracked, "_start_process", start)

    return use
