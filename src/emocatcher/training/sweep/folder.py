"""The sweep folder: what was asked for, a line per finished trial, and the ranking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from emocatcher.corpora.table import Corpus
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import RunError
from emocatcher.training import run_writer
from emocatcher.training.sweep.inner_folds import InnerFold
from emocatcher.training.sweep.plan import Plan
from emocatcher.training.sweep.ranking import Ranking
from emocatcher.training.sweep.trial import Finished, Trial

TRIALS, RANKING, UNDER_WAY = "trials.jsonl", "ranking.json", "under_way"
_PIN = "features.sha256"


def start_files(plan: Plan, corpus: Corpus, inner: Sequence[InnerFold]) -> dict[str, str]:
    """What a sweep starts from, by file name; one is taken up only with the same.

    The folds of `split.csv` are numbered through, in the order of the inner folds.
    """
    return {
        "sweep.toml": plan.to_toml(),
        "config.toml": plan.base.to_toml(),
        "split.csv": run_writer.split_table(corpus, [one.parts for one in inner]),
    }


def check(out: Path, files: Mapping[str, str], *, resume: bool) -> None:
    """Refuse a folder that holds something else than this sweep, or this one where it is not to be resumed.

    Raises:
        RunError: if so. Nothing is written yet.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file. Name a folder with --out")
    if any((out / name).exists() for name in ("run.json", "result.json")):
        raise RunError(f"{out} holds a run, not a sweep. Name another folder with --out")
    if not any((out / name).exists() for name in (*files, TRIALS, RANKING)):
        return
    if not resume:
        raise RunError(f"{out} holds a sweep already. Go on with --resume, or name another folder with --out")
    run_writer.refuse_another(out, files, "sweep", "sweep file and corpus")


def lay(out: Path, files: Mapping[str, str], digests: Iterable[str], corpus: str) -> None:
    """Write what the sweep starts from, and pin what its recordings sound like.

    Args:
        out: the sweep folder.
        files: from `start_files`.
        digests: of the features, one per front end.
        corpus: the corpus's name.

    Raises:
        RunError: if a sweep that is resumed was of other recordings, or the folder cannot be written.
    """
    pinned = "".join(f"{digest}\n" for digest in digests)
    pin = out / _PIN
    try:
        if pin.exists() and pin.read_bytes() != pinned.encode():
            raise RunError(
                f"{out} holds a sweep of other recordings: what '{corpus}' sounds like has changed since. "
                "Name another folder with --out"
            )
        for name, text in files.items():
            atomic_files.write_text(out / name, text)
        atomic_files.write_text(pin, pinned)
    except OSError as error:
        raise RunError(f"The sweep folder {out} cannot be written: {error.strerror}") from error


def read_trials(out: Path) -> list[Finished]:
    """The trials whose line is whole; a kill may have torn the last."""
    try:
        lines = (out / TRIALS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{out / TRIALS} cannot be read: {error.strerror}") from error
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Finished))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def write_trials(out: Path, trials: Iterable[Finished]) -> None:
    """Write all lines anew, so that no torn one is left to be appended to."""
    _write(out / TRIALS, b"".join(_line(one) for one in trials))


def append_trial(out: Path, one: Finished) -> None:
    """Add a line, and have it on the disk before this returns.

    Raises:
        RunError: if it cannot be written.
    """
    try:
        with (out / TRIALS).open("ab") as file:
            file.write(_line(one))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _full(out / TRIALS, error) from error


def write_ranking(out: Path, ranking: Ranking) -> None:
    """Write `ranking.json`; it says that the sweep is whole.

    Raises:
        RunError: if it cannot be written.
    """
    _write(out / RANKING, msgspec.json.format(msgspec.json.encode(ranking)) + b"\n")


def resume_dir(out: Path, number: int) -> Path:
    """Where a trial under way keeps its state."""
    return out / UNDER_WAY / f"trial_{number}"


def in_order(trials: Iterable[Trial], finished: Mapping[Trial, Finished]) -> list[Finished]:
    """What is finished, in the order of the trials."""
    return [finished[trial] for trial in trials if trial in finished]


def _line(one: Finished) -> bytes:
    return msgspec.json.encode(one) + b"\n"


def _write(path: Path, content: bytes) -> None:
    try:
        atomic_files.write_bytes(path, content)
    except OSError as error:
        raise _full(path, error) from error


def _full(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {error.strerror}. Mend the cause, and go on with --resume")
