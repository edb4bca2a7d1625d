"""The settings of a recipe: frozen, typed structs with the unit of each field. `settings.reading` reads them."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
import tomli_w
from numpy.typing import NDArray

from emocatcher.foundation.settings.bounds import (
    Count,
    CountOrZero,
    Few,
    Fraction,
    Kernel,
    Level,
    NonNegativeFloat,
    PositiveFloat,
    Samples,
    Size,
    UpTo100,
    UpTo1000,
)
from emocatcher.foundation.settings.variation import Augmentation, Degradation

N_PITCH_CHANNELS = 2  # the pitch and the periodicity of a frame
NORM_EPSILON = 1e-5  # added to the variance by the layer and batch normalisation of every network
_MOST_NUMBERS = 1 << 16  # that a front end measures in a second of sound
_MOST_WEIGHTS = 1 << 27  # of a network's convolutions
_MOST_STEPS = 1 << 12  # frames per attention weight
_MAX_WINDOW_SHARE = 0.75  # of the window, for the longest period; a longer one would leave too little to compare


class Pitch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the pitch of the voice is tracked (see `emocatcher.features.pitch`)."""

    f_min: PositiveFloat = 65.0  # Hz, lowest pitch
    f_max: PositiveFloat = 700.0  # Hz, highest pitch
    n_candidates: Annotated[int, msgspec.Meta(ge=2, le=256)] = 48  # candidate frequencies from f_min to f_max
    highest_hz: PositiveFloat = 4000.0  # of the spectrum that is used
    frames_per_step: Few = 2  # frames that share one pitch
    reach: Annotated[int, msgspec.Meta(ge=0, le=64)] = 8  # steps to either side that influence a step
    sharpness: UpTo1000 = 20.0  # factor from correlation to log-likelihood
    change_cost: UpTo100 = 0.56  # correlation per octave of change between steps
    favour_high: UpTo100 = 0.044  # correlation per octave; needed because twice the period correlates as well

    def __post_init__(self) -> None:
        if not self.f_min < self.f_max <= self.highest_hz:
            raise ValueError(f"f_min {self.f_min} < f_max {self.f_max} <= highest_hz {self.highest_hz} does not hold")


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the log-mel spectrogram and, optionally, the pitch of a waveform are computed."""

    sample_rate: Annotated[int, msgspec.Meta(ge=1, le=768_000)]  # Hz
    n_fft: Samples  # samples
    win_length: Samples  # samples, at most n_fft
    hop_length: Samples  # samples
    n_mels: Size
    f_min: NonNegativeFloat  # Hz
    f_max: PositiveFloat  # Hz, at most half the sample rate
    amin: Annotated[float, msgspec.Meta(ge=1e-30, le=1)]  # power
    floor_db: UpTo1000  # dB below the clip's maximum
    pitch: Pitch | None = None

    def __post_init__(self) -> None:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} exceeds n_fft {self.n_fft}")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"f_min {self.f_min} < f_max {self.f_max} <= sample_rate / 2 does not hold")
        per_second = (self.n_mels + (self.pitch.n_candidates if self.pitch else 0)) * self.sample_rate / self.hop_length
        if per_second > _MOST_NUMBERS:
            raise ValueError(
                f"hop_length {self.hop_length} gives {per_second:,.0f} numbers for a second of sound. Give at most "
                f"{_MOST_NUMBERS:,}: a longer hop, or fewer mel bands or pitch candidates"
            )
        if self.pitch:
            longest = min(self.win_length * _MAX_WINDOW_SHARE, self.n_fft / 2)  # samples
            if self.pitch.f_min < (lowest := self.sample_rate / longest):
                raise ValueError(
                    f"pitch.f_min {self.pitch.f_min} is too low for the window. Give at least {lowest:.0f} Hz"
                )
            if self.pitch.highest_hz > self.f_max:
                raise ValueError(f"pitch.highest_hz {self.pitch.highest_hz} exceeds f_max {self.f_max}")

    @property
    def n_channels(self) -> int:
        """Number of rows of the network's input: the mel bands, and with `pitch` two more."""
        return self.n_mels + (N_PITCH_CHANNELS if self.pitch else 0)

    @property
    def frame_period_s(self) -> float:
        """Time from one frame to the next, seconds."""
        return self.hop_length / self.sample_rate


class VoiceActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the voiced span is found (see `emocatcher.features.voiced_span`)."""

    smoothing_sigma: Annotated[float, msgspec.Meta(gt=0, le=10_000)]  # frames
    margin_frames: CountOrZero
    floor_db: UpTo1000


class CABGNetwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cabg"):
    """The sizes of the published network (see `emocatcher.models.networks.cabg`)."""

    conv_channels: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1, max_length=32)]
    kernel_size: Kernel
    conv_dropout: Fraction
    pool_size: Size  # frames
    gru_units: Size  # per direction
    classifier_units: Size
    classifier_dropout: Fraction

    def __post_init__(self) -> None:
        _check_odd(self.kernel_size)
        _check_weights(sum(map(math.prod, itertools.pairwise(self.conv_channels))) * self.kernel_size)

    @property
    def frames_per_step(self) -> int:
        """Frames that one attention weight stands for."""
        return self.pool_size

    def n_steps(self, n_frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many attention weights a clip has; one shorter than a pool keeps one."""
        return np.maximum(n_frames // self.pool_size, 1)


class ResidualNetwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="residual"):
    """The sizes of the residual network (see `emocatcher.models.networks.residual`).

    The constants in capitals are the same for all recipes; the PyTorch module and its ONNX twin share them.
    """

    SMALLEST_VARIANCE: ClassVar[float] = 1e-5  # added to the attention's variance over time
    SMALLEST_LEVEL: ClassVar[float] = 1e-12  # power, added to a clip's mean: digital silence must not divide by 0
    UNVOICED: ClassVar[float] = 0.5  # periodicity up to which a frame has no voice
    VOICED: ClassVar[float] = 0.75  # periodicity from which a frame is all voice
    LEAST_VOICE: ClassVar[float] = 0.01  # frames, added to the voiced ones: a whisper must not divide by 0
    PITCH_STEP: ClassVar[int] = 2  # frames before and after, between which the change of pitch is measured

    branches: Few  # parallel networks whose outputs are combined, each of the sizes below
    level: Literal["absolute", "relative"]  # whether power is taken relative to the clip's mean
    noise_floor_db: Level  # added to the power of every band
    noise_db: tuple[Level, Level]  # range of the noise added in training, drawn for each clip
    contrast: bool  # whether a band's mean over the clip is subtracted and becomes an input of its own, once per clip
    channels: Annotated[int, msgspec.Meta(ge=4, le=1024)]
    kernel_size: Kernel
    dilations: Annotated[tuple[Size, ...], msgspec.Meta(min_length=1, max_length=32)]  # one per block
    strides: tuple[Few, ...]  # one per block
    conv_dropout: Fraction
    gru_units: Size  # per direction
    attention_units: Size
    classifier_units: Size
    classifier_dropout: Fraction

    def __post_init__(self) -> None:
        _check_odd(self.kernel_size)
        if len(self.strides) != len(self.dilations):
            raise ValueError(f"{len(self.dilations)} dilations, but {len(self.strides)} strides. Give one per block")
        _check_weights(self.branches * len(self.dilations) * self.channels**2 * self.kernel_size)
        if self.frames_per_step > _MOST_STEPS:
            raise ValueError(f"The product of the strides is {self.frames_per_step:,}. Give at most {_MOST_STEPS:,}")
        if self.noise_db[0] > self.noise_db[1]:
            raise ValueError(
                f"noise_db goes from {self.noise_db[0]:g} to {self.noise_db[1]:g}. Give the smaller one first"
            )

    @property
    def noise_floor(self) -> float:
        """Power that is added to every band."""
        return float(10.0 ** (self.noise_floor_db / 10.0))

    @property
    def frames_per_step(self) -> int:
        """Frames that one attention weight stands for."""
        return math.prod(self.strides)

    def n_steps(self, n_frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many attention weights a clip has."""
        return -(-n_frames // self.frames_per_step)


class Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pretrained Whisper encoder, of which the first layers are used (see `emocatcher.models.networks.whisper`)."""

    source: str  # owner/name on the Hugging Face hub, or a folder with config.json and model.safetensors
    n_layers: Few
    revision: str = ""  # a branch, a tag or a commit on the hub; "" for its main branch
    # 0 for those of the source, which a run or a model always names.
    width: Annotated[int, msgspec.Meta(ge=0, le=2048)] = 0
    n_heads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    hidden: Annotated[int, msgspec.Meta(ge=0, le=8192)] = 0  # units of the feed-forward networks

    def __post_init__(self) -> None:
        if len({self.width == 0, self.n_heads == 0, self.hidden == 0}) > 1:
            raise ValueError("of width, n_heads and hidden, some are 0. Give all three, or none")
        if self.n_heads and (self.width % self.n_heads or self.width % 2):
            raise ValueError(f"width {self.width} is not an even multiple of n_heads {self.n_heads}")


class EncoderNetwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="encoder"):
    """Statistics over time of an encoder's states, and one linear layer (see `emocatcher.models.networks.encoder`)."""

    SMALLEST_VARIANCE: ClassVar[float] = 1e-6  # added to the variance over time
    # Steps, 3 s: longer clips are encoded in pieces, because the statistics were fitted to utterances about as long.
    LONGEST_PIECE: ClassVar[int] = 150
    # dB, of every clip's log-mel spectrogram: its level tells more about the microphone than about the voice.
    LOUDEST_DB: ClassVar[float] = 10.0

    dropout: Fraction  # of the statistics
    n_copies: Annotated[int, msgspec.Meta(ge=0, le=64)]  # augmented copies of each clip, made before training

    @property
    def frames_per_step(self) -> int:
        """Frames that one attention weight stands for."""
        return 2

    def n_steps(self, n_frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many attention weights a clip has."""
        return -(-n_frames // self.frames_per_step)


Network: TypeAlias = CABGNetwork | ResidualNetwork | EncoderNetwork


class Optimiser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The optimiser and its constants."""

    name: Literal["adabelief", "adamw"]
    learning_rate: PositiveFloat
    betas: tuple[Fraction, Fraction]
    epsilon: PositiveFloat
    weight_decay: NonNegativeFloat


class PlateauSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="plateau"):
    """ReduceLROnPlateau on the training loss."""

    factor: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    patience: CountOrZero  # epochs
    cooldown: CountOrZero  # epochs
    threshold: NonNegativeFloat  # relative
    min_learning_rate: NonNegativeFloat


class OneCycleSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="one-cycle"):
    """Up to the learning rate and down to 0, both along a cosine, step by step (Smith and Topin 2018)."""

    warm_up: Annotated[float, msgspec.Meta(gt=0, lt=1)]  # share of all steps


Schedule: TypeAlias = PlateauSchedule | OneCycleSchedule


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training loop."""

    n_epochs: Count
    batch_size: Annotated[int, msgspec.Meta(ge=2, le=100_000)]  # utterances; batch normalisation needs two
    label_smoothing: Fraction
    selection: Literal["last", "best-valid", "best-test"]
    valid_fraction: Annotated[float, msgspec.Meta(gt=0, le=0.5)]
    batches_by_length: Count = 1  # number of batches whose utterances are sorted by length together
    teacher_share: Fraction = 0.7  # the teachers' share of the loss, if there are teachers
    largest_gradient: NonNegativeFloat = 0.0  # norm to which gradients are clipped; 0 clips none
    weight_average: Fraction = 0.0  # decay per step of the moving average of the weights that is kept; 0 keeps the last
    # What has equal shares in an epoch: the corpora; or the corpora, and within each its classes. Unset is "none".
    balance: Literal["none", "corpora", "corpora-and-classes"] | msgspec.UnsetType = msgspec.UNSET


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A complete recipe."""

    preset: str
    front_end: FrontEnd
    vad: VoiceActivity
    network: Network
    optimiser: Optimiser
    schedule: Schedule
    training: Training
    augmentation: Augmentation = Augmentation()
    encoder: Encoder | msgspec.UnsetType = msgspec.UNSET  # for a network of kind "encoder", and for no other
    degradation: Degradation | msgspec.UnsetType = msgspec.UNSET  # of the copies that such a network makes

    def __post_init__(self) -> None:
        if (self.encoder is msgspec.UNSET) == isinstance(self.network, EncoderNetwork):
            raise ValueError("a network of kind 'encoder' needs the section [encoder], and no other may have it")
        if isinstance(self.network, EncoderNetwork) and self.front_end.pitch:
            raise ValueError("a network of kind 'encoder' takes no pitch. Set front_end.pitch=none")
        if self.degradation is not msgspec.UNSET and not getattr(self.network, "n_copies", 0):
            raise ValueError(
                "[degradation] degrades the copies of clips, and there are none. It needs a network of kind 'encoder' "
                "with network.n_copies of 1 or more"
            )

    def to_toml(self) -> str:
        """Return all resolved values as TOML; `from_toml` reads it back as an equal object."""
        return tomli_w.dumps(msgspec.to_builtins(self))


def _check_odd(kernel_size: int) -> None:
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size {kernel_size} is even; 'same' padding needs an odd one")


def _check_weights(n_weights: int) -> None:
    if n_weights > _MOST_WEIGHTS:
        raise ValueError(f"The convolutions would have {n_weights:,} weights. Allowed are {_MOST_WEIGHTS:,}")
