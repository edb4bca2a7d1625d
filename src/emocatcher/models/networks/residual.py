"""The residual network of the preset `emocatcher-2`: channels, lengths → logits, attention.

Its parts: the logarithm of power plus a noise floor, standardised band by band, and the pitch relative to the clip's
mean; residual convolutions that weight their channels; a bidirectional GRU; mean and standard deviation over time,
weighted by attention. The clips of a batch are padded to one length, and everything beyond a clip's end is set to zero
before every convolution, so the result for a clip does not depend on the other clips. The exception is batch
normalisation in training, which counts these zeros too; batches of clips of similar length keep them few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emocatcher.foundation.settings import NORM_EPSILON, FrontEnd, ResidualNetwork
from emocatcher.models.networks.convolution import Dropout
from emocatcher.models.networks.emotion_network import EmotionNetwork, outputs
from emocatcher.models.networks.recurrent import BidirectionalGRU, Packing

_FITTED_AT_ONCE = 1 << 28  # values of channels, 1 GB
_N_MOVING_PITCH = 3  # channels computed from the pitch that change over time


class ResidualModule(EmotionNetwork):
    """Residual convolutions with squeeze-and-excitation, a GRU, and attentive statistics pooling.

    Args:
        settings: the sizes.
        front_end: it computes the input.
        n_classes: number of emotions.
        n_dimensions: number of dimensions.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> settings = load_preset("emocatcher-2")
        >>> network = ResidualModule(settings.network, settings.front_end, n_classes=8).eval()
        >>> logits, attention = network(torch.zeros(2, settings.front_end.n_channels, 30), torch.tensor([30, 17]))
        >>> logits.shape, attention.sum(dim=1).allclose(torch.ones(2))
        (torch.Size([2, 8]), True)
    """

    def __init__(self, settings: ResidualNetwork, front_end: FrontEnd, n_classes: int, n_dimensions: int = 0) -> None:
        super().__init__()
        self.input = InputLayer(settings, front_end.n_mels, has_pitch=front_end.pitch is not None)
        self.branches = nn.ModuleList(
            Branch(settings, self.input.n_moving, self.input.n_still, n_classes, n_dimensions)
            for _ in range(settings.branches)
        )

    def fit(self, clips: Sequence[NDArray[np.float32]]) -> None:
        """Take the mean and the deviation of every channel from the training part."""
        self.input.fit(clips)

    def prepare(self, channels: Tensor, lengths: Tensor) -> Tensor:
        """From dB to the input of the branches, shape (batch, n_channels, n_frames), 0 beyond a clip's end."""
        mask = _mask(lengths, channels.shape[2])
        prepared: Tensor = self.input(channels, mask) * mask
        return prepared

    def answers(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `EmotionNetwork.answers`."""
        outcomes = [branch(prepared, lengths) for branch in self.branches]
        logits, attention = (torch.stack(parts) for parts in zip(*outcomes, strict=True))
        return logits, attention.mean(dim=0)

    def set_noise(self, bit_generator: np.random.BitGenerator) -> None:
        """Draw all dropout, and the noise floor, from `bit_generator` from now on."""
        super().set_noise(bit_generator)
        self.input.bit_generator = bit_generator


class Branch(nn.Module):
    """One of the networks whose answers are averaged. Each has its own weights and is trained by its own loss.

    Args:
        settings: the sizes.
        n_moving: number of input channels that change over time.
        n_still: number of input channels after those, which are constant over a clip.
        n_classes: number of emotions.
        n_dimensions: number of dimensions.
    """

    def __init__(
        self, settings: ResidualNetwork, n_moving: int, n_still: int, n_classes: int, n_dimensions: int
    ) -> None:
        super().__init__()
        channels, width = settings.channels, 2 * settings.gru_units
        self.n_moving = n_moving
        self.blocks = nn.ModuleList(
            ResidualBlock(n_moving if number == 0 else channels, settings, dilation, stride)
            for number, (dilation, stride) in enumerate(zip(settings.dilations, settings.strides, strict=True))
        )
        self.still = nn.Linear(n_still, channels) if n_still else None
        self.gru = BidirectionalGRU(channels, settings.gru_units)
        self.attention = AttentiveStatistics(width, settings.attention_units)
        self.context_dropout = Dropout(settings.classifier_dropout)
        self.hidden = nn.Linear(2 * width, settings.classifier_units)
        self.hidden_norm = nn.BatchNorm1d(settings.classifier_units, eps=NORM_EPSILON)
        self.hidden_dropout = Dropout(settings.classifier_dropout)
        self.output = nn.Linear(settings.classifier_units, n_classes)
        self.dimensions = nn.Linear(settings.classifier_units, n_dimensions) if n_dimensions else None

    def forward(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, n_classes) and attention (batch, n_frames')."""
        x, mask = prepared[:, : self.n_moving], _mask(lengths, prepared.shape[2])
        offset = self.still(prepared[:, self.n_moving :, 0]).unsqueeze(2) if self.still else None
        for block in self.blocks:
            x, mask = block(x, mask, offset)
            offset = None
        packing = Packing(mask[:, 0].sum(dim=1).cpu().numpy().astype(np.int64), x.device)
        places = (packing.order[packing.place], packing.step)
        clip, step = (torch.from_numpy(place).to(x.device) for place in places)
        steps, _ = self.gru(x.transpose(1, 2)[clip, step], packing)
        context, weights = self.attention(steps, clip, len(lengths))
        attention = weights.new_zeros(len(lengths), len(packing.sizes)).index_put((clip, step), weights)
        hidden = self.hidden_norm(self.hidden(self.context_dropout(context)))
        return outputs(self.hidden_dropout(functional.gelu(hidden)), self.output, self.dimensions), attention


class InputLayer(nn.Module):
    """dB → the input of the branches: the logarithm of power plus a noise floor, standardised channel by channel.

    Recordings differ in the level of their background noise; the floor makes them equal below it. With the level
    "relative", power is divided by the clip's mean power, which becomes a channel of its own: a floor at the same
    absolute level for all clips would mask voices that are soft or far from the microphone. With `contrast`, each
    band's mean over the clip, which depends on the voice and the microphone, is subtracted from the band and becomes a
    channel in the same way.

    The pitch, if there is one, gives three channels that change over time: octaves from the clip's mean, how much of
    the frame is voiced, and the change of pitch; they are 0 where there is no voice. The clip's mean pitch is a channel
    that is constant over the clip.

    Args:
        settings: noise floor, level and contrast.
        n_mels: number of mel bands in the input.
        has_pitch: whether the input has the rows of `pitch.track` below the mel bands.

    Attributes:
        n_channels: number of output channels.
        n_moving: how many of them change over time; they come first.
        n_still: how many are constant over a clip; without `contrast` these are not separated, and it is 0.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: ResidualNetwork, n_mels: int, *, has_pitch: bool) -> None:
        super().__init__()
        self.n_mels, self.has_pitch = n_mels, has_pitch
        self.noise_floor = settings.noise_floor
        self.noise_db = settings.noise_db
        self.bit_generator: np.random.BitGenerator = np.random.SFC64()
        self.is_relative, self.has_contrast = settings.level == "relative", settings.contrast
        n_moving = n_mels + _N_MOVING_PITCH * has_pitch
        self.n_channels = n_moving + n_mels * self.has_contrast + self.is_relative + has_pitch
        self.n_moving = n_moving if self.has_contrast else self.n_channels
        self.n_still = self.n_channels - self.n_moving
        self.register_buffer("mean", torch.zeros(self.n_channels, 1))
        self.register_buffer("deviation", torch.ones(self.n_channels, 1))

    def forward(self, channels: Tensor, mask: Tensor) -> Tensor:
        """From the network's input and its mask (batch, 1, n_frames) to (batch, n_channels, n_frames)."""
        return (self._channels(channels, mask, self._noise_floor(len(channels))) - self.mean) / self.deviation

    def fit(self, clips: Sequence[NDArray[np.float32]]) -> None:
        """Set each channel's mean and deviation to those of all frames."""
        n_frames = sum(clip.shape[1] for clip in clips)
        at_once = max(_FITTED_AT_ONCE // n_frames, 1)
        for start in range(0, self.n_channels, at_once):  # the channels of a large corpus do not all fit into memory
            some = slice(start, start + at_once)
            frames, done = torch.empty(len(self.mean[some]), n_frames), 0
            for clip in clips:
                batch, n = torch.tensor(clip).unsqueeze(0), clip.shape[1]
                frames[:, done : done + n] = self._channels(batch, torch.ones(1, 1, n), self.noise_floor)[0, some]
                done += n
            self.mean[some] = frames.mean(dim=1, keepdim=True)
            self.deviation[some] = frames.std(dim=1, keepdim=True).clamp_min(1e-3)

    def _noise_floor(self, n_clips: int) -> float | Tensor:
        """One for all clips, or, in training, one drawn for each clip, shape (n_clips, 1, 1)."""
        if not self.training:
            return self.noise_floor
        noise_db = np.random.Generator(self.bit_generator).uniform(*self.noise_db, (n_clips, 1, 1))
        return torch.from_numpy((self.noise_floor + 10.0 ** (noise_db / 10.0)).astype(np.float32)).to(self.mean.device)

    def _channels(self, channels: Tensor, mask: Tensor, noise_floor: float | Tensor) -> Tensor:
        power = torch.exp(channels[:, : self.n_mels] * (math.log(10.0) / 10.0)) * mask
        count, still = mask.sum(dim=2, keepdim=True), []
        if self.is_relative:
            level = power.mean(dim=1, keepdim=True).sum(dim=2, keepdim=True) / count + ResidualNetwork.SMALLEST_LEVEL
            power = power / level
            still.append(torch.log(level))
        bands = torch.log(power + noise_floor)
        if self.has_contrast:
            colour = (bands * mask).sum(dim=2, keepdim=True) / count
            bands = bands - colour
            still.append(colour)
        moving = [bands]
        if self.has_pitch:
            tracks, height = _relative_pitch(channels[:, self.n_mels :], mask)
            moving.append(tracks)
            still.append(height)
        return torch.cat([*moving, *(channel.expand(-1, -1, mask.shape[2]) for channel in still)], dim=1)


class ResidualBlock(nn.Module):
    """Conv1d → BatchNorm → GELU → squeeze-and-excitation (Hu et al. 2018) → dropout, added to its input.

    Args:
        n_in: number of input channels. The input is not added if it differs from `settings.channels`, or if
            `stride` exceeds 1.
        settings: the sizes.
        dilation: frames between two taps.
        stride: frames between two outputs.
    """

    def __init__(self, n_in: int, settings: ResidualNetwork, dilation: int, stride: int) -> None:
        super().__init__()
        n_out = settings.channels
        reach = dilation * (settings.kernel_size // 2)
        self.conv = nn.Conv1d(n_in, n_out, settings.kernel_size, stride, reach, dilation)
        self.norm = nn.BatchNorm1d(n_out, eps=NORM_EPSILON)
        self.squeeze = nn.Linear(n_out, n_out // 4)
        self.excite = nn.Linear(n_out // 4, n_out)
        self.dropout = Dropout(settings.conv_dropout)
        self.stride = stride
        self.is_residual = n_in == n_out and stride == 1

    def forward(self, x: Tensor, mask: Tensor, offset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """From (batch, n_in, n_frames) and its mask (batch, 1, n_frames) to (batch, n_out, n_frames') and its mask.

        An `offset`, shape (batch, n_out, 1), is added to the output of the convolution.
        """
        mask = mask[:, :, :: self.stride]
        convolved = self.conv(x) if offset is None else self.conv(x) + offset
        y = functional.gelu(self.norm(convolved)) * mask
        mean = y.sum(dim=2) / mask.sum(dim=2)
        y = self.dropout(y * torch.sigmoid(self.excite(functional.relu(self.squeeze(mean)))).unsqueeze(2))
        return (x + y if self.is_residual else y), mask


class AttentiveStatistics(nn.Module):
    """Mean and deviation over time, weighted by attention (Okabe et al. 2018)."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, units)
        self.score = nn.Linear(units, 1)

    def forward(self, rows: Tensor, clip: Tensor, n_clips: int) -> tuple[Tensor, Tensor]:
        """Weight the steps of every clip and pool them.

        Args:
            rows: shape (n_rows, width), of all clips.
            clip: shape (n_rows,), int64, the number of the clip that a row belongs to.
            n_clips: number of clips.

        Returns:
            context: shape (n_clips, 2 · width).
            attention: shape (n_rows,), sums to 1 over a clip's rows.
        """
        scores = self.score(torch.tanh(self.hidden(rows))).T
        is_own = clip == torch.arange(n_clips, device=clip.device)[:, None]
        weights = torch.softmax(scores.masked_fill(~is_own, -torch.inf), dim=1)
        mean = weights @ rows
        variance = weights @ (rows - mean[clip]).square()
        return torch.cat([mean, (variance + ResidualNetwork.SMALLEST_VARIANCE).sqrt()], dim=1), weights.sum(0)


def _relative_pitch(tracks: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that change over time, and the mean pitch.

    Args:
        tracks: shape (batch, 2, n_frames), octaves and periodicity.
        mask: shape (batch, 1, n_frames).

    Returns:
        shape (batch, 3, n_frames) and (batch, 1, 1).
    """
    constants, step = ResidualNetwork, ResidualNetwork.PITCH_STEP
    octaves, periodicity = tracks[:, :1], tracks[:, 1:]
    voice = ((periodicity - constants.UNVOICED) / (constants.VOICED - constants.UNVOICED)).clamp(0.0, 1.0) * mask
    height = (octaves * voice).sum(dim=2, keepdim=True) / (voice.sum(dim=2, keepdim=True) + constants.LEAST_VOICE)
    relative = (octaves - height) * voice
    padded, sure = (functional.pad(part, (step, step)) for part in (relative, voice))
    before, after = slice(None, -2 * step), slice(2 * step, None)
    moves = (padded[:, :, after] - padded[:, :, before]) * sure[:, :, after] * sure[:, :, before]
    return torch.cat([relative, voice, moves], dim=1), height


def _mask(lengths: Tensor, n_frames: int) -> Tensor:
    """Shape (batch, 1, n_frames), float32: 1 where valid."""
    return (torch.arange(n_frames, device=lengths.device) < lengths[:, None]).to(torch.float32).unsqueeze(1)
