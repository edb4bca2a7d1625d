"""A model folder is complete or refused, and its card states how it was trained."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import model_folder
from emocatcher.models.model_folder import ModelConfig, Training, model_card

TRAINING = Training(
    corpus="my voices", licence="CC BY 4.0 (someone)", protocol="speakers-5", fold=3, speakers_shared=False,
    selection="last", epoch=7, seed=5, scores={"accuracy": 0.625, "macro_f1": 0.5},
)  # fmt: skip
WEIGHTS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(4, np.int64)}


def config(**training: Any) -> ModelConfig:
    return ModelConfig(
        name="made-up", version="1.2.3", labels=("glad", "bored"), settings=load_preset("cabg"),
        training=msgspec.structs.replace(TRAINING, **training), n_parameters=1234567, temperature=1.5,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model_folder.write(tmp_path / "model", config(), WEIGHTS, b"a graph")
    return tmp_path / "model"


def test_reading_returns_what_was_written(folder: Path) -> None:
    opened = model_folder.read(folder)
    assert msgspec.structs.replace(opened.config, sha256={}) == config()
    weights = opened.weights()
    assert weights.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        assert weights[name].dtype == value.dtype
        np.testing.assert_array_equal(weights[name], value)
    assert opened.onnx_path.read_bytes() == b"a graph"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.onnx", "model.safetensors",
    ]  # fmt: skip


def test_writing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    model_folder.write(tmp_path / "again", config(), dict(reversed(WEIGHTS.items())), b"a graph")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize("part", ["model.safetensors", "model.onnx"])
@pytest.mark.parametrize("damage", ["missing", "altered", "cut"])
def test_a_changed_file_is_refused(folder: Path, part: str, damage: str) -> None:
    path = folder / part
    payload = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(payload[:-1] if damage == "cut" else payload[:-1] + bytes([payload[-1] ^ 1]))
    with pytest.raises(ModelError, match=part):
        model_folder.read(folder)


def test_a_config_without_hashes_is_refused(folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text())
    raw["sha256"] = {}
    (folder / "config.json").write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=r"config\.json"):
        model_folder.read(folder)
    (folder / "model.onnx").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks"):
        model_folder.read(folder)


def test_a_model_with_a_removed_setting_loads_only_if_it_had_no_effect(folder: Path) -> None:
    """Older models have `speaker_normalisation`, which was false in all models made for use."""
    expected = model_folder.read(folder).config
    raw = json.loads((folder / "config.json").read_text())
    raw["settings"]["training"]["speaker_normalisation"] = False
    (folder / "config.json").write_text(json.dumps(raw))
    assert model_folder.read(folder).config == expected
    raw["settings"]["training"]["speaker_normalisation"] = True
    (folder / "config.json").write_text(json.dumps(raw))
    with pytest.raises(ModelError, match="speaker_normalisation"):
        model_folder.read(folder)


@pytest.mark.parametrize("name", ["missing", "empty", "a file"])
def test_other_paths_than_model_folders_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("x")
    with pytest.raises(ModelError, match="not a model folder"):
        model_folder.read(tmp_path / name)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[1]", b"{", b"\xff\xfe", b'{"format": 1}', b'{"model_type": "wav2vec2"}', b"null"]
)
def test_a_config_of_another_project_is_refused(folder: Path, payload: bytes) -> None:
    (folder / "config.json").write_bytes(payload)
    with pytest.raises(ModelError, match="does not describe a model") as caught:
        model_folder.read(folder)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("change", [{}, {"labels": "of another shape"}, {"settings": None}])
def test_the_error_for_a_future_format_names_it(folder: Path, change: dict[str, Any]) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"format": 2} | change))
    with pytest.raises(ModelError, match="format 2"):
        model_folder.read(folder)


def test_a_folder_whose_writing_failed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    model_folder.write(folder, config(), WEIGHTS, b"the old graph")
    whole = atomic_files.write_bytes
    written: list[str] = []

    def full_after_two(path: Path, payload: bytes) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path.name)
        whole(path, payload)

    monkeypatch.setattr(atomic_files, "write_bytes", full_after_two)
    with pytest.raises(ModelError, match="No space left on device"):
        model_folder.write(folder, config(seed=6), WEIGHTS, b"the new graph")
    with pytest.raises(ModelError, match="not a model folder"):
        model_folder.read(folder)  # not the old model, the new one or a mixture


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="cannot be written"):
        model_folder.write(tmp_path / "file" / "model", config(), WEIGHTS, b"")


def test_damaged_weights_are_refused(folder: Path) -> None:
    opened = model_folder.read(folder)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        opened.weights()


def test_no_file_of_a_model_folder_is_pickled(folder: Path) -> None:
    for path in folder.iterdir():
        payload = path.read_bytes()
        assert not payload.startswith((b"\x80", b"PK")), path
        assert path.suffix in {".json", ".md", ".onnx", ".safetensors"}


def rows(card: str) -> dict[str, str]:
    return dict(re.findall(r"^\| (.+?) \| (.+?) \|$", card, re.MULTILINE))


def test_the_card_states_how_the_model_was_trained(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    facts = rows(card)
    assert card.startswith("---\n")
    assert facts["Corpus"] == "my voices"
    assert facts["Protocol"] == "speakers-5, fold 3"
    assert facts["Speakers shared between training and test"] == "no"
    assert facts["Selection"] == "last"
    assert facts["Emotions"] == "glad, bored"
    assert facts["Parameters"] == "1,234,567"
    assert facts["Seed"] == "5"
    assert facts["Epoch"] == "7"
    assert facts["accuracy"] == "0.6250"
    assert "CC BY 4.0 (someone)" in card
    assert "Limits" in card


def test_the_card_states_what_limits_the_scores(tmp_path: Path) -> None:
    made = config(speakers_shared=True, selection="best-test", synthetic=True, note="From elsewhere.", fold=None)
    model_folder.write(tmp_path, made, WEIGHTS, b"")
    card = (tmp_path / "README.md").read_text()
    facts = rows(card)
    assert facts["Speakers shared between training and test"].startswith("yes")
    assert "optimistic" in facts["Selection"]
    assert "SYNTHETIC" in facts["Corpus"]
    assert facts["Protocol"] == "speakers-5"
    assert "From elsewhere." in card
    model_folder.write(tmp_path, config(speakers_shared=None, seed=None), WEIGHTS, b"")
    facts = rows((tmp_path / "README.md").read_text())
    assert facts["Speakers shared between training and test"] == "not known"
    assert facts["Seed"] == "not known"


def test_the_card_states_that_the_scores_are_on_other_corpora_if_the_field_does(tmp_path: Path) -> None:
    """The name of a score means nothing: anyone may choose it."""
    words = "a model trained on the others"
    model_folder.write(tmp_path, config(across_corpora=True), WEIGHTS, b"")
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert words in card
    assert "acted" not in card  # corpora of any kind
    named = config(scores={"unweighted_average_recall_on_mine": 0.5})
    model_folder.write(tmp_path, named, WEIGHTS, b"")
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert words not in card
    assert "not measured" not in card  # others may have measured it


def test_the_cards_of_the_included_encoders_are_those_of_their_configs() -> None:
    for name in ("emocatcher-3", "emocatcher-3-free"):
        opened = model_folder.read(model_folder.bundled(name) or Path())
        card = (opened.path / model_folder.CARD).read_text(encoding="utf-8")
        assert opened.config.training.across_corpora == (name == "emocatcher-3")
        assert card == model_card.text(opened.config)


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"labels": []}, "labels"),
        ({"labels": ["sad", "sad"]}, "the same"),
        ({"labels": ["sad", "\x1b[31mred"]}, "labels"),
        ({"labels": [f"l{i}" for i in range(1001)]}, "labels"),
        ({"labels": ["x" * 101, "y"]}, "labels"),
        ({"name": "two\nlines"}, "name"),
        ({"temperature": 1e-300}, "temperature"),
        ({"longest_voiced_s": "3"}, "longest_voiced_s"),
    ],
)
def test_settings_that_no_model_has_are_refused(folder: Path, change: dict[str, Any], needed: str) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | change))
    with pytest.raises(ModelError, match=needed):
        model_folder.read(folder)


def test_configs_that_earlier_versions_wrote_keep_the_longest_voiced_span(folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text())
    del raw["longest_voiced_s"]
    earlier = {"longest_voiced_s": 3.5, "mean": [1.0], "scale": [1.0], "precision": [[1.0]], "limit": 2.0}
    for conditions, expected in ((earlier, 3.5), (None, None)):
        (folder / "config.json").write_text(json.dumps(raw | {"conditions": conditions}))
        assert model_folder.read(folder).config.longest_voiced_s == expected


def test_deep_and_large_settings_are_refused(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'{"format": 1, "x": ' + b"[" * 100_000)
    with pytest.raises(ModelError, match="does not describe a model"):
        model_folder.read(folder)
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 25)
    with pytest.raises(ModelError, match="bytes; allowed are"):
        model_folder.read(folder)


def test_weights_of_an_unknown_type_are_refused(folder: Path) -> None:
    header = b'{"a":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[0,1]}}'
    for payload in (len(header).to_bytes(8, "little") + header + b"x", (1 << 63).to_bytes(8, "little"), b""):
        (folder / "model.safetensors").write_bytes(payload)
        with pytest.raises(ModelError, match="cannot be read"):
            model_folder.Bundle(folder, config()).weights()


def test_the_card_shows_texts_of_others_as_they_are(tmp_path: Path) -> None:
    hostile = "a|b <script>alert(1)</script> [x](http://example.org)"
    named = msgspec.structs.replace(config(corpus=hostile, licence=f"{hostile}\n# Forged"), name=hostile)
    model_folder.write(tmp_path / "model", named, WEIGHTS, b"a graph")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "<script>" not in card.replace("\\<", "")
    assert "\n# Forged" not in card
    assert card.count("a\\|b \\<script\\>alert(1)\\</script\\> \\[x\\](http") == 3
