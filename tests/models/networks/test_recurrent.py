"""The GRU against PyTorch's own, on packed sequences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from emocatcher.models.networks.recurrent import BidirectionalGRU, Packing


def run(gru: BidirectionalGRU, rows: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """From sequences end to end to outputs (batch, max_length, 2 · units), zeros beyond a length, and final states."""
    packing = Packing(np.array(lengths))
    starts = np.cumsum(lengths) - lengths
    place, step = packing.order[packing.place], packing.step
    packed, final = gru(rows[starts[place] + step], packing)
    outputs = rows.new_zeros(len(lengths), max(lengths), packed.shape[1])
    return outputs.index_put((torch.from_numpy(place), torch.from_numpy(step)), packed), final[
        np.argsort(packing.order)
    ]


def twins(n_in: int, units: int) -> tuple[BidirectionalGRU, nn.GRU]:
    torch.manual_seed(units)
    ours, theirs = BidirectionalGRU(n_in, units), nn.GRU(n_in, units, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=7), units=st.sampled_from([1, 3, 16]))
@settings(max_examples=30, deadline=None)
def test_outputs_final_states_and_gradients_are_nn_grus(lengths: list[int], units: int) -> None:
    ours, theirs = twins(4, units)
    rows = torch.randn(sum(lengths), 4, requires_grad=True)
    packed = pack_sequence(list(rows.split(lengths)), enforce_sorted=False)
    packed_outputs, packed_final = theirs(packed)
    expected, _ = pad_packed_sequence(packed_outputs, batch_first=True)
    expected_final = packed_final.transpose(0, 1).flatten(1)
    outputs, final = run(ours, rows, lengths)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(final, expected_final, atol=1e-5, rtol=1e-4)

    weights = torch.randn_like(expected)
    inputs = [rows, *ours.parameters()]
    gradients = torch.autograd.grad((outputs * weights).sum() + final.square().sum(), inputs)
    inputs = [rows, *theirs.parameters()]
    plain = torch.autograd.grad((expected * weights).sum() + expected_final.square().sum(), inputs)
    for actual, wanted in zip(gradients, plain, strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("lengths", [[3, 1, 2], [1], [4, 4]])
def test_its_gradients_are_slopes(lengths: list[int]) -> None:
    gru = BidirectionalGRU(2, 2).double()
    names, parameters = zip(*gru.named_parameters(), strict=True)
    rows = torch.randn(sum(lengths), 2, dtype=torch.float64, requires_grad=True)

    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = gru

        def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
            return run(self.gru, rows, lengths)

    def called(rows: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        by_name = {f"gru.{name}": value for name, value in zip(names, values, strict=True)}
        result: tuple[Tensor, Tensor] = torch.func.functional_call(Called(), by_name, (rows,))
        return result

    assert torch.autograd.gradcheck(called, (rows, *(p.detach().requires_grad_() for p in parameters)))


def test_extreme_inputs_stay_finite() -> None:
    gru = BidirectionalGRU(4, 8)
    outputs, final = run(gru, torch.full((5, 4), 1e4), [2, 3])
    (outputs.sum() + final.sum()).backward()
    assert final.isfinite().all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in gru.parameters())


def test_a_long_clip_does_not_change_a_short_ones_state() -> None:
    gru = BidirectionalGRU(4, 8)
    short, long = torch.randn(2, 4), torch.randn(300, 4)
    _, alone = run(gru, short, [2])
    _, beside = run(gru, torch.cat([short, long]), [2, 300])
    torch.testing.assert_close(beside[:1], alone, atol=1e-6, rtol=1e-5)
