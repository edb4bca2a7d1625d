"""Whole runs: reproducible from the seed, resumed, and refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher import corpora
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import audit, protocols
from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import AudioError, LeakError, ModelError, ProtocolError, RunError, SettingError
from emocatcher.foundation.settings import Settings
from emocatcher.models import model_folder
from emocatcher.training import device, experiment, prepared_run
from emocatcher.training.prepared_run import SeedRun

Train = Callable[..., Any]


def with_training(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, **changes))


def reproducible_files(folder: Path) -> dict[str, bytes]:
    """Every file of a run that must be reproducible, without durations."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name in {
            "model.safetensors", "model.onnx", "predictions.csv", "split.csv", "config.toml", "README.md",
            "evidence.npz",
        }:  # fmt: skip
            kept[str(path.relative_to(folder))] = path.read_bytes()
    result = json.loads((folder / "result.json").read_text())
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    del result["seconds"]
    for epoch in epochs:
        del epoch["seconds"]
    return kept | {"result": json.dumps(result).encode(), "epochs": json.dumps(epochs).encode()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def few(voices: Corpus) -> Corpus:
    """A third of the clips."""
    return msgspec.structs.replace(voices, utterances=voices.utterances[::3])


@pytest.fixture(scope="module")
def stratified(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Two folds that share speakers, three epochs. Not to be written to."""
    return train_here(tmp_path_factory.mktemp("stratified") / "run", few, "stratified-2", small_settings)


@pytest.fixture
def copied(stratified: Any, tmp_path: Path) -> Any:
    """A copy of that run."""
    shutil.copytree(stratified.folder, tmp_path / "run")
    return stratified._replace(folder=tmp_path / "run")


def test_a_run_depends_on_its_seed_only(
    train_here: Train, stratified: Any, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    first = stratified
    second, other = (
        train_here(tmp_path / name, few, "stratified-2", small_settings, seed=seed)
        for name, seed in (("b", 0), ("c", 1))
    )
    assert reproducible_files(first.folder) == reproducible_files(second.folder)
    for part in ("fold_0/last/model.safetensors", "fold_1/last/model.safetensors"):
        assert (first.folder / part).read_bytes() != (other.folder / part).read_bytes()


def test_several_seeds_at_once_give_the_run_of_each_seed(
    train_here: Train, stratified: Any, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    wanted = [
        SeedRun(seed=seed, protocol=protocols.load("stratified-2", few, seed), out=tmp_path / f"seed-{seed}")
        for seed in (1, 0)
    ]
    steps: list[experiment.Progress] = []
    options: Any = {"audited": False, "reported": False, "on_progress": steps.append}
    folders = experiment.run_seeds(few, wanted, small_settings, **options)
    assert folders == [tmp_path / "seed-1", tmp_path / "seed-0"]
    assert reproducible_files(tmp_path / "seed-0") == reproducible_files(stratified.folder)
    seeds = [json.loads((folder / "result.json").read_text())["seed"] for folder in folders]
    assert seeds == [1, 0]
    n_epochs = 2 * 2 * small_settings.training.n_epochs
    assert {step.total for step in steps if step.stage == "training"} == {n_epochs}
    assert max(step.done for step in steps if step.stage == "training") == n_epochs


def test_no_seed_is_trained_where_one_folder_has_a_run(copied: Any, small_settings: Settings, tmp_path: Path) -> None:
    wanted = [SeedRun(seed=n, protocol=copied.protocol, out=tmp_path / name) for n, name in enumerate(("new", "run"))]
    with pytest.raises(RunError, match="holds a run already"):
        experiment.run_seeds(copied.corpus, wanted, small_settings, audited=False, reported=False)
    assert not (tmp_path / "new").exists()


def test_a_resumed_run_equals_an_uninterrupted_one(
    train_here: Train, small_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emocatcher.training.fold_trainer._SAVE_EVERY_S", 0.0)
    cuts = iter([(1, 4), (1, 9), (0, 1), (0, 12)])

    def cut_at(fold: int, epoch: int) -> Callable[[Any], None]:
        def on_progress(step: Any) -> None:
            if step.epoch is not None and (step.epoch.fold, step.epoch.epoch) == (fold, epoch):
                raise KeyboardInterrupt

        return on_progress

    for fold, epoch in cuts:
        with pytest.raises(KeyboardInterrupt):
            train_here(
                tmp_path / "run", small_run.corpus, "stratified-2", small_run.settings, resume=True,
                on_progress=cut_at(fold, epoch),
            )  # fmt: skip
        assert not (tmp_path / "run" / "result.json").exists()
    train_here(tmp_path / "run", small_run.corpus, "stratified-2", small_run.settings, resume=True)
    assert reproducible_files(tmp_path / "run") == reproducible_files(small_run.folder)


def test_a_fold_gets_the_same_weights_whether_its_protocol_has_one_fold_or_several(
    stratified: Any, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    one_fold = msgspec.structs.replace(stratified.protocol, folds=stratified.protocol.folds[:1])
    experiment.run(few, one_fold, small_settings, tmp_path / "one", audited=False, reported=False)
    for name in ("last", "best"):
        model = Path("fold_0") / name / "model.safetensors"
        assert (tmp_path / "one" / model).read_bytes() == (stratified.folder / model).read_bytes()


def test_resuming_a_finished_run_changes_nothing(
    train_here: Train, copied: Any, few: Corpus, small_settings: Settings
) -> None:
    run = copied
    before = reproducible_files(run.folder)
    train_here(run.folder, few, "stratified-2", small_settings, resume=True)
    assert reproducible_files(run.folder) == before


def test_folds_of_earlier_versions_without_a_probe_are_kept(
    train_here: Train, copied: Any, few: Corpus, small_settings: Settings
) -> None:
    run = copied
    before = reproducible_files(run.folder)
    path = run.folder / "fold_1" / "resume" / "outcome.safetensors"
    tensors, meta = atomic_files.read_tensors(path)
    probed = [name for name in tensors if name.startswith("probe.")]
    assert len(probed) == 3
    atomic_files.write_tensors(path, {name: tensors[name] for name in tensors if name not in probed}, meta)
    train_here(run.folder, few, "stratified-2", small_settings, resume=True)
    result, once = json.loads((run.folder / "result.json").read_text()), json.loads(before["result"])
    assert "faithfulness" not in result
    assert ["faithfulness" in fold for fold in result["folds"]] == [True, False]
    assert result["folds"][0] == once["folds"][0]
    assert result["calibration"] == once["calibration"]


def test_a_fold_with_damaged_files_starts_again_and_names_them(
    train_here: Train, copied: Any, few: Corpus, small_settings: Settings
) -> None:
    run = copied
    before = reproducible_files(run.folder)
    for path in (run.folder / "fold_0" / "resume").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    (run.folder / "fold_0" / "last" / "model.safetensors").write_bytes(b"torn")
    (run.folder / "result.json").unlink()
    steps: list[experiment.Progress] = []
    train_here(run.folder, few, "stratified-2", small_settings, resume=True, on_progress=steps.append)
    assert reproducible_files(run.folder) == before
    resume = run.folder / "fold_0" / "resume"
    assert [step.warning for step in steps if step.warning] == [
        f"{resume / 'outcome.safetensors'} is damaged, so fold 0 is tested again from its last saved state",
        f"{resume / 'state.safetensors'} is damaged, so fold 0 starts again from its first epoch",
    ]


@pytest.mark.parametrize(
    ("part", "other", "warning"),
    [
        (
            "resume/outcome.safetensors",
            "resume/outcome.safetensors",
            "fold 0 is tested again from its last saved state",
        ),
        ("resume/outcome.safetensors", "resume/state.safetensors", "fold 0 is tested again from its last saved state"),
        ("last", "last", "fold 0 writes its models again from its last saved state"),
    ],
    ids=["outcome", "state as outcome", "model"],
)
def test_a_file_of_another_fold_is_not_used(
    train_here: Train, copied: Any, few: Corpus, small_settings: Settings, part: str, other: str, warning: str
) -> None:
    run = copied
    before = reproducible_files(run.folder)
    source, target = run.folder / "fold_1" / other, run.folder / "fold_0" / part
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        target.write_bytes(source.read_bytes())
    with pytest.warns(UserWarning, match=warning):
        train_here(run.folder, few, "stratified-2", small_settings, resume=True)
    assert reproducible_files(run.folder) == before


def test_a_damaged_model_of_a_finished_fold_is_named_and_written_again(
    train_here: Train, copied: Any, few: Corpus, small_settings: Settings
) -> None:
    run = copied
    before = reproducible_files(run.folder)
    best = run.folder / "fold_1" / "best"
    (best / "model.onnx").write_bytes(b"torn")
    with pytest.warns(UserWarning, match=r"fold_1.best is damaged, so fold 1 writes its models again"):
        train_here(run.folder, few, "stratified-2", small_settings, resume=True)
    assert reproducible_files(run.folder) == before


def test_run_audits_and_writes_a_report(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    protocol = protocols.load("stratified-2", few, 0)
    audits: list[audit.Audit] = []
    results: list[bytes] = []

    def on_progress(step: experiment.Progress) -> None:
        if step.stage == "report":
            results.append((tmp_path / "run" / "result.json").read_bytes())

    page = experiment.run(
        few, protocol, small_settings, tmp_path / "run", on_audit=audits.append, on_progress=on_progress
    )
    assert page == tmp_path / "run" / "report.html"
    assert [leak.kind for leak in audits[0].leaks] == ["same-speaker"]
    assert audits == [audit.read(tmp_path / "run")]
    assert audits[0].stamp in page.read_text(encoding="utf-8")
    # `result.json` marks a complete run, so it is written once, before the report.
    assert results == [(tmp_path / "run" / "result.json").read_bytes()] * 2


def test_run_can_refuse_leaks(train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path) -> None:
    protocol = protocols.load("stratified-2", few, 0)
    with pytest.raises(LeakError, match="--strict refuses"):
        experiment.run(few, protocol, small_settings, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()
    with pytest.raises(SettingError, match="--strict needs the audit, which --no-audit skips"):
        experiment.run(few, protocol, small_settings, tmp_path / "both", strict=True, audited=False)


def test_an_existing_run_is_refused_without_resume(train_here: Train, small_run: Any) -> None:
    before = reproducible_files(small_run.folder)
    with pytest.raises(RunError, match=r"holds a run already.*--resume.*--out"):
        train_here(small_run.folder, small_run.corpus, "stratified-2", small_run.settings)
    assert reproducible_files(small_run.folder) == before


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("run.json", {"seed": 1}),
        ("run.json", {"name": "stratified-3"}),
        ("run.json", {"device": "cuda"}),
        ("run.json", {"corpus": "without the last"}),
        ("config.toml", {"settings": {"n_epochs": 13}}),
        ("run.json", {"corpus": "with votes"}),
        ("split.csv", {"corpus": "with another emotion"}),
    ],
)
def test_another_run_is_not_resumed(
    monkeypatch: pytest.MonkeyPatch, train_here: Train, small_run: Any, named: str, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(device, "_available", lambda: ["cuda", "cpu"])
    corpus, settings = small_run.corpus, small_run.settings
    first, *others = corpus.utterances
    if change.get("corpus") == "without the last":
        corpus = msgspec.structs.replace(corpus, utterances=corpus.utterances[:-1])
    elif "corpus" in change:
        new = {"votes": (("sad", 0.5), ("angry", 0.5))} if "votes" in change["corpus"] else {"emotion": "angry"}
        corpus = msgspec.structs.replace(corpus, utterances=(msgspec.structs.replace(first, **new), *others))
    if "settings" in change:
        settings = with_training(settings, **change["settings"])
    before = reproducible_files(small_run.folder)
    with pytest.raises(RunError, match=f"holds another run: its {named} differs"):
        train_here(
            small_run.folder,
            corpus,
            change.get("name", "stratified-2"),
            settings,
            seed=change.get("seed", 0),
            device=change.get("device", "cpu"),
            resume=True,
        )
    assert reproducible_files(small_run.folder) == before


def test_a_run_of_other_recordings_is_not_resumed(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    settings = with_training(small_settings, n_epochs=1)
    run = train_here(tmp_path / "run", few, "stratified-2", settings)
    first, *others = few.utterances
    swapped = msgspec.structs.replace(first, path=others[0].path)
    changed = msgspec.structs.replace(few, utterances=(swapped, *others))
    with pytest.raises(RunError, match="other recordings"):
        train_here(run.folder, changed, "stratified-2", settings, resume=True)


def test_a_folder_that_cannot_be_written_is_named(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        train_here(tmp_path / "file", few, "stratified-2", small_settings)
    with pytest.raises(RunError, match="cannot be written"):
        train_here(tmp_path / "file" / "run", few, "stratified-2", small_settings)


def test_a_label_that_no_model_may_have_is_refused_before_anything_is_written(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    """It once was when the first fold was written, after its training."""
    long = "a" * 101
    renamed = tuple(
        msgspec.structs.replace(one, emotion=long) if one.emotion == few.labels[0] else one for one in few.utterances
    )
    corpus = msgspec.structs.replace(few, utterances=renamed, labels=(long, *few.labels[1:]))
    with pytest.raises(ModelError, match="1 to 100 characters"):
        train_here(tmp_path / "run", corpus, "stratified-2", small_settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "victim", ["state.safetensors", "outcome.safetensors", "model.onnx", "metrics.jsonl", "result.json"]
)
def test_a_run_can_be_resumed_after_a_full_disk(
    train_here: Train,
    few: Corpus,
    small_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    victim: str,
) -> None:
    from emocatcher.foundation.errors import EmoCatcherError

    settings = with_training(small_settings, n_epochs=1)
    whole = atomic_files.write_bytes

    def full(path: Path, payload: bytes) -> None:
        if path.name == victim:
            raise OSError(28, "No space left on device")
        whole(path, payload)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "write_bytes", full)
        with pytest.raises(EmoCatcherError, match="No space left on device"):
            train_here(tmp_path / "run", few, "stratified-2", settings)
    assert not (tmp_path / "run" / "result.json").exists()
    train_here(tmp_path / "run", few, "stratified-2", settings, resume=True)
    assert (tmp_path / "run" / "result.json").is_file()


def test_best_valid_carves_by_speaker_if_the_protocol_separates_speakers(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    run = train_here(tmp_path / "run", few, "speakers-2", with_training(small_settings, selection="best-valid"))
    rows = table(run.folder / "split.csv")
    epochs = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((run.folder / "result.json").read_text())
    assert result["selection"] == "best-valid"
    assert not result["optimistic"]
    assert not result["speakers_shared"]
    assert result["separates_speakers"]
    for fold in (0, 1):
        speakers = {
            part: {row["speaker"] for row in rows if row["fold"] == str(fold) and row["part"] == part}
            for part in ("train", "valid", "test")
        }
        assert all(speakers.values())
        assert not speakers["train"] & speakers["valid"]
        assert not (speakers["train"] | speakers["valid"]) & speakers["test"]
        of_fold = [epoch for epoch in epochs if epoch["fold"] == fold]
        best = 1 + int(np.argmax([epoch["valid_accuracy"] for epoch in of_fold]))
        entry = result["folds"][fold]
        assert entry["selected_epoch"] == best
        assert entry["n_valid"] == sum(row["fold"] == str(fold) and row["part"] == "valid" for row in rows)
        assert entry["n_train"] + entry["n_valid"] + entry["n_test"] == len(few)
        assert entry["selected"]["accuracy"] == of_fold[best - 1]["test_accuracy"]
        training = model_folder.read(run.folder / f"fold_{fold}" / "best").config.training
        assert (training.selection, training.epoch, training.fold) == ("best-valid", best, fold)
        assert training.speakers_shared is False
        assert training.scores["accuracy"] == entry["selected"]["accuracy"]


def test_best_valid_carves_by_utterance_if_speakers_are_shared(
    train_here: Train, voices: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    settings = with_training(small_settings, selection="best-valid", n_epochs=1)
    run = train_here(tmp_path / "run", voices, "stratified-2", settings)
    valid = [row for row in table(run.folder / "split.csv") if row["part"] == "valid" and row["fold"] == "0"]
    assert len(valid) == 12
    assert {row["emotion"] for row in valid} == set(voices.labels)


def test_best_test_is_marked_optimistic(train_here: Train, small_run: Any, tmp_path: Path) -> None:
    settings = with_training(small_run.settings, selection="best-test")
    run = train_here(tmp_path / "run", small_run.corpus, "stratified-2", settings)
    result = json.loads((run.folder / "result.json").read_text())
    assert result["selection"] == "best-test"
    assert result["optimistic"]
    for entry in result["folds"]:
        assert entry["selected"]["accuracy"] == entry["accuracy"]["best_test"]
        folder = run.folder / f"fold_{entry['fold']}" / "best"
        assert "optimistic" in (folder / "README.md").read_text()
        assert model_folder.read(folder).config.training.epoch == entry["selected_epoch"]
        assert model_folder.read(folder.parent / "last").config.training.selection == "last"
    # The weights of the last epoch do not depend on the selection.
    last = "fold_0/last/model.safetensors"
    assert (run.folder / last).read_bytes() == (small_run.folder / last).read_bytes()


def test_nothing_in_a_run_is_pickled(small_run: Any) -> None:
    suffixes = {path.suffix for path in small_run.folder.rglob("*") if path.is_file()}
    assert suffixes <= {
        ".json",
        ".jsonl",
        ".sha256",
        ".csv",
        ".toml",
        ".md",
        ".safetensors",
        ".onnx",
        ".npz",
        ".html",
        ".svg",
        ".png",
    }
    with np.load(small_run.folder / "fold_0" / "evidence.npz", allow_pickle=False) as evidence:
        assert len(evidence["attention"]) == evidence["attention_lengths"].sum()
        starts = np.cumsum(evidence["attention_lengths"])[:-1]
        for weights in np.split(evidence["attention"], starts):
            assert weights.sum() == pytest.approx(1.0, abs=1e-5)
        assert evidence["example_log_mel"].shape == (64, evidence["example_lengths"].sum())
        assert len(evidence["example_utterances"]) == 16
        assert evidence["attention_period_s"] == 2 * evidence["frame_period_s"] == 2 * 1364 / 22050


def test_the_environment_is_recorded(small_run: Any) -> None:
    environment = json.loads((small_run.folder / "environment.json").read_text())
    assert environment.keys() == {
        "emocatcher", "python", "torch", "numpy", "platform", "processor", "device", "n_cores", "threads_per_fold",
        "created",
    }  # fmt: skip


def test_progress_reaches_its_total(train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path) -> None:
    steps: list[experiment.Progress] = []
    train_here(tmp_path / "run", few, "stratified-2", small_settings, on_progress=steps.append)
    stages = [step.stage for step in steps]
    assert stages == sorted(stages)  # features, then training
    for stage, total in (("features", len(few)), ("training", 6)):
        done = [step.done for step in steps if step.stage == stage]
        assert done == sorted(done)
        assert done[-1] == total
        assert {step.total for step in steps if step.stage == stage} == {total}


def test_a_recording_that_cannot_be_decoded_is_named_before_training(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_text("I am text")
    bad = msgspec.structs.replace(few.utterances[3], path=tmp_path / "bad.wav")
    corpus = msgspec.structs.replace(few, name="bad", utterances=(*few.utterances[:3], bad, *few.utterances[4:]))
    with pytest.raises(AudioError, match=r"bad\.wav: .* `emocatcher check` lists all"):
        train_here(tmp_path / "run", corpus, "stratified-2", small_settings)


@pytest.mark.parametrize("speakers", [False, True])
def test_a_table_of_recordings_is_trained_and_reported(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path, speakers: bool
) -> None:
    """The table has its own labels, with and without speakers."""
    names = {"happy": "glad, very", "sad": "[blue]", "angry": "wütend"}
    rows = [
        {"path": str(u.path), "label": names[u.emotion]} | ({"speaker": f"S {u.speaker}"} if speakers else {})
        for u in few
        if u.emotion in names
    ]
    with (tmp_path / "mine.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    corpus = corpora.load(str(tmp_path / "mine.csv"))
    settings = with_training(small_settings, n_epochs=1)
    protocol = protocols.load("speakers-2" if speakers else "stratified-2", corpus, 0)
    page = experiment.run(corpus, protocol, settings, tmp_path / "run", audited=False, reported=not speakers)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["labels"]) == set(names.values())
    assert result["n_speakers"] == (4 if speakers else 0)
    assert result["speakers_shared"] is not speakers
    assert result["interval"]["resampled"] == ("speakers" if speakers else "utterances")
    assert bool(result["cannot_claim"]) is not speakers
    assert not result["synthetic"]
    predictions = table(tmp_path / "run" / "predictions.csv")
    assert {row["predicted"] for row in predictions} <= set(names.values())
    assert {f"probability_{label}" for label in names.values()} <= predictions[0].keys()
    if not speakers:
        assert {row["speaker"] for row in predictions} == {""}
        text = page.read_text(encoding="utf-8")
        assert "glad, very" in text
        assert "wütend" in text
        assert audit.NOT_AUDITED in text


def test_best_valid_without_speakers_to_carve_is_refused_before_anything_is_written(
    train_here: Train, few: Corpus, small_settings: Settings, tmp_path: Path
) -> None:
    two = msgspec.structs.replace(few, utterances=tuple(u for u in few if u.speaker in {"01", "02"}))
    with pytest.raises(ProtocolError, match="selection = last"):
        train_here(tmp_path / "run", two, "speakers-2", with_training(small_settings, selection="best-valid"))
    assert not (tmp_path / "run").exists()


def test_only_the_training_part_takes_votes_and_scores_stay_against_the_labels(few: Corpus) -> None:
    fold = protocols.load("stratified-2", few, 0).folds[0]
    without = prepared_run.parts_of(fold, few)
    assert all(part.shares is None for part in without.values())
    votes = (("sad", 0.75), ("angry", 0.25))
    voted = msgspec.structs.replace(few, utterances=tuple(msgspec.structs.replace(one, votes=votes) for one in few))
    parts = prepared_run.parts_of(fold, voted)
    assert parts["test"].shares is None
    sad, angry = few.labels.index("sad"), few.labels.index("angry")
    assert (parts["train"].shares[:, [sad, angry]] == (0.75, 0.25)).all()
    for name, part in parts.items():
        np.testing.assert_array_equal(part.true, without[name].true)
