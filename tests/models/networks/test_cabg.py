"""The network against plain PyTorch, and against itself in other company."""

import itertools

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from emocatcher.foundation.settings import Network, load_preset
from emocatcher.models.networks.cabg import CABGModule
from emocatcher.models.networks.emotion_network import EmotionNetwork

CABG, FRONT_END = load_preset("cabg").network, load_preset("cabg").front_end
STILL = msgspec.structs.replace(CABG, conv_dropout=0.0, classifier_dropout=0.0)
TINY = msgspec.structs.replace(STILL, conv_channels=(3, 4), gru_units=2, classifier_units=3)


class PlainNetwork(nn.Module):
    """The issue's description, in PyTorch's own layers on padded batches."""

    def __init__(self, sizes: Network, n_mels: int, n_classes: int) -> None:
        super().__init__()
        channels = [n_mels, *sizes.conv_channels]
        width = 2 * sizes.gru_units
        self.pool_size = sizes.pool_size
        self.convs = nn.ModuleList(
            nn.Conv1d(n_in, n_out, sizes.kernel_size, padding=sizes.kernel_size // 2)
            for n_in, n_out in itertools.pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(n_out) for n_out in channels[1:])
        self.pool = nn.MaxPool1d(sizes.pool_size)
        self.norm = nn.LayerNorm(channels[-1])
        self.gru = nn.GRU(channels[-1], sizes.gru_units, batch_first=True, bidirectional=True)
        self.query, self.key, self.score = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)
        self.hidden = nn.Linear(width, sizes.classifier_units)
        self.hidden_norm = nn.BatchNorm1d(sizes.classifier_units)
        self.output = nn.Linear(sizes.classifier_units, n_classes)

    def forward(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.pad(log_mel, (0, self.pool_size - 1))
        mask = (torch.arange(x.shape[2]) < lengths[:, None])[:, None]
        x = x.masked_fill(~mask, 0.0)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.gelu(norm(conv(x).transpose(1, 2))).transpose(1, 2) * mask
        steps = (lengths // self.pool_size).clamp(min=1)
        x = self.norm(self.pool(x).transpose(1, 2))
        packed = pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False)
        outputs, final = self.gru(packed)
        keys, _ = pad_packed_sequence(outputs, batch_first=True)
        query = torch.cat([final[0], final[1]], dim=1)
        scores = self.score(torch.tanh(self.query(query)[:, None] + self.key(keys)))[..., 0]
        valid = torch.arange(keys.shape[1]) < steps[:, None]
        attention = functional.softmax(scores.masked_fill(~valid, float("-inf")), dim=1)
        context = (attention[..., None] * keys).sum(dim=1)
        return self.output(functional.gelu(self.hidden_norm(self.hidden(context)))), attention


def plain_name(name: str) -> str:
    for theirs, ours in (("attention.", ""), (".conv.", "."), (".norm.", ".")):
        if theirs == ".conv." and theirs in name:
            return name.replace("blocks", "convs").replace(theirs, ours)
        if theirs == ".norm." and name.startswith("blocks"):
            return name.replace("blocks", "norms").replace(theirs, ours)
        if theirs == "attention.":
            name = name.replace(theirs, ours)
    return name


def twins(sizes: Network, n_mels: int = 64, n_classes: int = 8) -> tuple[EmotionNetwork, PlainNetwork]:
    torch.manual_seed(3)
    front_end = msgspec.structs.replace(FRONT_END, n_mels=n_mels)
    ours, plain = CABGModule(sizes, front_end, n_classes), PlainNetwork(sizes, n_mels, n_classes)
    with torch.no_grad():
        for parameter in ours.parameters():  # biases and norms too: nothing may hide in a 0 or a 1
            parameter.add_(0.05 * torch.randn_like(parameter))
    plain.load_state_dict({plain_name(name): value.clone() for name, value in ours.state_dict().items()})
    return ours, plain


def clips(lengths: list[int], seed: int = 0, n_mels: int = 64) -> tuple[Tensor, Tensor]:
    noise = np.random.default_rng(seed).normal(-40.0, 20.0, (len(lengths), n_mels, max(lengths)))
    return torch.from_numpy(noise.astype(np.float32)), torch.tensor(lengths)


@pytest.fixture(scope="module")
def network() -> EmotionNetwork:
    torch.manual_seed(0)
    network = CABGModule(CABG, FRONT_END, 8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel_size": 5, "pool_size": 3},
        {"conv_channels": (16,), "pool_size": 1, "kernel_size": 1},
        {"gru_units": 5, "pool_size": 4, "classifier_units": 7},
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_logits_attention_and_gradients_are_plain_pytorchs(changes: dict[str, object], training: bool) -> None:
    ours, plain = twins(msgspec.structs.replace(STILL, **changes), n_classes=5)
    batch = clips([30, 17, 53, 1, 2, 21])
    results = []
    for one in (ours, plain):
        one.train(training)
        logits, attention = one(*batch)
        weights = torch.linspace(-1, 1, attention.numel()).view_as(attention)
        (logits.square().sum() + (weights * attention).sum()).backward()
        results.append((logits, attention))
    torch.testing.assert_close(results[0][0], results[1][0], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-6, rtol=1e-5)
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    # A shift of all scores leaves the softmax; a shift of a whole batch leaves the batch normalisation.
    nothing = {"score.bias"} | ({"hidden.bias"} if training else set())
    for name, parameter in ours.named_parameters():
        expected, actual = gradients[plain_name(name)], parameter.grad
        assert expected is not None
        assert actual is not None
        if plain_name(name) in nothing:
            assert actual.abs().max() < 1e-3
        else:
            assert expected.abs().max() > 1e-4, name
            torch.testing.assert_close(actual, expected, atol=2e-4 * float(expected.abs().max()), rtol=1e-3)
    for name, value in ours.named_buffers():
        torch.testing.assert_close(value, dict(plain.named_buffers())[name], atol=1e-5, rtol=1e-5)


def test_every_gradient_is_the_slope_of_the_loss() -> None:
    ours, _ = twins(TINY, n_mels=3, n_classes=3)
    ours = ours.double().eval()
    names, parameters = zip(*ours.named_parameters(), strict=True)
    log_mel, lengths = clips([7, 1, 4], n_mels=3)

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        batch = (log_mel.double() / 20, lengths)
        result: tuple[Tensor, ...] = torch.func.functional_call(ours, dict(zip(names, values, strict=True)), batch)
        return result

    assert torch.autograd.gradcheck(
        run, tuple(parameter.detach().requires_grad_() for parameter in parameters), fast_mode=True
    )


def test_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in CABGModule(CABG, FRONT_END, 8).parameters()) == 166_729


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    extra=st.integers(0, 9),
    filling=st.sampled_from([0.0, 1e6, float("nan"), float("inf")]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_clip_gets_the_same_in_any_company(lengths: list[int], extra: int, filling: float, seed: int) -> None:
    torch.manual_seed(seed)
    network = CABGModule(CABG, FRONT_END, 8).eval()
    log_mel, sizes = clips(lengths, seed)
    padded = functional.pad(log_mel, (0, extra))
    for row, n in zip(padded, lengths, strict=True):
        row[:, n:] = filling
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(lengths)))
    with torch.inference_mode():
        logits, attention = network(padded[order], sizes[order])
        for row, weights, i in zip(logits, attention, order.tolist(), strict=True):
            n = lengths[i]
            alone, alone_attention = network(log_mel[i : i + 1, :, :n], sizes[i : i + 1])
            steps = int(CABG.n_steps(np.array(n)))
            assert (row - alone[0]).abs().max() <= 1e-5
            assert (weights[:steps] - alone_attention[0, :steps]).abs().max() <= 1e-5
            assert weights[steps:].abs().sum() == 0
            assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_silent_clip_has_an_answer(network: EmotionNetwork) -> None:
    logits, attention = network(torch.full((2, 64, 5), -100.0), torch.tensor([5, 1]))
    assert logits.isfinite().all()
    assert attention.isfinite().all()


def test_dropout_comes_from_the_given_generator_alone() -> None:
    torch.manual_seed(0)
    network = CABGModule(CABG, FRONT_END, 8).train()
    batch = clips([30, 17, 40])

    def run(seed: int) -> Tensor:
        network.set_noise(np.random.SFC64(seed))
        torch.manual_seed(seed + 100)
        return network(*batch)[0].detach()

    first = run(1)
    state = torch.get_rng_state()
    assert torch.equal(run(2), run(2))
    assert not torch.equal(first, run(2))
    assert torch.equal(first, run(1))
    torch.manual_seed(101)
    assert torch.equal(state, torch.get_rng_state())  # PyTorch's own state is left alone
    network.eval()
    assert torch.equal(run(1), run(2))


def test_initialisation_is_the_published_one() -> None:
    torch.manual_seed(1)
    network = CABGModule(msgspec.structs.replace(CABG, classifier_units=256), FRONT_END, 200)
    for name, parameter in network.named_parameters():
        value = parameter.detach()
        if name.endswith("bias") or ".bias_" in name:
            assert value.abs().max() == 0, name
        elif "norm" in name:
            assert torch.equal(value, torch.ones_like(value)), name
        elif "weight_hh" in name:
            torch.testing.assert_close(value.T @ value, torch.eye(64), atol=1e-5, rtol=0)
        elif "weight_ih" in name or "query" in name or "key" in name:
            bound = (6 / (value.shape[0] + value.shape[1])) ** 0.5  # Glorot & Bengio 2010, eq. 16
            assert 0.98 * bound < value.abs().max() <= bound, name
            assert float(value.std()) == pytest.approx(bound / 3**0.5, rel=0.05), name
        else:
            fan_in = value[0].numel()
            assert float(value.std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.2 if "score" in name else 0.05), name
            assert float(value.mean()) == pytest.approx(0.0, abs=4 * (2 / fan_in / value.numel()) ** 0.5), name
            if value.numel() > 1000:  # normal, not uniform: some values lie far out
                assert value.abs().max() > 2.5 * (2 / fan_in) ** 0.5, name
