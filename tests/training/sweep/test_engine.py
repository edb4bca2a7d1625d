"""Whole sweeps: no test clip is used, and they are reproducible and resumed."""

import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import AudioError, ProtocolError, RunError, SettingError
from emocatcher.training import device as devices
from emocatcher.training.sweep import engine, folder
from emocatcher.training.sweep.plan import Named, SweepFile

Sweep = Callable[..., Any]


def reproducible_files(out: Path) -> dict[str, bytes]:
    """Every file of a sweep, without durations."""
    kept = {path.name: path.read_bytes() for path in out.iterdir() if path.name != folder.TRIALS}
    trials = [msgspec.structs.replace(one, seconds=0.0) for one in folder.read_trials(out)]
    return kept | {folder.TRIALS: msgspec.json.encode(trials)}


def with_one_epoch(small_file: SweepFile) -> dict[str, Any]:
    return {"set": (*small_file.set, "training.n_epochs=1")}


@pytest.mark.parametrize(("name", "folds"), [("speakers-4", (1,)), ("speakers-4", (0, 2)), ("stratified-3", (2,))])
def test_no_test_clip_reaches_a_trainer(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, folds: tuple[int, ...],
) -> None:  # fmt: skip
    from emocatcher.training import dataset, fold_trainer

    trained, predicted, tables, read = set(), Counter(), set(), set()
    made, evaluate, read_bytes = (
        fold_trainer.FoldTrainer.__init__,
        fold_trainer.FoldTrainer.evaluate,
        dataset._read_bytes,
    )

    def watched_init(self: Any, settings: Any, labels: Any, features: Any, parts: Any, **options: Any) -> None:
        assert parts.keys() == {"train"}
        trained.update(parts["train"].ids)
        tables.update(features.ids)
        made(self, settings, labels, features, parts, **options)

    def watched_evaluate(self: Any, part: Any) -> Any:
        assert len(self.epochs) == self.settings.training.n_epochs
        assert not set(part.ids) & set(self.parts["train"].ids)
        predicted.update(part.ids)
        return evaluate(self, part)

    def watched_read(path: Path) -> bytes:
        read.add(path)
        return read_bytes(path)

    monkeypatch.setattr(fold_trainer.FoldTrainer, "__init__", watched_init)
    monkeypatch.setattr(fold_trainer.FoldTrainer, "evaluate", watched_evaluate)
    monkeypatch.setattr(dataset, "_read_bytes", watched_read)
    changes = {"protocol": name, "folds": folds, **with_one_epoch(small_file)}
    swept = sweep_here(tmp_path / "sweep", voices, small_file, changes=changes)
    protocol = protocols.load(name, voices)
    tested = {id_ for number in folds for id_ in protocol.folds[number].test}
    others = {utterance.id for utterance in voices} - tested
    assert tested
    assert trained == set(predicted) == tables == others
    assert set(predicted.values()) == {2 * len(folds)}  # once for each setting and training part
    assert read == {utterance.path for utterance in voices.select(sorted(others))}
    with (swept.folder / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["part"] for row in rows} == {"train", "valid"}
    assert not tested & {row["utterance"] for row in rows}
    for one in folder.read_trials(swept.folder):
        assert not tested & one.predictions.keys()


def test_the_ranking_can_be_recomputed_from_the_folder(small_sweep: Any) -> None:
    with (small_sweep.folder / "split.csv").open(newline="") as file:
        true = {row["utterance"]: row["emotion"] for row in csv.DictReader(file) if row["part"] == "valid"}
    for row in small_sweep.ranking.settings:
        trials = [one for one in folder.read_trials(small_sweep.folder) if one.setting == row.setting]
        predicted = {id_: emotion for one in trials for id_, emotion in one.predictions.items()}
        assert predicted.keys() == true.keys()
        assert row.accuracy.value == sum(predicted[id_] == true[id_] for id_ in true) / len(true)


def test_a_sweep_is_reproducible(sweep_here: Sweep, small_sweep: Any, tmp_path: Path) -> None:
    sweep_here(tmp_path / "again", small_sweep.corpus, small_sweep.file)
    assert reproducible_files(tmp_path / "again") == reproducible_files(small_sweep.folder)


def test_identical_settings_are_a_tie(sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path) -> None:
    same = (Named("first"), Named("second"))
    swept = sweep_here(tmp_path / "s", voices, small_file, changes={"setting": same, **with_one_epoch(small_file)})
    assert [(row.rank, row.setting, row.differs) for row in swept.ranking.settings] == [
        (1, "first", ()), (1, "second", ()),
    ]  # fmt: skip
    for row in swept.ranking.settings:
        assert (row.accuracy.difference, row.accuracy.difference_interval) == (0.0, (0.0, 0.0))


def test_a_resumed_sweep_equals_an_uninterrupted_one(
    sweep_here: Sweep, small_sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at reports: between epochs, between trials, while a line is written."""
    from emocatcher.training import fold_trainer

    monkeypatch.setattr(fold_trainer, "_SAVE_EVERY_S", 0.0)
    epochs, run_epoch = Counter(), fold_trainer.FoldTrainer._run_epoch

    def counted(self: Any) -> Any:
        epoch = run_epoch(self)
        epochs[self.settings.training.label_smoothing, self.fold, epoch.epoch] += 1
        return epoch

    monkeypatch.setattr(fold_trainer.FoldTrainer, "_run_epoch", counted)
    out, n_cuts = tmp_path / "broken", 0
    while True:
        steps = itertools.count(1)

        def cut(step: Any, steps: Any = steps) -> None:
            if step.stage == "training" and next(steps) == 3:
                raise KeyboardInterrupt

        try:
            sweep_here(out, small_sweep.corpus, small_sweep.file, resume=True, on_progress=cut)
            break
        except KeyboardInterrupt:
            n_cuts += 1
            assert n_cuts < 12, "the sweep makes no progress"
            assert not (out / folder.RANKING).exists()
            # As after a kill while a line is written.
            with (out / folder.TRIALS).open("ab") as file:
                file.write(b'{"setting":"baseline","fold":0,"spl')
    assert n_cuts >= 4
    assert reproducible_files(out) == reproducible_files(small_sweep.folder)
    # No saved epoch is trained twice.
    assert set(epochs.values()) == {1}
    assert len(epochs) == 12


def test_a_finished_sweep_is_not_trained_again(
    sweep_here: Sweep, small_sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reproducible_files(small_sweep.folder)
    monkeypatch.setattr(engine, "_train", None)
    again = sweep_here(small_sweep.folder, small_sweep.corpus, small_sweep.file, resume=True)
    assert (again.ranking, again.seconds) == (small_sweep.ranking, small_sweep.seconds)
    assert reproducible_files(small_sweep.folder) == before


@pytest.mark.parametrize("damage", ["a prediction is missing", "a prediction is no emotion"])
def test_a_trial_with_invalid_predictions_is_run_again(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path, damage: str
) -> None:
    changes = with_one_epoch(small_file)
    out = sweep_here(tmp_path / "sweep", voices, small_file, changes=changes).folder
    before = reproducible_files(out)
    first, *others = folder.read_trials(out)
    id_ = next(iter(first.predictions))
    if damage == "a prediction is missing":
        del first.predictions[id_]
    else:
        first.predictions[id_] = "hungry"
    folder.write_trials(out, [first, *others])
    sweep_here(out, voices, small_file, changes=changes, resume=True)
    assert reproducible_files(out) == before


def test_another_sweep_in_the_folder_is_refused(
    sweep_here: Sweep, small_sweep: Any, voices: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reproducible_files(small_sweep.folder)
    with pytest.raises(RunError, match=r"holds a sweep already.*--resume"):
        sweep_here(small_sweep.folder, voices, small_sweep.file)
    for named, changes in (
        (r"sweep\.toml", {"seeds": (1,)}),
        (r"sweep\.toml", {"setting": (Named("baseline"),)}),
        (r"sweep\.toml", {"folds": (1,)}),
    ):
        with pytest.raises(RunError, match=f"another sweep: its {named} differs"):
            sweep_here(small_sweep.folder, voices, small_sweep.file, changes=changes, resume=True)
    fewer = msgspec.structs.replace(voices, utterances=voices.utterances[:-1])
    with pytest.raises(RunError, match=r"another sweep: its split\.csv differs"):
        sweep_here(small_sweep.folder, fewer, small_sweep.file, resume=True)
    with_votes = tuple(msgspec.structs.replace(one, votes=((one.emotion, 1.0),)) for one in voices)
    voted = msgspec.structs.replace(voices, utterances=with_votes)
    with pytest.raises(RunError, match=r"another sweep: its votes\.sha256 differs"):
        sweep_here(small_sweep.folder, voted, small_sweep.file, resume=True)
    with monkeypatch.context() as patched:
        patched.setattr(devices, "_available", lambda: ["cuda", "cpu"])
        for elsewhere in ("auto", "cuda"):
            with pytest.raises(RunError, match=r"another sweep: its device\.txt differs.* same .*device"):
                sweep_here(small_sweep.folder, voices, small_sweep.file, device=elsewhere, resume=True)
    assert reproducible_files(small_sweep.folder) == before


def test_other_recordings_are_refused(
    sweep_here: Sweep, small_sweep: Any, voices: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: Any) -> None:
        if step.stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_here(tmp_path / "sweep", voices, small_sweep.file, on_progress=stop)
    paths = [utterance.path for utterance in voices]
    turned = tuple(
        msgspec.structs.replace(utterance, path=path) for utterance, path in zip(voices, paths[::-1], strict=True)
    )
    changed = msgspec.structs.replace(voices, utterances=turned)
    with pytest.raises(RunError, match="other recordings"):
        sweep_here(tmp_path / "sweep", changed, small_sweep.file, resume=True)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"setting": (Named("a"), Named("b", ("training.label_smoothing=0.9",)))}, SettingError, "give at most 0.875"),
        ({"folds": (2,)}, ProtocolError, "no fold 2"),
        ({"inner": 3}, ProtocolError, "cannot be cut into inner folds"),
        ({"folds": (0, 1)}, ProtocolError, "Name fewer folds"),
    ],
)
def test_invalid_sweeps_are_refused_before_anything_is_written(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path, changes: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        sweep_here(tmp_path / "sweep", voices, small_file, changes=changes)
    assert not (tmp_path / "sweep").exists()


def test_a_setting_that_diverges_does_not_affect_the_others(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path
) -> None:
    setting = (Named("stable"), Named("diverging", ("optimiser.learning_rate=1e30",)))
    changes = {"setting": setting, "set": (*small_file.set, "training.n_epochs=2")}
    swept = sweep_here(tmp_path / "sweep", voices, small_file, changes=changes)
    assert [(row.rank, row.setting) for row in swept.ranking.settings] == [(1, "stable"), (None, "diverging")]
    again = sweep_here(tmp_path / "sweep", voices, small_file, changes=changes, resume=True)
    assert again.ranking == swept.ranking


def test_features_are_loaded_once_for_each_front_end(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, load = [], engine.load_features

    def counted(corpus: Any, settings: Any, **options: Any) -> Any:
        loaded.append(settings.front_end.n_mels)
        return load(corpus, settings, **options)

    monkeypatch.setattr(engine, "load_features", counted)
    steps: list[Any] = []
    setting = (Named("a"), Named("b", ("training.batch_size=16",)), Named("c", ("front_end.n_mels=32",)))
    changes = {"setting": setting, **with_one_epoch(small_file)}
    sweep_here(tmp_path / "sweep", voices, small_file, changes=changes, on_progress=steps.append)
    assert loaded == [64, 32]
    for stage, total in (("features", 240), ("training", 6)):
        done = [step.done for step in steps if step.stage == stage]
        assert done == sorted(done)
        assert done[-1] == total
        assert {step.total for step in steps if step.stage == stage} == {total}
    assert (steps[-1].n_trials_done, steps[-1].n_trials) == (6, 6)


def test_a_sweep_can_be_resumed_after_a_full_disk(
    sweep_here: Sweep, small_sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = atomic_files.write_bytes

    def full(path: Path, payload: bytes) -> None:
        if path.name == folder.RANKING:
            raise OSError(28, "No space left on device")
        whole(path, payload)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "write_bytes", full)
        with pytest.raises(RunError, match="No space left on device"):
            sweep_here(tmp_path / "sweep", small_sweep.corpus, small_sweep.file)
    sweep_here(tmp_path / "sweep", small_sweep.corpus, small_sweep.file, resume=True)
    assert reproducible_files(tmp_path / "sweep") == reproducible_files(small_sweep.folder)


def test_a_bad_recording_matters_only_outside_the_test_part(
    sweep_here: Sweep, voices: Corpus, small_file: SweepFile, tmp_path: Path
) -> None:
    tested = set(protocols.load("speakers-2", voices).folds[0].test)
    (tmp_path / "bad.wav").write_text("I am text")

    def with_bad(inside: bool) -> Corpus:
        victim = next(u.id for u in voices if (u.id in tested) == inside)
        utterances = tuple(
            msgspec.structs.replace(u, path=tmp_path / "bad.wav") if u.id == victim else u for u in voices
        )
        return msgspec.structs.replace(voices, utterances=utterances)

    changes = with_one_epoch(small_file)
    sweep_here(tmp_path / "tested", with_bad(True), small_file, changes=changes)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        sweep_here(tmp_path / "trained", with_bad(False), small_file, changes=changes)


def test_ranking_json_is_strict_json(small_sweep: Any) -> None:
    constants: list[str] = []  # NaN and Infinity, which JSON does not have
    json.loads((small_sweep.folder / "ranking.json").read_text(), parse_constant=constants.append)
    assert constants == []
