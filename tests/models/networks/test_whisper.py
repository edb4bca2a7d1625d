"""The Whisper encoder equals the one of transformers, and padding changes nothing."""

import resource

import msgspec
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from emocatcher.features import extraction
from emocatcher.foundation.settings import Encoder, load_preset
from emocatcher.models.networks import registry, whisper
from emocatcher.models.onnx_graphs import encoder as encoder_graph
from emocatcher.models.onnx_graphs import to_onnx
from emocatcher.models.onnx_graphs.graph import FLOAT, INT64, Graph

transformers = pytest.importorskip("transformers", reason="the original encoder is in the extra 'dev'")

SIZES = Encoder(source="random", n_layers=3, width=32, n_heads=4, hidden=48)
N_MELS = 8


@pytest.fixture(scope="module")
def pair():
    """The encoder of transformers with random weights, and ours with the same."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=4, encoder_attention_heads=4, encoder_ffn_dim=48, num_mel_bins=N_MELS,
        max_source_positions=50,
    )  # fmt: skip
    original = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    for parameter in original.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    ours = whisper.WhisperEncoder(SIZES, N_MELS).eval()
    weights = {name: tensor.numpy() for name, tensor in original.state_dict().items()}
    whisper.load(ours, {name: weights[name] for name in ours.state_dict()})
    return original, ours


def test_each_layer_equals_that_of_transformers(pair):
    original, ours = pair
    log_mel = torch.randn(2, N_MELS, 100)
    with torch.inference_mode():
        expected = original(log_mel, output_hidden_states=True).hidden_states
        states, mask = ours(log_mel, torch.tensor([100, 100]))
    assert mask.all()
    for state, theirs in zip(states, expected[1:4], strict=True):
        assert float((state - theirs).abs().max()) < 1e-4


@pytest.mark.parametrize("length", [1, 2, 3, 40, 99])
def test_frames_beyond_the_end_change_nothing(pair, length):
    _, ours = pair
    log_mel = torch.randn(1, N_MELS, 100)
    with torch.inference_mode():
        alone, _ = ours(log_mel[:, :, :length], torch.tensor([length]))
        padded, mask = ours(log_mel.repeat(2, 1, 1), torch.tensor([length, 100]))
    n_steps = (length + 1) // 2
    assert mask.sum(dim=1).tolist() == [n_steps, 50]
    for one, other in zip(alone, padded, strict=True):
        assert one.shape == (1, n_steps, SIZES.width)
        assert float((one[0] - other[0, :n_steps]).abs().max()) < 1e-5


def test_a_long_clip_is_encoded_in_equal_pieces_that_do_not_attend_to_each_other(pair):
    _, ours = pair
    log_mel = torch.randn(1, N_MELS, 90).repeat(2, 1, 1)
    changed = log_mel.clone()
    changed[:, :, 70:] = 1.0
    with torch.inference_mode():
        lengths = torch.tensor([90, 40])
        (states, _), (others, _) = ours(log_mel, lengths, 20), ours(changed, lengths, 20)
        whole, _ = ours(log_mel, lengths)
    piece, place = whisper._pieces(torch.tensor([45, 20]), 45, 20)
    assert piece[0].bincount().tolist() == [15, 15, 15]
    assert place[0].tolist() == [*range(15)] * 3
    assert not piece[1].any()
    assert torch.allclose(states[-1][0, :30], others[-1][0, :30], atol=1e-6)
    assert not torch.allclose(states[-1][0, :30], whole[-1][0, :30], atol=1e-2)
    assert torch.allclose(states[-1][1, :20], whole[-1][1, :20], atol=1e-5)  # as long as a piece


@pytest.mark.parametrize("longest", [1, 7, 20, 150])
def test_no_piece_is_empty_or_too_long_at_any_length(longest, opened):
    """A step of an empty piece would have nothing to attend to; from longest² on, the sizes differ most."""
    square = longest * longest
    lengths = np.array(sorted({*range(1, min(square, 400)), *range(max(square - longest, 1), square + longest + 2, 3)}))
    piece, place = (found.numpy() for found in whisper._pieces(torch.from_numpy(lengths), int(lengths.max()), longest))
    graph = Graph({}, int8=False)
    pieces = encoder_graph._Pieces(graph, "padded", "lengths", longest)
    ports = {"place": (INT64, ["batch", "steps"]), "rows": (FLOAT, ["pieces", "places", 1])}
    ports |= {"joined": (FLOAT, ["batch", "steps", 1]), "hidden": (FLOAT, ["pieces", 1, 1, "places"])}
    rows = pieces.split("x", 1)
    for name, found in zip(ports, (pieces.place, rows, pieces.join(rows, 1), pieces.far_below), strict=True):
        graph.add("Identity", [found], outputs=[name])
    inputs = {"padded": (INT64, [1]), "lengths": (INT64, ["batch"]), "x": (FLOAT, ["batch", "steps", 1])}
    run = opened(graph.serialise(inputs, ports, {}))
    valid = np.arange(lengths.max()) < lengths[:, None]
    x = np.where(valid, np.arange(valid.size).reshape(valid.shape) % 9973, -1).astype(np.float32)[:, :, None]
    theirs, rows, joined, hidden = run(padded=lengths.max(keepdims=True), lengths=lengths, x=x)
    assert np.array_equal(place[valid], theirs[valid])
    assert np.array_equal(x[valid], joined[valid])
    # Each valid step is in one row, and the others are hidden.
    used = hidden[:, 0, 0] == 0
    assert hidden[:, 0, 0][~used].max(initial=-1e9) == -1e9
    assert rows.shape[1] <= longest
    each = [row[kept, 0] for row, kept in zip(rows, used, strict=True) if kept.any()]
    assert np.array_equal(np.concatenate(each), x[valid][:, 0])
    assert len(each) == (-(-lengths // longest)).sum()
    for n_steps, pieces, places in zip(lengths.tolist(), piece, place, strict=True):
        sizes = np.bincount(pieces[:n_steps])
        assert len(sizes) == -(-n_steps // longest)
        assert sizes.min() >= 1
        assert sizes.max() <= longest
        assert pieces.max() == len(sizes) - 1  # steps beyond the end attend to the last
        assert np.array_equal(places[:n_steps], np.concatenate([np.arange(size) for size in sizes]))


def test_memory_does_not_grow_with_the_square_of_a_clip(pair):
    class Largest(TorchDispatchMode):
        n_values = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            tensors = found if isinstance(found, tuple | list) else (found,)
            self.n_values = max(self.n_values, *(t.numel() for t in tensors if isinstance(t, torch.Tensor)), 0)
            return found

    def largest(n_frames):
        with torch.inference_mode(), Largest() as mode:
            pair[1](torch.randn(1, N_MELS, n_frames), torch.tensor([n_frames]), 20)
        return mode.n_values

    assert largest(8_000) <= 4.1 * largest(2_000)


def test_memory_of_the_graph_does_not_grow_with_the_square_of_a_clip(opened):
    encoder = Encoder(source="random", n_layers=1, width=32, n_heads=4, hidden=48)
    settings = msgspec.structs.replace(load_preset("emocatcher-3"), encoder=encoder)
    weights = {name: tensor.numpy() for name, tensor in registry.build(settings, 2).state_dict().items()}
    run, clip = opened(to_onnx(weights, settings, ("angry", "sad"))), np.zeros((1, 80, 40_000), np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(log_mel=clip, lengths=np.array([clip.shape[2]]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000  # KiB; 20,000 steps by 20,000 would take 1.6 GB


def test_the_spectrogram_is_that_of_whisper():
    front_end = load_preset("emocatcher-3").front_end
    random = np.random.default_rng(0)
    time_s = np.arange(32_000) / 16_000
    voice = (0.2 * np.sin(2 * np.pi * 150 * time_s * (1 + 0.1 * time_s)) + 0.01 * random.normal(size=32_000)).astype(
        "f4"
    )
    theirs = transformers.WhisperFeatureExtractor(feature_size=80)(voice, sampling_rate=16_000, padding=False)
    ours = torch.from_numpy(extraction.log_mel_spectrogram(voice, front_end))
    ours = whisper.scale(ours[None], torch.tensor([ours.shape[1]]), float(ours.max()))[0]
    # At the ends, Whisper mirrors the signal; here there are zeros.
    inner = slice(2, 198)
    difference = np.abs(ours.numpy()[:, inner] - np.asarray(theirs["input_features"][0])[:, inner])
    assert difference.max() < 1e-3
