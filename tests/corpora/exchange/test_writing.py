"""Write corpora in the forms of others, and read them again: here, and with the real libraries."""

import json
from pathlib import Path

import msgspec
import pytest

from emocatcher import audio, corpora
from emocatcher.corpora.exchange import audformat_writing, datasets_writing
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import CorpusError

from .clips import corpus, put

pytest.importorskip("pyarrow", reason="needs the extra 'exchange'")
pytest.importorskip("yaml", reason="needs the extra 'exchange'")

KINDS = ("audformat", "datasets", "parquet", "audiofolder")
FIELDS = ("id", "emotion", "speaker", "gender", "age", "intensity", "split", "dimensions")


def write(made, to, kind, folds=None):
    if kind == "audformat":
        audformat_writing.write(made, to, folds or {})
    else:
        datasets_writing.write(made, to, kind, folds or {})
    return to


def facts(made):
    everyone = sorted((*made.utterances, *made.unlabelled), key=lambda one: one.id)
    return [tuple(getattr(one, field) for field in FIELDS) for one in everyone]


def votes(made):
    return {one.id: dict(one.votes) for one in made if one.votes}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again(tmp_path, kind):
    made = corpus(tmp_path / "mine")
    found = corpora.load(str(write(made, tmp_path / "out", kind)))
    assert facts(found) == facts(made)
    assert votes(found) == votes(made)
    assert (found.labels, found.dimensions) == (made.labels, made.dimensions)
    paths = {one.id: one.path for one in (*found.utterances, *found.unlabelled)}
    for one in (*made.utterances, *made.unlabelled):
        assert paths[one.id].read_bytes() == one.path.read_bytes()
    if kind != "parquet" and kind != "audiofolder":
        assert found.licence == "CC BY 4.0"


@pytest.mark.parametrize("kind", KINDS)
def test_splits_and_folds_are_written(tmp_path, kind):
    made = corpus(tmp_path / "mine")
    split = {one.id: ("train", "valid", "test")[number % 3] for number, one in enumerate(made)}
    found = corpora.load(str(write(made, tmp_path / "out", kind, {"split": split})))
    assert {one.id: one.split for one in found} == split
    folds = {"fold": {one.id: number % 2 for number, one in enumerate(made)}}
    again = corpora.load(str(write(made, tmp_path / "folds", kind, folds)))
    assert "1 column is not used: fold" in again.notes
    assert {one.split for one in again} == {None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_that_some_recordings_lack_is_kept(tmp_path, kind):
    made = corpus(tmp_path / "mine")
    split = {one.id: ("train", "valid", None)[number % 3] for number, one in enumerate(made)}
    of_table = [msgspec.structs.replace(one, split=split[one.id]) for one in made]
    own = write(msgspec.structs.replace(made, utterances=tuple(of_table)), tmp_path / "own", kind)
    for out in (own, write(made, tmp_path / "protocol", kind, {"split": split})):
        assert {one.id: one.split for one in corpora.load(str(out))} == split


@pytest.mark.parametrize("kind", KINDS)
def test_any_range_of_ratings_and_votes_for_any_label_are_read_again(tmp_path, kind):
    made = corpus(tmp_path / "mine")
    low, high = 5 / 3, 19 / 3
    utterances = tuple(
        msgspec.structs.replace(
            one, dimensions=(("arousal", high if number else low),),
            votes=((made.labels[2], 1 / 3), ("happy", 2 / 3)) if one.emotion == made.labels[2] else None,
        )
        for number, one in enumerate(made)
    )  # fmt: skip
    made = msgspec.structs.replace(made, utterances=utterances, dimensions=(Dimension("arousal", low, high),))
    found = corpora.load(str(write(made, tmp_path / "out", kind)))
    assert (facts(found), found.dimensions) == (facts(made), made.dimensions)
    assert {id_: pytest.approx(shares) for id_, shares in votes(made).items()} == votes(found)


@pytest.mark.parametrize("kind", ["audformat", "audiofolder"])
def test_the_name_of_a_corpus_cannot_lead_outside_the_folder(tmp_path, kind):
    made = corpus(tmp_path / "mine")
    for name in ("../../outside", str(tmp_path / "outside")):
        named = tuple(msgspec.structs.replace(one, corpus=name) for one in made)
        with pytest.raises(CorpusError, match="Rename the corpus"):
            write(msgspec.structs.replace(made, utterances=named, unlabelled=()), tmp_path / "deep" / "out", kind)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("kind", ["datasets", "parquet", "audiofolder"])
def test_segments_are_cut_out_for_datasets(tmp_path, kind):
    made = corpus(tmp_path / "mine", segments=True)
    found = corpora.load(str(write(made, tmp_path / "out", kind)))
    paths = {one.id: one.path for one in found}
    for one in made:
        wanted = audio.read(one.path, start_s=one.start_s, end_s=one.end_s).waveform
        written = audio.read(paths[one.id]).waveform
        assert len(written) == 8000
        assert abs(written - wanted).max() < 1e-6


def test_segments_stay_segments_in_audformat(tmp_path):
    made = corpus(tmp_path / "mine", segments=True)
    out = write(made, tmp_path / "out", "audformat")
    found = corpora.load(str(out))
    assert [(one.start_s or None, one.end_s) for one in found] == [(one.start_s or None, one.end_s) for one in made]
    assert len(list(out.rglob("*.wav"))) == 4


def test_names_that_differ_by_case_only_do_not_overwrite_each_other(tmp_path):
    made = corpus(tmp_path / "mine")
    first, second, *_ = made.utterances
    put(tmp_path / "mine" / "A.wav", 0.3)
    put(tmp_path / "mine" / "a.WAV", 0.6)
    two = (
        msgspec.structs.replace(first, path=tmp_path / "mine" / "A.wav"),
        msgspec.structs.replace(second, path=tmp_path / "mine" / "a.WAV"),
    )
    found = corpora.load(
        str(write(msgspec.structs.replace(made, utterances=two, unlabelled=()), tmp_path / "out", "audiofolder"))
    )
    assert len({one.path.name.casefold() for one in found}) == 2
    levels = [float(audio.load(one.path)[0].max()) for one in found]
    assert levels == pytest.approx([0.3, 0.6], rel=0.02)


def test_nothing_is_written_if_a_recording_is_missing(tmp_path):
    made = corpus(tmp_path / "mine")
    made.utterances[3].path.unlink()
    for kind in KINDS:
        with pytest.raises(CorpusError, match=r"03\.wav cannot be"):
            write(made, tmp_path / "out", kind)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out*"))


def test_what_a_form_cannot_hold_is_refused(tmp_path):
    made = corpus(tmp_path / "mine")
    same = (*made.utterances[:1], msgspec.structs.replace(made.utterances[0], id="again"))
    with pytest.raises(CorpusError, match="'clip 0' and 'again' are the same part"):
        write(msgspec.structs.replace(made, utterances=same), tmp_path / "out", "audformat")
    odd = (msgspec.structs.replace(made.utterances[0], path=put(tmp_path / "mine" / "x.weba")),)
    with pytest.raises(CorpusError, match=r"1 of 2 recordings have a suffix .* x\.weba"):
        write(msgspec.structs.replace(made, utterances=odd), tmp_path / "out", "audiofolder")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_audformat_loads_what_is_written(tmp_path):
    audformat = pytest.importorskip("audformat", reason="needs audformat: pip install audformat")
    for segments in (False, True):
        made = corpus(tmp_path / f"mine {segments}", segments=segments)
        split = {one.id: "train" if number % 2 else "test" for number, one in enumerate(made)}
        out = write(made, tmp_path / f"out {segments}", "audformat", {"split": split})
        database = audformat.Database.load(str(out))
        frame = database.get("emotion", ["speaker", "arousal", "id"])
        assert database.is_portable
        assert sorted(database.tables) == ["emotion.test", "emotion.train"]
        assert database.tables["emotion.test"].split_id == "test"
        assert list(database.schemes["emotion"].labels) == list(made.labels)
        assert database.schemes["speaker"].labels["00"] == {"gender": "female", "age": 20}
        assert (database.schemes["arousal"].minimum, database.schemes["arousal"].maximum) == (1, 5)
        rows = {row["id"]: row for row in frame.reset_index().to_dict("records")}
        for one in made:
            row = rows[one.id]
            assert (row["emotion"], row["speaker"], row["arousal"]) == (one.emotion, one.speaker, one.dimensions[0][1])
            assert (out / row["file"]).read_bytes() == one.path.read_bytes()
            if segments:
                assert row["start"].total_seconds() == (one.start_s or 0.0)
                assert row["end"].total_seconds() == 0.5 if one.end_s else row["end"] != row["end"]  # NaT


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_what_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    datasets.disable_progress_bars()
    made = corpus(tmp_path / "mine")
    split = {one.id: ("train", "valid", "test")[number % 3] for number, one in enumerate(made)}
    as_arrow = write(made, tmp_path / "arrow", "datasets", {"split": split})
    as_parquet = write(made, tmp_path / "parquet", "parquet", {"split": split})
    loaded = {
        "arrow": datasets.load_from_disk(str(as_arrow)),
        "parquet": datasets.load_dataset(str(as_parquet), cache_dir=str(tmp_path / "cache")),
    }
    for found in loaded.values():
        assert set(found) == {"train", "validation", "test"}
        assert found["train"].features["emotion"].names == list(made.labels)
        assert isinstance(found["train"].features["audio"], datasets.Audio)
        names = {"train": "train", "validation": "valid", "test": "test"}
        rows = {
            row["id"]: row | {"split": names[name]}
            for name, part in found.items()
            for row in part.cast_column("audio", datasets.Audio(decode=False))
        }
        for one in made:
            row = rows[one.id]
            assert (made.labels[row["emotion"]], row["speaker"]) == (one.emotion, one.speaker)
            assert (row["split"], row["arousal[1:5]"]) == (split[one.id], one.dimensions[0][1])
            assert row["audio"]["bytes"] == one.path.read_bytes()
        assert rows["clip 7"]["emotion"] is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_the_audio_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    if int(datasets.__version__.split(".")[0]) > 3:
        pytest.importorskip("torchcodec", reason="datasets 4 loads audio folders with torchcodec only; 3 needs none")
    made = corpus(tmp_path / "mine")
    split = {one.id: ("train", "test")[number % 2] for number, one in enumerate(made)}
    out = write(made, tmp_path / "out", "audiofolder", {"split": split})
    loaded = datasets.load_dataset("audiofolder", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    rows = [row for part in loaded.values() for row in part.cast_column("audio", datasets.Audio(decode=False))]
    assert {row["id"]: (row["emotion"], row["speaker"]) for row in rows if row["emotion"]} == {
        one.id: (one.emotion, one.speaker) for one in made
    }
    assert all(Path(row["audio"]["path"]).is_file() for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_datasets_and_audformat_save_is_read(tmp_path, monkeypatch):
    """The other way round: folders that the real libraries wrote."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    audformat = pytest.importorskip("audformat", reason="needs audformat: pip install audformat")
    datasets.disable_progress_bars()
    made = corpus(tmp_path / "mine")
    table = datasets.load_from_disk(str(write(made, tmp_path / "arrow", "datasets")))
    table.save_to_disk(str(tmp_path / "again"), num_shards=3)
    table.to_parquet(str(tmp_path / "again.parquet"))
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(str(tmp_path / "both"))
    for name in ("again", "again.parquet"):
        assert facts(corpora.load(str(tmp_path / name))) == facts(made)
    assert {one.split for one in corpora.load(str(tmp_path / "both"))} == {"train", "test"}
    database = audformat.Database.load(str(write(made, tmp_path / "audformat", "audformat")))
    for kind in ("csv", "parquet"):
        database.save(str(tmp_path / kind), storage_format=kind)
        found = corpora.load(str(tmp_path / kind), to_check=True)
        assert facts(found) == facts(made)
        assert found.dimensions == made.dimensions


def test_the_card_of_parquet_names_the_licence(tmp_path):
    out = write(corpus(tmp_path / "mine"), tmp_path / "out", "parquet")
    header = (out / "README.md").read_text().split("---")[1]
    assert json.loads(header.split("license_name: ")[1].splitlines()[0]) == "CC BY 4.0"
