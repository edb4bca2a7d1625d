"""A graph of a stranger is refused before it is run; every graph that this project writes is accepted."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from emocatcher.foundation.errors import ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import model_folder, onnx_check
from emocatcher.models.networks import registry
from emocatcher.models.onnx_graphs import to_onnx

BUNDLED = [model_folder.bundled(name) for name in model_folder.bundled_names()]


def graph() -> Any:
    return onnx.load(Path(str(BUNDLED[1])) / model_folder.ONNX)


def loop() -> Any:
    model = graph()
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])], "body",
        [helper.make_tensor_value_info(*one, []) for one in (("i", TensorProto.INT64), ("c", TensorProto.BOOL))],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    model.graph.node.append(helper.make_node("Loop", ["", "true"], [], body=body))
    return model


def subgraph_of_an_allowed_operator() -> Any:
    model = graph()
    model.graph.node[0].attribute.append(helper.make_attribute("body", helper.make_graph([], "g", [], [])))
    return model


def scan_function() -> Any:
    model = graph()
    model.functions.append(helper.make_function("x", "Add", ["a"], ["b"], [], [helper.make_opsetid("", 17)]))
    return model


def external_data() -> Any:
    model = graph()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    return model


def external_data_inside_an_attribute() -> Any:
    model = graph()
    tensor = external_data().graph.initializer[0]
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))
    return model


def huge_constant() -> Any:
    model = graph()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 40]), "shape"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["huge"]))
    return model


def huge_range() -> Any:
    model = graph()
    for name, value in (("start", 0), ("end", 1 << 40), ("step", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    model.graph.node.insert(0, helper.make_node("Range", ["start", "end", "step"], ["huge"]))
    return model


def huge_padding() -> Any:
    model = graph()
    model.graph.node[0].attribute.append(helper.make_attribute("pads", [0, 1 << 40]))
    return model


def product_of_a_row_and_a_column(operator: str = "MatMul") -> Any:
    model = graph()
    for name, shape in (("column", (1 << 16, 1)), ("row", (1, 1 << 16))):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    model.graph.node.insert(0, helper.make_node(operator, ["column", "row"], ["huge"]))
    return model


def scaled_row_and_column() -> Any:
    return product_of_a_row_and_a_column("Mul")


def shape_without_data() -> Any:
    model = graph()
    model.graph.initializer[0].dims[:] = [1 << 40]
    return model


def foreign_domain() -> Any:
    model = graph()
    model.graph.node[0].domain = "com.example"
    return model


def sparse() -> Any:
    model = graph()
    model.graph.sparse_initializer.add()
    return model


HOSTILE = (
    loop, subgraph_of_an_allowed_operator, scan_function, external_data, external_data_inside_an_attribute,
    huge_constant, huge_range, huge_padding, product_of_a_row_and_a_column, scaled_row_and_column, shape_without_data,
    foreign_domain, sparse,
)  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_graph_is_refused(make: Any) -> None:
    payload = make().SerializeToString()
    with pytest.raises(ModelError, match=r"x\.onnx is not run: "):
        onnx_check.check(payload, "x.onnx")


def test_damaged_files_are_refused_or_accepted_at_once() -> None:
    whole, chance = graph().SerializeToString(), random.Random(0)
    started, n_refused = time.monotonic(), 0
    for _ in range(200):
        payload = bytearray(whole[: chance.choice((len(whole), chance.randrange(len(whole))))])
        for _ in range(chance.randrange(1, 20)):
            payload[chance.randrange(min(len(payload), 20_000))] = chance.randrange(256)
        try:
            onnx_check.check(bytes(payload), "x.onnx")
        except ModelError:
            n_refused += 1
    assert n_refused > 100
    assert time.monotonic() - started < 30.0
    for payload in (b"", b"text", b"\xff" * 100, bytes(100), b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"):
        with pytest.raises(ModelError):
            onnx_check.check(payload, "x.onnx")


VARIANTS = (
    ("cabg", ()),
    ("emocatcher-2", ()),
    ("emocatcher-2", ("network.level='absolute'",)),
    ("emocatcher-2", ("network.contrast=false",)),
    ("emocatcher-2", ("network.level='absolute'", "network.contrast=false", "front_end.pitch=none")),
)


@pytest.mark.parametrize(("preset", "overrides"), VARIANTS)
@pytest.mark.parametrize("int8", [False, True])
def test_every_graph_that_is_written_here_is_accepted(preset: str, overrides: tuple[str, ...], int8: bool) -> None:
    settings = load_preset(preset, overrides)
    weights = {name: tensor.numpy() for name, tensor in registry.build(settings, 4).state_dict().items()}
    onnx_check.check(to_onnx(weights, settings, ("a", "b", "c", "d"), int8=int8), "x.onnx")


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda folder: folder.name)
def test_the_bundled_graphs_are_accepted(folder: Path) -> None:
    onnx_check.check((folder / model_folder.ONNX).read_bytes(), "x.onnx")
