"""A bidirectional GRU for short, ragged batches on a CPU.

PyTorch's own recurrent layer builds an autograd graph step by step, which on sequences of about twenty steps costs
more than the arithmetic. Here both directions advance together over the sequences that have not ended, and the
backward pass is written by hand, so that everything that does not depend on the previous step is computed for all
steps at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Packing:
    """Sequences arranged step by step, the longest first, so that those that have not ended always come first.

    Args:
        lengths: shape (batch,), each at least 1.
        device: of the tensors.

    Attributes:
        order: shape (batch,), int64, the sequences from the longest to the shortest; "place" is a position in it.
        sizes: n_steps numbers: how many sequences have each step.
        step: shape (n_rows,), int64, the step of each row; n_rows is the sum of lengths.
        place: shape (n_rows,), int64, the place of the sequence that a row belongs to.

    Examples:
        >>> packing = Packing(np.array([1, 3]))
        >>> packing.order.tolist(), packing.sizes, packing.step.tolist(), packing.place.tolist()
        ([1, 0], [2, 1, 1], [0, 0, 1, 2], [0, 1, 0, 0])
    """

    def __init__(self, lengths: NDArray[np.int64], device: torch.device | str = "cpu") -> None:
        self.order = np.argsort(-lengths, kind="stable")
        from_longest = lengths[self.order]
        goes_on = np.arange(from_longest[0])[:, None] < from_longest
        self.step, self.place = np.nonzero(goes_on)
        n_going = goes_on.sum(axis=1)
        first = np.cumsum(n_going) - n_going
        self.sizes: list[int] = n_going.tolist()
        # The last row of each sequence, and the new position of each row when every sequence is reversed.
        self.last = torch.from_numpy(first[from_longest - 1] + np.arange(len(lengths))).to(device)
        self.turned = torch.from_numpy(first[from_longest[self.place] - 1 - self.step] + self.place).to(device)
        # The row before each, if one initial row for each sequence is put before all rows.
        before = np.concatenate([np.zeros(1, np.int64), first + len(lengths)])
        self.before = torch.from_numpy(before[self.step] + self.place).to(device)


class BidirectionalGRU(nn.GRU):
    """One bidirectional GRU layer over packed sequences.

    The parameters have the names and the meaning of those of `torch.nn.GRU(bidirectional=True)`.

    Args:
        input_size: number of input channels.
        hidden_size: units per direction.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, bidirectional=True)

    def forward(self, rows: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Run both directions.

        Args:
            rows: shape (n_rows, input_size), in the packing's order.
            packing: the arrangement of the sequences.

        Returns:
            outputs: shape (n_rows, 2 · hidden_size), in the packing's order.
            final: shape (batch, 2 · hidden_size), each direction's state after its last step, the longest sequence
                first.
        """
        parameters = [
            getattr(self, f"{part}_l0{direction}")
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for direction in ("", "_reverse")
        ]
        outputs: Tensor = _Recurrence.apply(rows, packing, *parameters)  # type: ignore[no-untyped-call]
        units, batch = self.hidden_size, packing.sizes[0]
        return outputs, torch.cat([outputs[packing.last, :units], outputs[:batch, units:]], dim=1)


class _Recurrence(torch.autograd.Function):
    """The steps of the GRU (Cho et al. 2014, in cuDNN's form, which applies the reset gate after the product).

    r = sigmoid(g_r + a_r), z = sigmoid(g_z + a_z), n = tanh(g_n + r · a_n), h' = n + z · (h - n),
    where g are the gates computed from the input, and a = weight · h + bias.

    PyTorch's tanh takes four times as long as its sigmoid. As tanh(x) = 2 sigmoid(2x) - 1, the steps carry
    s = (h + 1) / 2 and c = (n + 1) / 2 instead: c = sigmoid(2 (g_n + r · a_n)), s' = c + z · (s - c).

    At this size a call takes as long as its arithmetic, so the loops contain as few calls as possible, and the views
    that they use are made before. The workspace has four columns: g_n, later c | g_r + a_r, later r | g_z + a_z, later
    z | a_n. The input writes the first three, the state the last three.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, packing: Packing, *parameters: Tensor) -> Tensor:
        """From rows (n_rows, n_in) to outputs (n_rows, 2 · units)."""
        weight_ih, weight_hh, bias_ih, bias_hh = (parameters[i : i + 2] for i in range(0, 8, 2))
        units, (n_rows, batch) = weight_hh[0].shape[1], (len(rows), packing.sizes[0])
        inputs = [rows, rows.index_select(0, packing.turned)]
        work = rows.new_empty(2, n_rows, 4 * units)
        states = rows.new_empty(2, batch + n_rows, units)
        states[:, :batch] = 0.5
        into = []
        for i in range(2):
            # The offset of the state and both biases of r and z are added before the first step; n counts twice.
            offset = bias_hh[i] - weight_hh[i].sum(1)
            bias = bias_ih[i].clone()
            bias[: 2 * units] += offset[: 2 * units]
            torch.addmm(bias[: 2 * units], inputs[i], weight_ih[i][: 2 * units].T, out=work[i, :, units : 3 * units])
            torch.addmm(
                bias[2 * units :], inputs[i], weight_ih[i][2 * units :].T, alpha=2, beta=2, out=work[i, :, :units]
            )
            work[i, :, 3 * units :] = 2 * offset[2 * units :]
            weight = 2 * weight_hh[i]
            weight[2 * units :] *= 2
            into.append(weight.T)
        steps = [torch.split(part, packing.sizes, 1) for part in (work[..., units : 3 * units], *work.chunk(4, 2))]
        inner, inner_reverse = (torch.split(part, packing.sizes) for part in work[..., units:].unbind())
        after = torch.split(states[:, batch:], packing.sizes, 1)
        before = [states[:, :batch], *(state[:, :n] for state, n in zip(after[:-1], packing.sizes[1:], strict=True))]
        for t, (switch, candidate, reset, update, product_new) in enumerate(zip(*steps, strict=True)):
            state, state_reverse = before[t].unbind()
            inner[t].addmm_(state, into[0])
            inner_reverse[t].addmm_(state_reverse, into[1])
            switch.sigmoid_()
            candidate.addcmul_(reset, product_new).sigmoid_()
            torch.lerp(candidate, before[t], update, out=after[t])
        outputs = torch.cat([states[0, batch:], states[1, batch:].index_select(0, packing.turned)], dim=1)
        ctx.packing = packing
        ctx.save_for_backward(*inputs, work, states, *weight_ih, *weight_hh)
        return outputs.mul_(2.0).sub_(1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Backpropagation through time.

        The gradient of every pre-activation is the gradient of the new state times a factor, and the factors of all
        steps can be computed in advance.
        """
        *inputs, work, states, weight_ih, weight_ih_reverse, weight_hh, weight_hh_reverse = ctx.saved_tensors
        packing, units = ctx.packing, states.shape[2]
        n_rows = work.shape[1]
        candidate, reset, update, product_new = work.chunk(4, 2)
        before = states.index_select(1, packing.before)
        backward_of = torch.ops.aten.sigmoid_backward
        factors = torch.empty_like(work).view(2, n_rows, 4, units)
        to_new, to_reset, to_update, to_product_new = factors.unbind(2)
        torch.mul(backward_of(1.0 - update, candidate), 4.0, out=to_new)
        torch.mul(to_new, reset, out=to_product_new)
        torch.mul(backward_of(to_new * product_new, reset), 0.5, out=to_reset)
        torch.mul(backward_of(before - candidate, update), 2.0, out=to_update)

        d_outputs = gradients[0]
        d_states = torch.stack([d_outputs[:, :units], d_outputs[:, units:].index_select(0, packing.turned)])
        d_work = torch.empty_like(factors)
        walked = (d_states, d_states.unsqueeze(2), update, factors, d_work)
        d_state, d_wide, update_t, factor, d_step = (torch.split(part, packing.sizes, 1) for part in walked)
        d_all = d_work.flatten(2)
        d_inner, d_inner_reverse = (torch.split(part, packing.sizes) for part in d_all[..., units:])
        for t in range(len(packing.sizes) - 1, 0, -1):
            torch.mul(d_wide[t], factor[t], out=d_step[t])
            d_before = d_state[t - 1][:, : packing.sizes[t]].addcmul_(d_state[t], update_t[t])
            d_ahead, d_reverse = d_before.unbind()
            d_ahead.addmm_(d_inner[t], weight_hh)
            d_reverse.addmm_(d_inner_reverse[t], weight_hh_reverse)
        torch.mul(d_wide[0], factor[0], out=d_step[0])
        d_bias = d_all.sum(1)
        before = before.mul_(2.0).sub_(1.0)
        d_inputs, of_ih, of_hh, of_bias_ih, of_bias_hh = [], [], [], [], []
        for i, weight in enumerate((weight_ih, weight_ih_reverse)):
            d_new, d_switch = d_all[i, :, :units], d_all[i, :, units : 3 * units]
            if ctx.needs_input_grad[0]:
                d_inputs.append((d_switch @ weight[: 2 * units]).addmm_(d_new, weight[2 * units :]))
            of_ih.append(torch.cat([d_switch.T @ inputs[i], d_new.T @ inputs[i]]))
            of_hh.append(d_all[i, :, units:].T @ before[i])
            of_bias_ih.append(d_bias[i, : 3 * units].roll(-units))
            of_bias_hh.append(d_bias[i, units:])
        d_rows = d_inputs[0].add_(d_inputs[1].index_select(0, packing.turned)) if d_inputs else None
        return d_rows, None, *of_ih, *of_hh, *of_bias_ih, *of_bias_hh
