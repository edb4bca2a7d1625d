"""The stress test: clean scores are those of the run, the clips are degraded as asked, one seed one result."""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.scoring import robustness
from emocatcher.foundation.errors import AudioError, CorpusError, ModelError, OutputError, ProtocolError, RunError
from emocatcher.foundation.settings import load_preset
from emocatcher.reports import stress_figure
from emocatcher.training import stress
from emocatcher.training.stress import conditions

RATE = 16_000


@pytest.fixture(scope="module")
def few(voices: Corpus) -> Corpus:
    """Three clips of each of two emotions by each of four voices."""
    chosen = [
        utterance
        for speaker in voices.speakers
        for emotion in ("sad", "angry")
        for utterance in [u for u in voices if (u.speaker, u.emotion) == (speaker, emotion)][:3]
    ]
    return msgspec.structs.replace(voices, name="few", utterances=tuple(chosen), labels=("sad", "angry"))


@pytest.fixture(scope="module")
def trained(few: Corpus, train_here: Any, small_network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = load_preset("cabg", [*small_network, "training.n_epochs=2"])
    folder: Path = train_here(tmp_path_factory.mktemp("stress") / "mine", few, "speakers-2", settings).folder
    return folder


@pytest.fixture(scope="module")
def found(few: Corpus, trained: Path) -> robustness.Stress:
    return stress.run(stress.open_models(str(trained), few, "speakers-2", None), few)


def test_the_clean_scores_are_those_of_the_run(found: robustness.Stress, few: Corpus, trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text())
    assert found.folds == (0, 1)
    assert found.scores.n_utterances == len(few)
    assert found.scores.n_speakers == 4
    assert found.scores.resampled == "speakers"
    n_correct = sum(fold["selected"]["accuracy"] * fold["n_test"] for fold in result["folds"])
    assert found.scores.accuracy == pytest.approx(n_correct / len(few))
    assert found.warnings == ()


def test_each_degradation_has_its_losses(found: robustness.Stress) -> None:
    assert list(found.scores.losses) == list(found.titles) == list(conditions.CONDITIONS)
    for loss in found.scores.losses.values():
        assert loss.accuracy + loss.accuracy_lost == pytest.approx(found.scores.accuracy)
        low, high = loss.unweighted_average_recall_lost_interval
        assert low <= loss.unweighted_average_recall_lost <= high


def test_the_result_depends_on_the_seed_alone(found: robustness.Stress, few: Corpus, trained: Path) -> None:
    tested = stress.open_models(str(trained), few, "speakers-2", 0)
    alone = stress.run(tested, few, seed=3)
    n_done: list[tuple[int, int]] = []
    again = stress.run(tested, few, seed=3, n_workers=2, on_progress=lambda *done: n_done.append(done))
    assert again == alone
    assert n_done == [(k + 1, len(few) // 2) for k in range(len(few) // 2)]


def test_voices_of_a_cafe_are_others_of_the_training_part(few: Corpus, trained: Path) -> None:
    tested = stress.open_models(str(trained), few, "speakers-2", None)
    for item in stress._items(tested, few, 0):
        assert {voice.id for voice in item.voices} == set(tested.protocol.folds[item.fold].train)
        assert item.utterance.speaker not in {voice.speaker for voice in item.voices}


def test_one_speaker_makes_no_cafe(few: Corpus, trained: Path) -> None:
    """The only voices of the training part are then those of the tested speaker."""
    alone = tuple(msgspec.structs.replace(utterance, speaker="01") for utterance in few)
    corpus = msgspec.structs.replace(few, utterances=alone)
    tested = stress.open_models(str(trained / "fold_0" / "last"), corpus, "stratified-2", 0)
    with pytest.raises(CorpusError, match="voices of others than speaker '01'"):
        stress.run(tested, corpus)


def test_a_model_of_the_protocol_is_tested_on_its_fold(few: Corpus, trained: Path) -> None:
    model = str(trained / "fold_1" / "last")
    assert list(stress.open_models(model, few, "speakers-2", None).recognizers) == [1]
    assert list(stress.open_models(model, few, "speakers-2", 0).recognizers) == [0]
    assert list(stress.open_models("emocatcher-2", few, "speakers-2", None).recognizers) == [0, 1]


def test_a_model_that_was_trained_on_the_tested_part_is_noted(few: Corpus, trained: Path) -> None:
    items = stress._items(tested := stress.open_models(str(trained / "fold_1" / "last"), few, "speakers-2", 0), few, 0)
    assert stress._warnings(tested, few, items) == ("the model was trained on 12 of these 12 recordings",)


def test_what_does_not_fit_is_refused(few: Corpus, voices: Corpus, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"no fold 7 .*Allowed: 0, 1"):
        stress.open_models(str(trained), few, "speakers-2", 7)
    with pytest.raises(RunError, match="is a run of speakers-2 on 'few', not of stratified-2"):
        stress.open_models(str(trained), few, "stratified-2", None)
    with pytest.raises(RunError, match="not of speakers-2 on 'synthetic'"):
        stress.open_models(str(trained), voices, "speakers-2", None)
    with pytest.raises(ModelError, match="No model"):
        stress.open_models(str(tmp_path / "nothing"), few, "speakers-2", None)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(RunError, match=r"result\.json' cannot be read"):
        stress.open_models(str(tmp_path), few, "speakers-2", None)


def test_a_damaged_recording_is_named(few: Corpus, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    tested = stress.open_models(str(trained), few, "speakers-2", 0)
    first = tested.protocol.folds[0].test[0]
    broken = tuple(msgspec.structs.replace(u, path=tmp_path / "bad.wav") if u.id == first else u for u in few)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        stress.run(tested, msgspec.structs.replace(few, utterances=broken))


@pytest.fixture
def silenced(few: Corpus, tmp_path: Path) -> Callable[[Collection[str]], Corpus]:
    """The corpus with a second of silence in place of some recordings."""

    def silence(ids: Collection[str]) -> Corpus:
        soundfile.write(path := tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
        changed = tuple(msgspec.structs.replace(u, path=path) if u.id in ids else u for u in few)
        return msgspec.structs.replace(few, utterances=changed)

    return silence


def test_silent_voices_are_left_out_of_a_cafe(
    silenced: Callable[[Collection[str]], Corpus], few: Corpus, trained: Path
) -> None:
    train = stress.open_models(str(trained), few, "speakers-2", 0).protocol.folds[0].train
    corpus = silenced(train[:-1])  # one voice remains
    tested = stress.open_models(str(trained), corpus, "speakers-2", 0)
    found = stress.run(tested, corpus)
    assert found.scores.n_utterances == len(tested.protocol.folds[0].test)


def test_a_corpus_of_silent_voices_is_refused(
    silenced: Callable[[Collection[str]], Corpus], few: Corpus, trained: Path
) -> None:
    corpus = silenced(stress.open_models(str(trained), few, "speakers-2", 0).protocol.folds[0].train)
    with pytest.raises(CorpusError, match=r"fold 0 .*silent"):
        stress.run(stress.open_models(str(trained), corpus, "speakers-2", 0), corpus)


def test_a_recording_is_in_the_same_cafe_at_each_ratio() -> None:
    random = np.random.default_rng(0)
    voice, *others = (0.1 * random.standard_normal((4, RATE))).astype(np.float32)
    clip = conditions.Recording(voice, RATE, slice(0, RATE), others)
    quiet, loud = (conditions.degrade(name, clip, "a", 0) - voice for name in ("cafe-20db", "cafe-10db"))
    assert np.corrcoef(quiet, loud)[0, 1] > 0.999
    assert np.square(loud).sum() / np.square(quiet).sum() == pytest.approx(10.0, rel=0.01)
    elsewhere = conditions.degrade("cafe-10db", clip, "b", 0) - voice
    assert np.corrcoef(loud, elsewhere)[0, 1] < 0.9


def test_the_intervals_are_of_the_paired_difference() -> None:
    """Each speaker loses the same, though the speakers differ much: a paired interval has no width."""
    true = np.zeros(40, np.int64)
    speakers = [str(k // 10) for k in range(40)]
    clean = np.array([int(k % 10 >= 3 + k // 10) for k in range(40)])
    worse = np.array([int(k % 10 >= 1 + k // 10) for k in range(40)])
    loss = robustness.compare(true, clean, {"noise": worse}, speakers, 2).losses["noise"]
    assert loss.accuracy_lost == pytest.approx(0.2)
    assert loss.accuracy_lost_interval == pytest.approx((0.2, 0.2))
    assert loss.unweighted_average_recall_lost_interval == pytest.approx((0.2, 0.2))
    unknown = robustness.compare(true, clean, {"noise": worse}, [None] * 40, 2)
    assert (unknown.resampled, unknown.n_speakers) == ("utterances", None)


def test_figure_and_numbers_are_written_once(found: robustness.Stress, tmp_path: Path) -> None:
    path = stress_figure.write(found, tmp_path / "out")
    assert sorted(file.name for file in path.parent.iterdir()) == ["stress.json", "stress.png", "stress.svg"]
    assert msgspec.json.decode((path.parent / "stress.json").read_bytes(), type=robustness.Stress) == found
    svg = path.read_text(encoding="utf-8")
    assert all(title in svg for title in found.titles.values())
    assert "SYNTHETIC" in svg
    with pytest.raises(OutputError, match=r"stress\.svg' exists already"):
        stress_figure.check(path.parent, overwrite=False)
    before = path.read_bytes()
    assert stress_figure.write(found, path.parent, overwrite=True).read_bytes() == before
    with pytest.raises(OutputError, match="is a file"):
        stress_figure.check(path, overwrite=True)


@pytest.mark.slow
def test_between_corpora_only_shared_classes_count(across: Any) -> None:
    tested = stress.open_models(str(across.folder), across.corpus, "leave-one-corpus-out", 1)
    found = stress.run(tested, across.corpus)
    selected = json.loads((across.folder / "result.json").read_text())["folds"][1]["selected"]
    assert found.scores.accuracy == pytest.approx(selected["accuracy"])
    assert found.scores.unweighted_average_recall == pytest.approx(selected["unweighted_average_recall"])
