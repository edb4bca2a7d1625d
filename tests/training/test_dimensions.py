"""Dimensions in training: what a run, its models and a finalised model have of them, and how well they are learned."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import rated_voices
from emocatcher.evaluation import run_folder
from emocatcher.evaluation.scoring.concordance import concordance_score
from emocatcher.foundation.errors import RunError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import model_folder
from emocatcher.models.onnx_session import OnnxSession
from emocatcher.training import dataset, experiment, finalise


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_keeps_ratings_and_estimates_and_scores_what_is_rated(rated_run: Any) -> None:
    rows = rows_of(rated_run.folder / "predictions.csv")
    assert len(rows) == 20
    rated = [row for row in rows if row["arousal"]]
    own = {u.id: dict(u.dimensions) for u in rated_run.corpus}
    assert {row["utterance"]: float(row["arousal"]) for row in rated} == {
        id_: found["arousal"] for id_, found in own.items() if found
    }
    estimated = np.array([float(row["estimated_arousal"]) for row in rows])
    assert ((estimated >= 1.0) & (estimated <= 7.0)).all()
    assert estimated.std() > 0.0
    (found,) = json.loads((rated_run.folder / "result.json").read_text())["dimensions"]
    assert (found["name"], found["n_utterances"], found["resampled"]) == ("arousal", 16, "speakers")
    expected = concordance_score(
        [float(row["arousal"]) for row in rated], [float(row["estimated_arousal"]) for row in rated]
    )
    assert found["concordance"]["mean"] == pytest.approx(expected, abs=1e-4)
    run = run_folder.read(rated_run.folder)
    assert run.predictions.estimated.shape == run.predictions.ratings.shape == (20, 1)
    assert int(np.isnan(run.predictions.ratings).sum()) == 4


def test_the_graph_of_a_model_folder_estimates_what_the_run_did(rated_run: Any) -> None:
    model = model_folder.read(rated_run.folder / "fold_0" / "last")
    assert model.config.dimensions == (rated_voices.AROUSAL,)
    assert "arousal (1 to 7)" in (model.path / model_folder.CARD).read_text(encoding="utf-8")
    features = dataset.load_features(rated_run.corpus, rated_run.settings)
    rows = [row for row in rows_of(rated_run.folder / "predictions.csv") if row["fold"] == "0"]
    session = OnnxSession(model)
    for row in rows:
        clip = features.clip(row["utterance"])
        lengths = np.array([clip.shape[1]])
        answers = session.run(np.array(clip[None]), lengths, rated_run.settings.network.n_steps(lengths))
        assert answers.dimensions[0, 0] == pytest.approx(float(row["estimated_arousal"]), abs=1e-3)


def test_a_run_is_not_resumed_or_finalised_with_other_ratings(rated_run: Any, train_here: Callable[..., Any]) -> None:
    first, *others = rated_run.corpus.utterances
    changed = msgspec.structs.replace(others[0], dimensions=(("arousal", 1.25),))
    corpus = msgspec.structs.replace(rated_run.corpus, utterances=(first, changed, *others[1:]))
    with pytest.raises(RunError, match=r"run\.json differs"):
        train_here(rated_run.folder, corpus, "speakers-2", rated_run.settings, resume=True)
    with pytest.raises(RunError, match="other ratings than 'rated' has now"):
        finalise.finalise(rated_run.folder, corpus, Path("nowhere"), name="mine")


def test_a_finalised_model_estimates_dimensions_and_its_card_has_their_score(
    rated_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finalise, "TrainingPool", experiment.TrainingPool)
    model = finalise.finalise(rated_run.folder, rated_run.corpus, tmp_path / "mine", name="mine")
    assert model.config.dimensions == (rated_voices.AROUSAL,)
    (found,) = json.loads((rated_run.folder / "result.json").read_text())["dimensions"]
    assert model.config.training.scores["concordance_of_arousal"] == found["concordance"]["mean"]
    assert OnnxSession(model).n_dimensions == 1


@pytest.mark.slow
def test_speakers_that_were_left_out_are_rated_nearly_as_well_as_the_ratings_allow(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    corpus, ceiling = rated_voices.make(tmp_path, 8, 12, noise=0.5)
    settings = load_preset("cabg", ["training.n_epochs=30", "optimiser.learning_rate=0.003"])
    run = train_here(tmp_path / "run", corpus, "speakers-2", settings)
    (found,) = run_folder.read(run.folder).result.dimensions
    assert found.concordance.mean > ceiling - 0.15
    assert found.concordance.interval[0] < ceiling
