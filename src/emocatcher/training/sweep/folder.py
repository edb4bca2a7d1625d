"""Read and write the sweep folder: its start files, a line for each finished trial, and the ranking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from emocatcher.corpora import votes
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


def start_files(plan: Plan, corpus: Corpus, inner: Sequence[InnerFold], device: str) -> dict[str, str]:
    """Return the text of the start files by name; a sweep is resumed only if they are the same.

    The folds of `split.csv` are numbered consecutively, in the order of the inner folds.
    """
    return {
        "sweep.toml": plan.to_toml(),
        "config.toml": plan.base.to_toml(),
        "split.csv": run_writer.split_table(corpus, [one.parts for one in inner]),
        "device.txt": f"{device}\n",
        "votes.sha256": votes.digest(corpus),
    }


def check(out: Path, files: Mapping[str, str], *, resume: bool) -> None:
    """Refuse a folder that contains anything but this sweep, or this sweep if `resume` is not set.

    Nothing is written yet.

    Raises:
        RunError: if the folder is refused.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file. Name a folder with --out")
    if any((out / name).exists() for name in ("run.json", "result.json")):
        raise RunError(f"{out} holds a run, not a sweep. Name another folder with --out")
    if not any((out / name).exists() for name in (*files, TRIALS, RANKING)):
        return
    if not resume:
        raise RunError(f"{out} holds a sweep already. Resume it with --resume, or name another folder with --out")
    run_writer.refuse_another(out, files, "sweep", "sweep file, corpus and device")


def write_start(out: Path, files: Mapping[str, str], digests: Iterable[str], corpus: str) -> None:
    """Write the files that a sweep starts from, with hashes of its features.

    Args:
        out: the sweep folder.
        files: from `start_files`.
        digests: a hash of the features for each front end.
        corpus: the corpus's name.

    Raises:
        RunError: if the resumed sweep had other features, or the folder cannot be written.
    """
    pinned = "".join(f"{digest}\n" for digest in digests)
    pin = out / _PIN
    try:
        if pin.exists() and pin.read_bytes() != pinned.encode():
            raise RunError(
                f"{out} holds a sweep of other recordings: the features of '{corpus}' have changed since. "
                "Name another folder with --out"
            )
        for name, text in files.items():
            atomic_files.write_text(out / name, text)
        atomic_files.write_text(pin, pinned)
    except OSError as error:
        raise RunError(f"The sweep folder {out} cannot be written: {error.strerror}") from error


def read_trials(out: Path) -> list[Finished]:
    """Read the finished trials; a last line that a kill cut off is skipped.

    Raises:
        RunError: if the file cannot be read.
    """
    try:
        lines = (out / TRIALS).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(
            f"{out / TRIALS} cannot be read: {error.strerror}. Fix the problem, then rerun with --resume"
        ) from error
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Finished))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def write_trials(out: Path, trials: Iterable[Finished]) -> None:
    """Write all finished trials again, which removes a line that was cut off.

    Raises:
        RunError: if the file cannot be written.
    """
    _write(out / TRIALS, b"".join(_line(one) for one in trials))


def append_trial(out: Path, one: Finished) -> None:
    """Append a finished trial, and wait until it is on the disk.

    Raises:
        RunError: if it cannot be written.
    """
    try:
        with (out / TRIALS).open("ab") as file:
            file.write(_line(one))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(out / TRIALS, error) from error


def write_ranking(out: Path, ranking: Ranking) -> None:
    """Write `ranking.json`; a sweep that has it is complete.

    Raises:
        RunError: if it cannot be written.
    """
    _write(out / RANKING, msgspec.json.format(msgspec.json.encode(ranking)) + b"\n")


def resume_dir(out: Path, number: int) -> Path:
    """Return the folder for the state of an unfinished trial."""
    return out / UNDER_WAY / f"trial_{number}"


def in_order(trials: Iterable[Trial], finished: Mapping[Trial, Finished]) -> list[Finished]:
    """Return the finished trials in the order of `trials`."""
    return [finished[trial] for trial in trials if trial in finished]


def _line(one: Finished) -> bytes:
    return msgspec.json.encode(one) + b"\n"


def _write(path: Path, content: bytes) -> None:
    try:
        atomic_files.write_bytes(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {error.strerror}. Fix the problem, then rerun with --resume")
