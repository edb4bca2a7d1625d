"""The residual network against plain PyTorch, and against itself in other company."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from emocatcher.foundation.settings import ResidualNetwork, load_preset
from emocatcher.models.networks import residual
from emocatcher.models.networks.registry import build
from emocatcher.models.networks.residual import InputLayer, ResidualModule

RECIPE, FRONT_END = load_preset("emocatcher-2").network, load_preset("emocatcher-2").front_end
assert isinstance(RECIPE, ResidualNetwork)
SMALL = msgspec.structs.replace(
    RECIPE, channels=8, gru_units=5, attention_units=4, classifier_units=6, conv_dropout=0.0, classifier_dropout=0.0
)
N_MELS = 12


def made(sizes: ResidualNetwork = SMALL, seed: int = 0, *, has_pitch: bool = False) -> ResidualModule:
    """Random weights and statistics, none of them at its initial value."""
    torch.manual_seed(seed)
    pitch = FRONT_END.pitch if has_pitch else None
    network = ResidualModule(sizes, msgspec.structs.replace(FRONT_END, n_mels=N_MELS, pitch=pitch), 5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
        network.input.mean.normal_(-2.0)
        network.input.deviation.uniform_(0.5, 2.0)
    return network.eval()


def clips(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    noise = np.random.default_rng(seed).normal(-40.0, 20.0, (len(lengths), N_MELS, max(lengths)))
    return torch.from_numpy(noise.astype(np.float32)), torch.tensor(lengths)


def with_pitch(log_mel: Tensor, seed: int = 0) -> Tensor:
    """Two rows more: octaves above 1 Hz, and how periodic."""
    random = np.random.default_rng(seed + 1)
    tracks = random.uniform([[6.0], [0.0]], [[9.5], [1.0]], (len(log_mel), 2, log_mel.shape[2]))
    return torch.cat([log_mel, torch.from_numpy(tracks.astype(np.float32))], dim=1)


def plain(network: ResidualModule, sizes: ResidualNetwork, clip: Tensor) -> tuple[Tensor, Tensor]:
    """One clip, (n_channels, n_frames), through PyTorch's own layers, with nothing beside it."""
    power = 10.0 ** (clip[:N_MELS] / 10.0)
    still, floor = [], 10.0 ** (sizes.noise_floor_db / 10.0)
    if sizes.level == "relative":
        still.append(power.mean().log().expand(1, power.shape[1]))
        power = power / power.mean()
    bands = torch.log(power + floor)
    if sizes.contrast:
        still.append(bands.mean(1, keepdim=True).expand_as(bands))
        bands = bands - bands.mean(1, keepdim=True)
    moving = [bands]
    if len(clip) > N_MELS:
        octaves, periodicity = clip[N_MELS:]
        voice = ((periodicity - 0.5) * 4.0).clamp(0.0, 1.0)
        height = (octaves * voice).sum() / (voice.sum() + 0.01)
        relative, change = (octaves - height) * voice, torch.zeros_like(octaves)
        for t in range(2, len(octaves) - 2):
            change[t] = (relative[t + 2] - relative[t - 2]) * voice[t + 2] * voice[t - 2]
        moving.append(torch.stack([relative, voice, change]))
        still.append(height.expand(1, len(octaves)))
    x = ((torch.cat([*moving, *still]) - network.input.mean) / network.input.deviation)[None]
    n_still = sum(map(len, still)) if sizes.contrast else 0
    said = [plain_branch(branch, sizes, x, n_still) for branch in network.branches]
    return torch.stack([logits for logits, _ in said]).mean(0), torch.stack([weights for _, weights in said]).mean(0)


def plain_branch(branch: Any, sizes: ResidualNetwork, x: Tensor, n_still: int) -> tuple[Tensor, Tensor]:
    offset: Any = 0.0
    if n_still:
        x, still = x[:, :-n_still], x[:, -n_still:, 0]
        offset = branch.still(still)[:, :, None]
    for block, dilation, stride in zip(branch.blocks, sizes.dilations, sizes.strides, strict=True):
        conv, norm = block.conv, block.norm
        y = functional.conv1d(x, conv.weight, conv.bias, stride, dilation * (sizes.kernel_size // 2), dilation)
        y, offset = y + offset, 0.0
        y = functional.gelu(functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias))
        y = y * torch.sigmoid(block.excite(functional.relu(block.squeeze(y.mean(2)))))[:, :, None]
        x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
    gru = nn.GRU(sizes.channels, sizes.gru_units, batch_first=True, bidirectional=True)
    gru.load_state_dict(branch.gru.state_dict())
    steps = gru(x.transpose(1, 2))[0][0]
    weights = functional.softmax(branch.attention.score(torch.tanh(branch.attention.hidden(steps))), dim=0)
    mean = (weights * steps).sum(0)
    deviation = ((weights * (steps - mean) ** 2).sum(0) + 1e-5).sqrt()
    hidden = branch.hidden_norm(branch.hidden(torch.cat([mean, deviation])[None]))
    return branch.output(functional.gelu(hidden))[0], weights[:, 0]


@pytest.mark.parametrize("has_pitch", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strides": (2, 1, 2, 1)},
        {"branches": 1, "level": "absolute", "contrast": False},
        {"branches": 1, "contrast": False},
        {"dilations": (1, 3), "strides": (1, 3), "kernel_size": 3},
        {"channels": N_MELS, "dilations": (1,), "strides": (1,)},  # the first block adds its input too
    ],
)
def test_it_is_plain_pytorch(changes: dict[str, object], has_pitch: bool) -> None:
    sizes = msgspec.structs.replace(SMALL, **changes)
    network = made(sizes, has_pitch=has_pitch)
    lengths = [30, 17, 53, 1, 2]
    log_mel, counts = clips(lengths)
    if has_pitch:
        log_mel = with_pitch(log_mel)
    with torch.inference_mode():
        logits, attention = network(log_mel, counts)
        for i, n in enumerate(lengths):
            theirs, weights = plain(network, sizes, log_mel[i, :, :n])
            torch.testing.assert_close(logits[i], theirs, atol=1e-5, rtol=1e-5)
            assert len(weights) == int(sizes.n_steps(np.array(n)))
            torch.testing.assert_close(attention[i, : len(weights)], weights, atol=1e-6, rtol=1e-5)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    extra=st.integers(0, 9),
    filling=st.sampled_from([0.0, -80.0, 60.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_clip_gets_the_same_in_any_company(lengths: list[int], extra: int, filling: float, seed: int) -> None:
    network = made(seed=seed, has_pitch=True)
    log_mel, sizes = clips(lengths, seed)
    log_mel = with_pitch(log_mel, seed)
    padded = functional.pad(log_mel, (0, extra))
    for row, n in zip(padded, lengths, strict=True):
        row[:, n:] = filling
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(lengths)))
    with torch.inference_mode():
        logits, attention = network(padded[order], sizes[order])
        for row, weights, i in zip(logits, attention, order.tolist(), strict=True):
            n = lengths[i]
            alone, alone_attention = network(log_mel[i : i + 1, :, :n], sizes[i : i + 1])
            steps = int(SMALL.n_steps(np.array(n)))
            assert (row - alone[0]).abs().max() <= 1e-5
            assert (weights[:steps] - alone_attention[0, :steps]).abs().max() <= 1e-5
            assert weights[steps:].abs().sum() == 0
            assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)


def test_every_gradient_is_the_slope_of_the_loss() -> None:
    network = made(msgspec.structs.replace(SMALL, channels=4, gru_units=2)).double()
    names, parameters = zip(*network.named_parameters(), strict=True)
    log_mel, lengths = clips([7, 1, 4])

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, values, strict=True))
        result: tuple[Tensor, ...] = torch.func.functional_call(network, given, (log_mel.double(), lengths))
        return result

    assert torch.autograd.gradcheck(run, tuple(p.detach().requires_grad_() for p in parameters), fast_mode=True)


def heard(layer: InputLayer, log_mel: Tensor) -> Tensor:
    out: Tensor = layer(log_mel[None], torch.ones(1, 1, log_mel.shape[1]))
    return out[0]


def input_layer(**changes: Any) -> InputLayer:
    plainest = {"level": "absolute", "contrast": False, "noise_floor_db": -40.0} | changes
    return InputLayer(msgspec.structs.replace(SMALL, **plainest), 3, has_pitch=False).eval()


def test_below_the_noise_floor_all_is_alike() -> None:
    layer = input_layer()
    silent, quiet, loud = (heard(layer, torch.full((3, 4), level)) for level in (-200.0, -70.0, 20.0))
    assert float(silent[0, 0]) == pytest.approx(math.log(1e-4), abs=1e-4)
    torch.testing.assert_close(silent, quiet, atol=2e-3, rtol=0)
    assert float(loud[0, 0]) == pytest.approx(2.0 * math.log(10.0), abs=1e-3)


def test_a_relative_level_moves_one_channel_and_a_colour_only_the_means() -> None:
    clip = torch.from_numpy(np.random.default_rng(0).normal(-30.0, 10.0, (3, 50)).astype(np.float32))
    relative = input_layer(level="relative")
    louder = heard(relative, clip + 12.0) - heard(relative, clip)
    torch.testing.assert_close(louder[:3], torch.zeros(3, 50), atol=1e-4, rtol=0)
    torch.testing.assert_close(louder[3], torch.full((50,), 1.2 * math.log(10.0)), atol=1e-4, rtol=0)
    contrast = input_layer(contrast=True, noise_floor_db=-200.0)
    coloured = heard(contrast, clip + torch.tensor([[-20.0], [0.0], [9.0]])) - heard(contrast, clip)
    torch.testing.assert_close(coloured[:3], torch.zeros(3, 50), atol=1e-4, rtol=0)
    assert coloured[3:].mean(dim=1).tolist() == pytest.approx([-4.605, 0.0, 2.072], abs=1e-2)


def test_a_higher_voice_moves_one_channel_and_only_where_there_is_voice() -> None:
    layer = InputLayer(msgspec.structs.replace(SMALL, contrast=True), 3, has_pitch=True).eval()
    moving = slice(3, 6)
    clip = torch.full((5, 40), -30.0)
    clip[3], clip[4, :20], clip[4, 20:] = torch.linspace(7.0, 8.0, 40), 1.0, 0.2
    higher = clip + torch.tensor([0.0, 0.0, 0.0, 0.5, 0.0])[:, None]
    change = heard(layer, higher) - heard(layer, clip)
    torch.testing.assert_close(change[-1], torch.full((40,), 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(change[:-1], torch.zeros(len(change) - 1, 40), atol=1e-3, rtol=0)
    assert heard(layer, clip)[moving, 22:].abs().max() == 0.0
    whisper = clip.clone()
    whisper[4] = 0.0
    assert heard(layer, whisper)[moving].abs().max() == 0.0


def test_digital_silence_is_heard_as_something() -> None:
    assert heard(input_layer(level="relative", contrast=True), torch.full((3, 4), -500.0)).isfinite().all()


def test_noise_comes_clip_by_clip_while_it_learns_and_only_then() -> None:
    layer = input_layer(noise_db=(-50.0, -30.0))
    silent, mask = torch.full((200, 3, 4), -200.0), torch.ones(200, 1, 4)
    at_rest = layer(silent, mask)
    torch.testing.assert_close(at_rest, torch.full_like(at_rest, math.log(1e-4)), atol=1e-4, rtol=0)
    layer.train().bit_generator = np.random.SFC64(0)
    learning = layer(silent, mask).exp() - 1e-4
    assert float(learning.flatten(1).std(dim=1).max()) < 1e-8
    noise_db = 10.0 * learning[:, 0, 0].log10()
    assert -50.1 <= float(noise_db.min()) < -48.0
    assert -32.0 < float(noise_db.max()) <= -29.9
    layer.fit([np.full((3, 7), -200.0, np.float32)])  # knows of no noise
    torch.testing.assert_close(layer.mean, torch.full_like(layer.mean, math.log(1e-4)))


def test_channels_fitted_one_after_the_other_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    clips = [random.normal(-40.0, 9.0, (3, n)).astype(np.float32) for n in (700, 1, 313)]
    whole, pieces = (input_layer(level="relative", contrast=True) for _ in range(2))
    whole.fit(clips)
    monkeypatch.setattr(residual, "_FITTED_AT_ONCE", 2 * 1014)
    pieces.fit(clips)
    assert torch.equal(whole.mean, pieces.mean)
    assert torch.equal(whole.deviation, pieces.deviation)


def test_fitting_standardises_every_channel() -> None:
    random = np.random.default_rng(0)
    bands = random.normal(0.0, [[1.0], [5.0], [20.0]], (3, 4000)).astype(np.float32)
    layer = input_layer(noise_floor_db=-100.0)
    layer.fit([bands[:, :100], bands[:, 100:]])
    frames = heard(layer, torch.from_numpy(bands))
    torch.testing.assert_close(frames.mean(dim=1), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(frames.std(dim=1), torch.ones(3), atol=1e-3, rtol=0)
    layer.fit([np.full((3, 7), -30.0, np.float32)])  # a band that never moves stays finite
    assert heard(layer, torch.full((3, 2), -20.0)).isfinite().all()


def test_dropout_comes_from_the_given_generator_alone() -> None:
    network = made(RECIPE).train()
    batch = clips([30, 17, 40])

    def run(seed: int) -> Tensor:
        network.set_noise(np.random.SFC64(seed))
        logits: Tensor = network(*batch)[0].detach()
        return logits

    assert torch.equal(run(2), run(2))
    assert not torch.equal(run(1), run(2))
    network.eval()
    assert torch.equal(run(1), run(2))


def test_it_has_at_most_one_and_a_half_million_parameters() -> None:
    recipe = load_preset("emocatcher-2")
    network = build(recipe, 8)
    assert sum(parameter.numel() for parameter in network.parameters()) <= 1_500_000
