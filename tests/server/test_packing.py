"""What is packed comes back byte for byte, whatever it has in common with what; and what does not fit is told."""

import importlib.util
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher.server import packing

ROOT = Path(__file__).parents[2]
NOISE = np.random.default_rng(0).bytes(200_000)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 5_000), st.binary(max_size=30)), max_size=5))
def test_whatever_it_is_made_of_it_comes_back(pieces):
    content = b"".join(NOISE[start : start + length] + own for start, length, own in pieces)
    assert packing.unpack(packing.pack(content, NOISE), NOISE) == content
    assert packing.unpack(packing.pack(content)) == content


@pytest.mark.parametrize("content", [b"", b"\n", NOISE[:1024], NOISE, NOISE + NOISE, NOISE[1:], b"x" * 100_000])
def test_the_edges(content):
    assert packing.unpack(packing.pack(content, NOISE), NOISE) == content


def test_what_the_base_holds_takes_no_room():
    content = b"front" * 300 + NOISE[50_000:] + b"middle" + NOISE[:60_000] + b"end"
    assert len(packing.pack(content, NOISE)) < 1_000
    assert len(packing.pack(content)) > 150_000


def test_another_base_is_noticed_and_so_is_damage():
    packed = packing.pack(NOISE, NOISE)
    with pytest.raises(ValueError, match="does not fit the model"):
        packing.unpack(packed, NOISE[1:])
    for broken in (packed[:-4], b"", b"no archive", lzma.compress(b"no header")):
        with pytest.raises(ValueError, match=r"damaged|does not fit"):
            packing.unpack(broken, NOISE)


def test_a_graph_is_packed_against_the_same_model_in_the_package(tmp_path):
    (tmp_path / "page" / "model").mkdir(parents=True)
    (tmp_path / "page" / "model" / "model.json").write_text('{"name": "mine"}')
    models = tmp_path / "models"
    assert packing.base_of("model/waveform.onnx", tmp_path / "page", models) == b""
    (models / "mine").mkdir(parents=True)
    (models / "mine" / "model.onnx").write_bytes(b"weights")
    assert packing.base_of("model/waveform.onnx", tmp_path / "page", models) == b"weights"
    assert packing.base_of("assets/run.wasm", tmp_path / "page", models) == b""


def test_the_wheel_holds_the_page_packed(tmp_path):
    """As hatchling calls the hook, with a page of one's own."""
    (tmp_path / "src" / "emocatcher" / "server").mkdir(parents=True)
    (tmp_path / "src" / "emocatcher" / "server" / "packing.py").write_bytes(Path(packing.__file__).read_bytes())
    models, page = tmp_path / "src" / "emocatcher" / "models", tmp_path / "dist" / "page"
    (models / "mine").mkdir(parents=True)
    (models / "mine" / "model.onnx").write_bytes(NOISE)
    (page / "model").mkdir(parents=True)
    (page / "index.html").write_text("hello")
    (page / "model" / "model.json").write_text('{"name": "mine"}')
    (page / "model" / "waveform.onnx").write_bytes(b"front end" + NOISE)

    specification = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hatch_build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hatch_build)
    hook = hatch_build.PageHook(str(tmp_path), {}, None, None, str(tmp_path / "dist"), "wheel")
    included = {"force_include": {}}
    hook.initialize("standard", included)
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as wheel:
        for path, place in included["force_include"].items():
            wheel.write(path, place)
    hook.finalize()
    with zipfile.ZipFile(tmp_path / "wheel.zip") as wheel:
        of_page = "emocatcher/server/page/"
        assert wheel.read(f"{of_page}index.html") == b"hello"
        packed = wheel.read(f"{of_page}model/waveform.onnx.packed")
    assert len(packed) < 1_000
    assert packing.unpack(packed, NOISE) == b"front end" + NOISE
