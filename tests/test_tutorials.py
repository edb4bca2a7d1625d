"""The tutorials run, block by block, on synthetic voices; and what they show is what the commands print."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import tutorial
from emocatcher.foundation.labels import EMOTIONS

ROOT = Path(__file__).parents[1]
SHORT = {"train": ("--epochs", "1")}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def few_voices(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each of four voices, two clips of each emotion, under RAVDESS's names."""
    folder = tmp_path_factory.mktemp("few") / "ravdess"
    for clip in voices_dir.rglob("03-01-*-01-*-01-*.wav"):
        target = folder / clip.parent.name / clip.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(clip)
    return folder


def run(name: str, folder: Path, ravdess: Path, more_words: Mapping[str, Sequence[str]] | None = None) -> int:
    """Run a tutorial, check what it shows, and return the number of its blocks.

    The first word of each line that is shown must be printed. Emotions and findings are those of other voices.
    """
    n_blocks = 0
    for ran in tutorial.run((ROOT / "docs" / name).read_text(encoding="utf-8"), folder, ravdess, more_words):
        n_blocks += 1
        for line in ran.shown[2].splitlines() if ran.shown else ():
            for word in re.findall(r"[A-Za-z]{4,}", line)[: not line.startswith("- ")]:
                assert word in ran.said or word in EMOTIONS, f"'{line}' is not printed, but: {ran.said}"
    return n_blocks


def test_the_archive_of_a_call_centre_becomes_a_report(few_voices: Path, tmp_path: Path) -> None:
    assert run("call-centre.md", tmp_path, few_voices) == 7
    rows = (tmp_path / "archive.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 48
    months = {f"{queue} 2026-0{month}" for queue in ("billing", "orders") for month in (5, 6, 7)}
    assert {row.rsplit(",", 1)[1] for row in rows[1:]} == months
    page = (tmp_path / "archive.html").read_text(encoding="utf-8")
    assert "By queue and month" in page
    assert (tmp_path / "call-43.svg").is_file()
    channels = {line.split(",")[rows[0].split(",").index("channel")] for line in rows[1:]}
    assert channels == {"1"}, "the agents' channel was recognised too"


def test_an_interview_becomes_annotations(few_voices: Path, tmp_path: Path) -> None:
    assert run("interview.md", tmp_path, few_voices) == 8
    assert (tmp_path / "interview.TextGrid").read_text(encoding="utf-8").count('"IntervalTier"') == 3
    assert "-->" in (tmp_path / "interview.srt").read_text(encoding="utf-8")
    assert (tmp_path / "interview.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    turns = (tmp_path / "turns.csv").read_text(encoding="utf-8")
    assert turns.count(",Ann,") == turns.count(",Bob,") == 16
    for name in ("interview.png", "turns.png", "turns.TextGrid", "settled.csv"):
        assert (tmp_path / name).is_file()


def test_a_new_corpus_becomes_a_table_for_the_paper(few_voices: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    assert run("new-corpus.md", tmp_path, few_voices, {"train": (*SHORT["train"], "--no-audit")}) == 9
    result = json.loads((tmp_path / "runs" / "speakers-2" / "result.json").read_text(encoding="utf-8"))
    assert not result["speakers_shared"]
    assert result["n_speakers"] == 4
    assert (tmp_path / "comparison.html").is_file()


def test_the_notebook_runs_from_top_to_bottom(few_voices: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="needs pandas")
    assert run("notebook.md", tmp_path, few_voices) == 9
    assert (tmp_path / "attention.png").is_file()


@pytest.mark.long
@pytest.mark.corpus
def test_the_published_experiment_is_repeated(ravdess_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    assert run("reproduce.md", tmp_path, ravdess_dir, SHORT) == 5
    runs = {name: json.loads((tmp_path / "runs" / name / "result.json").read_text()) for name in ("holdout", "unseen")}
    assert runs["holdout"]["speakers_shared"]
    assert not runs["unseen"]["speakers_shared"]
    assert runs["holdout"]["folds"][0]["n_test"] == 288
    assert (tmp_path / "runs" / "holdout" / "report.html").is_file()
