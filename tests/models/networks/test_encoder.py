"""The network with an encoder: statistics over time, exact shares of the steps, and its ONNX graph."""

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from emocatcher.features.padding import pad_batch
from emocatcher.foundation.settings import Encoder, EncoderNetwork, load_preset
from emocatcher.models import onnx_check
from emocatcher.models.networks import registry, whisper
from emocatcher.models.networks.encoder import statistics
from emocatcher.models.onnx_graphs import parity_error, to_onnx

LABELS = ("angry", "calm", "sad")
SETTINGS = msgspec.structs.replace(
    load_preset("emocatcher-3"), encoder=Encoder(source="random", n_layers=2, width=32, n_heads=4, hidden=48)
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    built = registry.build(SETTINGS, len(LABELS)).eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    clips = [row[:, None] for row in np.random.default_rng(0).normal(0.3, 1.0, (20, 128)).astype(np.float32)]
    built.fit(clips)
    return built.requires_grad_(False)


def test_statistics_fitted_in_pieces_are_those_of_all_at_once():
    built = registry.build(SETTINGS, len(LABELS))
    rows = np.random.default_rng(3).normal(2.0, 3.0, (517, 128)).astype(np.float32)
    built.fit([row[:, None] for row in rows])
    whole = torch.from_numpy(rows)
    assert torch.equal(built.mean, whole.mean(dim=0))
    assert torch.equal(built.deviation, whole.std(dim=0))


@pytest.fixture(scope="module")
def clips():
    random = np.random.default_rng(1)
    return [
        random.normal(-30.0, 15.0, (80, n)).astype(np.float32) for n in (61, 1, 2, 30, 901, 300)
    ]  # the fifth in four pieces


def classify(network, clips):
    channels, lengths = pad_batch(clips)
    with torch.inference_mode():
        logits, attention = network(torch.from_numpy(channels), torch.from_numpy(lengths))
    return logits.numpy(), attention.numpy()


def test_padding_changes_no_answer(network, clips):
    logits, attention = classify(network, clips)
    for i, clip in enumerate(clips):
        alone, its_attention = classify(network, [clip])
        n_steps = its_attention.shape[1]
        assert n_steps == int(SETTINGS.network.n_steps(np.array([clip.shape[1]]))[0])
        np.testing.assert_allclose(logits[i], alone[0], atol=1e-5)
        np.testing.assert_allclose(attention[i, :n_steps], its_attention[0], atol=1e-6)
        assert not attention[i, n_steps:].any()


def test_the_level_of_a_clip_changes_no_answer(network, clips, opened):
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    run = opened(to_onnx(weights, SETTINGS, LABELS))
    levels = [clip + np.float32(-40.0 + 15.0 * i) for i, clip in enumerate(clips)]
    for changed, usual in zip(classify(network, levels), classify(network, clips), strict=True):
        np.testing.assert_allclose(changed, usual, atol=1e-4)
    (channels, lengths), (louder, _) = pad_batch(clips), pad_batch(levels)
    changed, usual = (run(log_mel=rows, lengths=lengths) for rows in (louder, channels))
    np.testing.assert_allclose(changed[0], usual[0], atol=1e-4)


def test_training_on_statistics_gives_the_answers_of_the_whole_network(network, clips):
    channels, lengths = (torch.from_numpy(one) for one in pad_batch(clips))
    with torch.inference_mode():
        pooled = statistics(network.encoder, channels, lengths)
        logits, _ = network.classify(pooled.unsqueeze(2), torch.ones(len(clips), dtype=torch.int64))
    np.testing.assert_allclose(logits.numpy(), classify(network, clips)[0], atol=1e-5)


def test_the_steps_contributions_add_up_to_the_logit(network, clips):
    """The attention is what each step adds to the answer's logit, where it is positive."""
    clip = torch.from_numpy(clips[0])[None]
    with torch.inference_mode():
        lengths = torch.tensor([clip.shape[2]])
        states, _ = network.encoder(whisper.scale(clip, lengths, EncoderNetwork.LOUDEST_DB), lengths)
        logits, attention = network(clip, torch.tensor([clip.shape[2]]))
    terms = []
    for state in states:
        distance = state[0] - state[0].mean(dim=0)
        terms += [state[0], distance.square() / (distance.square().mean(dim=0) + 1e-6).sqrt()]
    rows = (torch.cat(terms, dim=1) - network.mean) / network.deviation  # (n_steps, n_statistics)
    each = rows @ (network.output.weight - network.output.weight.mean(dim=0)).T
    centred = logits[0] - network.output.bias
    np.testing.assert_allclose(each.mean(dim=0), centred - centred.mean(), atol=1e-3)
    positive = each[:, logits[0].argmax()].clamp_min(0.0)
    np.testing.assert_allclose(attention[0], positive / positive.sum(), atol=1e-5)


@pytest.mark.parametrize("int8", [False, True])
def test_the_onnx_graph_gives_the_same_answers(network, clips, int8):
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    graph = to_onnx(weights, SETTINGS, LABELS, int8=int8)
    onnx_check.check(graph, "graph")
    assert parity_error(graph, network, *pad_batch(clips)) < (0.5 if int8 else 1e-4)


def test_only_the_linear_layer_is_trained():
    built = registry.build(SETTINGS, len(LABELS))
    trained = [name for name, parameter in built.named_parameters() if parameter.requires_grad]
    assert trained == ["output.weight", "output.bias"]


def test_in_whole_numbers_other_clips_of_the_batch_change_an_answer_only_by_rounding(network, clips, opened):
    """Each row has its own scale; one scale for the whole batch would change logits by more."""
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    run = opened(to_onnx(weights, SETTINGS, LABELS, int8=True))
    channels, lengths = pad_batch([*clips, np.full((80, 70), 30.0, np.float32)])
    together = run(log_mel=channels, lengths=lengths)
    for i, clip in enumerate(clips):
        alone = run(log_mel=clip[None], lengths=np.array([clip.shape[1]]))
        np.testing.assert_allclose(together[0][i], alone[0][0], atol=2e-3)


def test_whole_numbers_fit_the_16_bits_in_which_some_processors_add_two_products(network):
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    graph = onnx.load_from_string(to_onnx(weights, SETTINGS, LABELS, int8=True)).graph
    used = {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"}
    matrices = [numpy_helper.to_array(one) for one in graph.initializer if one.name in used]
    assert len(matrices) == 2 * 6
    assert max(2 * 255 * np.abs(matrix.astype(int)).max() for matrix in matrices) < 1 << 15
