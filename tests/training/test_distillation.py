"""Distillation: the teachers' mean, its effect on the student, and the runs that are refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from emocatcher.corpora.table import Corpus
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.settings import Settings
from emocatcher.models import model_folder
from emocatcher.training import experiment, finalise
from emocatcher.training.dataset import Part, load_features
from emocatcher.training.distillation import Teachers
from emocatcher.training.fold_trainer import FoldTrainer

Train = Callable[..., Any]


@pytest.fixture(scope="module")
def residual_settings(residual_settings: Settings) -> Settings:
    """One branch, to save time."""
    network = msgspec.structs.replace(residual_settings.network, branches=1)
    return msgspec.structs.replace(residual_settings, network=network)


@pytest.fixture(scope="module")
def voices(voices: Corpus) -> Corpus:
    """A quarter of the clips."""
    return msgspec.structs.replace(voices, utterances=voices.utterances[::4])


@pytest.fixture(scope="module")
def teachers(
    tmp_path_factory: pytest.TempPathFactory, train_here: Train, voices: Corpus, residual_settings: Settings
) -> list[Path]:
    """Two runs of the same network and split."""
    root = tmp_path_factory.mktemp("teachers")
    return [
        train_here(root / str(n), voices, "speakers-2", with_training(residual_settings, n_epochs=n)).folder
        for n in (1, 4)
    ]


def with_training(settings: Settings, **changes: Any) -> Settings:
    """Change the training settings, with a learning rate that suits few epochs."""
    return msgspec.structs.replace(
        settings,
        training=msgspec.structs.replace(settings.training, weight_average=0.0, **changes),
        optimiser=msgspec.structs.replace(settings.optimiser, learning_rate=0.01),
    )


def test_teachers_return_the_mean_probabilities_of_their_networks(
    teachers: list[Path], residual_settings: Settings, voices: Corpus
) -> None:
    folders = [run / "fold_1" / "last" for run in teachers]
    together = Teachers(folders, residual_settings, voices.labels)
    n_channels = 2 * residual_settings.front_end.n_mels + 5  # bands, their means, the level, four of the pitch
    prepared, lengths = torch.randn(3, n_channels, 20), torch.tensor([20, 7, 1])
    alone = [Teachers([folder], residual_settings, voices.labels)(prepared, lengths) for folder in folders]
    assert not torch.allclose(*alone, atol=1e-3)
    torch.testing.assert_close(together(prepared, lengths), (alone[0] + alone[1]) / 2)
    torch.testing.assert_close(together(prepared, lengths).sum(1), torch.ones(3))


def test_a_student_follows_its_teachers_rather_than_the_labels(voices: Corpus, residual_settings: Settings) -> None:
    """With teachers that always predict the first emotion."""
    ids = tuple(utterance.id for utterance in voices)
    true = np.array([voices.labels.index(utterance.emotion) for utterance in voices], np.int64)
    features, first = load_features(voices, residual_settings), torch.eye(len(voices.labels))[0]

    def answers(share: float) -> np.ndarray:
        trainer = FoldTrainer(
            with_training(residual_settings, n_epochs=8, teacher_share=share), voices.labels, features,
            {"train": Part(ids, true)}, fold=0, seed=0, resume_dir=None,
            teachers=lambda prepared, lengths: first.expand(len(lengths), -1),
        )  # fmt: skip
        trainer.run()
        return trainer.evaluate(trainer.parts["train"])[0].argmax(axis=1)

    assert (answers(0.9) == 0).mean() > 0.9
    assert (answers(0.0) == 0).mean() < 0.5


def test_a_distilled_run_names_its_teachers(
    teachers: list[Path], train_here: Train, voices: Corpus, residual_settings: Settings, tmp_path: Path
) -> None:
    settings = with_training(residual_settings, n_epochs=1)
    alone = train_here(tmp_path / "alone", voices, "speakers-2", settings)
    taught = train_here(tmp_path / "taught", voices, "speakers-2", settings, teachers=teachers)
    assert msgspec.json.decode((taught.folder / "run.json").read_bytes())["teachers"] == list(map(str, teachers))
    assert b"teachers" not in (alone.folder / "run.json").read_bytes()
    weights = "fold_0/last/model.safetensors"
    assert (taught.folder / weights).read_bytes() != (alone.folder / weights).read_bytes()


def wrong_where(run: Path, to: Path, wrong: Callable[[int], bool]) -> Path:
    """A copy of a run whose n-th answer is wrong where `wrong(n)` holds, and right elsewhere."""
    shutil.copytree(run, to)
    table = to / "predictions.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    emotions = sorted({row["emotion"] for row in rows})
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for n, row in enumerate(rows):
            other = emotions[emotions.index(row["emotion"]) - 1]
            writer.writerow({**row, "predicted": other if wrong(n) else row["emotion"]})
    return to


@pytest.mark.slow
def test_a_distilled_run_is_finalised_with_its_finalised_teachers(
    teachers: list[Path], train_here: Train, voices: Corpus, residual_settings: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(finalise, "TrainingPool", experiment.TrainingPool)  # from `train_here`
    settings = with_training(residual_settings, n_epochs=1)
    trained = train_here(tmp_path / "trained", voices, "speakers-2", settings, teachers=teachers).folder
    plain = train_here(tmp_path / "plain", voices, "speakers-2", settings).folder
    taught = wrong_where(trained, tmp_path / "taught", lambda n: n % 5 == 0)
    untaught = wrong_where(plain, tmp_path / "untaught", lambda n: n % 5 < 2)

    def final(run: Path, name: str, *by: Path, untaught: Path | None = untaught) -> model_folder.Bundle:
        untaught = untaught if by else None
        return finalise.finalise(run, voices, tmp_path / name, name=name, teachers=by, untaught=untaught)

    with pytest.raises(RunError, match=r"had 2 teachers, and 0 models are named.*Finalise each"):
        final(taught, "student")
    finalised = [final(run, f"teacher-{n}") for n, run in enumerate(teachers)]
    assert "distilled" not in finalised[0].config.training.note
    with pytest.raises(RunError, match=r"had no teachers, and 1 model is named.*Name none"):
        final(teachers[0], "student", finalised[0].path)
    with pytest.raises(RunError, match="was not trained on all of"):
        final(taught, "student", finalised[0].path, teachers[1] / "fold_0" / "last")
    assert not (tmp_path / "student").exists()

    models = [one.path for one in finalised]
    with pytest.raises(RunError, match=r"not known. Train the same recipe.*--untaught"):
        final(taught, "student", *models, untaught=None)
    with pytest.raises(RunError, match="nothing to compare with"):
        finalise.finalise(plain, voices, tmp_path / "student", name="student", untaught=untaught)
    with pytest.raises(RunError, match="is not the same recipe"):
        final(taught, "student", *models, untaught=taught)  # which had teachers
    with pytest.raises(RunError, match="is not the same recipe"):
        final(taught, "student", *models, untaught=teachers[1])  # of more epochs
    ahead = wrong_where(plain, tmp_path / "ahead", lambda n: n % 5 == 1)
    with pytest.raises(RunError, match=r"do not help beyond chance: accuracy \+0\.0 points.*Finalise .*ahead instead"):
        final(taught, "student", *models, untaught=ahead)
    assert not (tmp_path / "student").exists()

    student = final(taught, "student", *models)
    note = student.config.training.note
    assert "distilled from networks of the same kind, each trained on every recording too (seeds 0, 0)" in note
    assert "helped on held-out folds: accuracy +20.0 points" in note
    with pytest.raises(RunError, match="the same model"):
        final(taught, "again", finalised[0].path, finalised[0].path)
    again = final(teachers[0], "again")
    others = again.weights()
    assert any(not np.array_equal(value, others[name]) for name, value in student.weights().items())
    (taught / "run.json").unlink()
    with pytest.raises(RunError, match=r"run\.json, which names the run's teachers, cannot be read"):
        final(taught, "student", *(one.path for one in finalised))


def test_a_run_of_another_split_or_recipe_is_refused_as_teacher(
    teachers: list[Path], train_here: Train, voices: Corpus, residual_settings: Settings, small_settings: Settings,
    tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(RunError, match="may have been trained on what the student is tested on"):
        train_here(tmp_path / "a", voices, "stratified-2", residual_settings, teachers=teachers)
    with pytest.raises(RunError, match=r"another \[front_end\]"):
        train_here(tmp_path / "b", voices, "speakers-2", small_settings, teachers=teachers)
    with pytest.raises(RunError, match="is not a finished run"):
        train_here(tmp_path / "c", voices, "speakers-2", residual_settings, teachers=[tmp_path])
    assert not (tmp_path / "a").exists()
    folder = teachers[0] / "fold_0" / "last"
    with pytest.raises(RunError, match="other emotions"):
        Teachers([folder], model_folder.read(folder).config.settings, ("glad", "sad"))
