"""A bidirectional GRU for short, ragged batches on a CPU.

PyTorch's own recurrent layer builds an autograd graph step by step, which on sequences of about twenty steps costs
more than the arithmetic. Here both directions advance together, one batched matrix product a step, and the backward
pass is written out, so that whatever does not depend on the previous step is computed for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# sigmoid(100) is exactly 1 in float32: an update gate that keeps the state, bit for bit, and has no gradient.
_KEEP_STATE = 100.0


class BidirectionalGRU(nn.GRU):
    """One bidirectional GRU layer over sequences laid end to end.

    Parameters, their names and their meaning are those of `torch.nn.GRU(bidirectional=True)`.

    Args:
        input_size: channels in.
        hidden_size: units a direction.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, bidirectional=True)

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Run both directions.

        Args:
            rows: shape (sum of lengths, input_size), the sequences one after the other.
            lengths: shape (batch,), int64, each at least 1.

        Returns:
            outputs: shape (batch, max_length, 2 · hidden_size); beyond a sequence's length the values mean nothing.
            final: shape (batch, 2 · hidden_size), each direction's state after its last step.
        """
        units, batch, n_steps = self.hidden_size, len(lengths), int(lengths.max())
        weight_ih, bias_ih = torch.cat(self._both("weight_ih")), torch.cat(self._both("bias_ih"))
        weight_hh = torch.stack(self._both("weight_hh")).transpose(1, 2)
        bias_hh = torch.stack(self._both("bias_hh"))
        padding = rows.new_zeros(2, 3, units)
        padding[:, 1] = _KEEP_STATE
        gates = torch.cat([functional.linear(rows, weight_ih, bias_ih), padding.view(1, -1)]).view(-1, 3 * units)
        gates = _Gather.apply(gates, *_schedule(lengths, n_steps))  # type: ignore[no-untyped-call]
        gates = gates.view(n_steps, 2, batch, 3 * units)
        states: Tensor = _Recurrence.apply(gates, weight_hh, bias_hh[:, None])  # type: ignore[no-untyped-call]
        outputs = torch.cat([states[:, 0], states[:, 1].flip(0)], dim=-1).transpose(0, 1)
        return outputs, states[-1].transpose(0, 1).reshape(batch, 2 * units)

    def _both(self, part: str) -> list[Tensor]:
        return [getattr(self, f"{part}_l0"), getattr(self, f"{part}_l0_reverse")]


def _schedule(lengths: Tensor, n_steps: int) -> tuple[Tensor, Tensor]:
    """Which gate row each (step, direction, sequence) reads, and which of those places each gate row went to.

    Gate rows alternate between the directions; the last pair is padding, whose place means nothing. The backward
    direction meets a sequence's padding first, while its state is still zero, and keeps it so; the forward direction
    meets it last, and keeps its final state.
    """
    starts = torch.cumsum(lengths, 0) - lengths
    steps = torch.arange(n_steps)[:, None]
    forward = torch.where(steps < lengths, starts + steps, int(lengths.sum()))
    rows = torch.stack([2 * forward, 2 * forward.flip(0) + 1], dim=1).flatten()
    places = torch.zeros(2 * int(lengths.sum()) + 2, dtype=torch.int64)
    places[rows] = torch.arange(len(rows))
    return rows, places


class _Gather(torch.autograd.Function):
    """Rows to places, where each row but the padding goes to one place: the way back is a gather too, not a sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        """From (n_rows, n) to (n_places, n)."""
        ctx.save_for_backward(places)
        return values.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The padding's gradient is not meant to be used."""
        (places,) = ctx.saved_tensors
        return gradients[0].index_select(0, places), None, None


class _Recurrence(torch.autograd.Function):
    """The GRU's steps (Cho et al. 2014, in the form of cuDNN, which resets after the product).

    r = sigmoid(g_r + a_r), z = sigmoid(g_z + a_z), n = tanh(g_n + r · a_n), h' = n + z · (h - n),
    where g are the input's gates and a = h · weight + bias.

    At this size a call costs as much as its arithmetic, so the loops hold as few as possible, and the views that
    they walk over are taken outside.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """From gates (n_steps, 2, batch, 3 · units) to states (n_steps, 2, batch, units)."""
        n_steps, _, batch, triple = gates.shape
        units = triple // 3
        # Per step: r, z and a_n. The input's share of r and z and all biases lie there before the product is added.
        inner = bias + functional.pad(gates[..., : 2 * units], (0, units))
        states = gates.new_zeros(n_steps + 1, 2, batch, units)
        candidates = gates.new_empty(n_steps, 2, batch, units)
        state, inner_t, candidate = states.unbind(), inner.unbind(), candidates.unbind()
        switch, gate_new = inner[..., : 2 * units].unbind(), gates[..., 2 * units :].unbind()
        reset, update, product_new = (part.unbind() for part in inner.chunk(3, dim=-1))
        for t in range(n_steps):
            inner_t[t].baddbmm_(state[t], weight)
            switch[t].sigmoid_()
            torch.addcmul(gate_new[t], reset[t], product_new[t], out=candidate[t]).tanh_()
            torch.lerp(candidate[t], state[t], update[t], out=state[t + 1])
        ctx.save_for_backward(states, inner, candidates, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Backpropagation through time.

        Every pre-activation's gradient is the new state's gradient times a factor that all steps know beforehand.
        """
        states, inner, candidates, weight = ctx.saved_tensors
        into_states = gradients[0].contiguous()
        n_steps, _, batch, units = candidates.shape
        reset, update, product_new = inner.chunk(3, dim=-1)
        to_new = (1.0 - update) * (1.0 - candidates.square())
        to_update = (states[:-1] - candidates) * update * (1.0 - update)
        to_product_new = to_new * reset
        to_reset = to_product_new * product_new * (1.0 - reset)
        factors = torch.stack([to_reset, to_update, to_product_new], dim=3)  # (n_steps, 2, batch, 3, units)
        d_inner = torch.empty_like(factors)
        d_states = into_states.clone()
        d_state, update_t, factor = d_states.unbind(), update.unbind(), factors.unbind()
        d_state_wide, d_inner_wide = d_states.unsqueeze(3).unbind(), d_inner.unbind()
        d_inner_t, transposed = d_inner.flatten(3).unbind(), weight.transpose(1, 2).contiguous()
        for t in range(n_steps - 1, 0, -1):
            torch.mul(d_state_wide[t], factor[t], out=d_inner_wide[t])
            d_state[t - 1].addcmul_(d_state[t], update_t[t]).baddbmm_(d_inner_t[t], transposed)
        torch.mul(d_state_wide[0], factor[0], out=d_inner_wide[0])
        d_gates = torch.cat([d_inner[..., :2, :].flatten(3), d_states * to_new], dim=-1)
        before = states[:-1].transpose(0, 1).reshape(2, n_steps * batch, units)
        after = d_inner.transpose(0, 1).reshape(2, n_steps * batch, 3 * units)
        return d_gates, torch.bmm(before.transpose(1, 2), after), after.sum(1, keepdim=True)
