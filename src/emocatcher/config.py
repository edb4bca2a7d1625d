"""Settings: frozen, typed, read strictly from TOML, and saved with every run and model."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tomli_w

from emocatcher.errors import SettingError, suggest

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
# Finite: JSON, and so a model's config.json, knows no infinity.
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a waveform becomes a log-mel spectrogram."""

    sample_rate: PositiveInt  # Hz
    n_fft: PositiveInt  # samples
    win_length: PositiveInt  # samples, at most n_fft
    hop_length: PositiveInt  # samples
    n_mels: PositiveInt
    f_min: NonNegativeFloat  # Hz
    f_max: PositiveFloat  # Hz, at most half the sample rate
    amin: PositiveFloat  # power
    floor_db: PositiveFloat  # dB below the clip's maximum

    def __post_init__(self) -> None:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} exceeds n_fft {self.n_fft}")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"f_min {self.f_min} < f_max {self.f_max} <= sample_rate / 2 does not hold")

    @property
    def frame_period_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate


class VoiceActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the voiced span is found (see `emocatcher.vad`)."""

    smoothing_sigma: PositiveFloat  # frames
    margin_frames: Annotated[int, msgspec.Meta(ge=0)]
    floor_db: PositiveFloat  # dB


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes of the network (see `emocatcher.model`)."""

    conv_channels: Annotated[tuple[PositiveInt, ...], msgspec.Meta(min_length=1)]
    kernel_size: PositiveInt  # frames, odd
    conv_dropout: Fraction
    pool_size: PositiveInt  # frames
    gru_units: PositiveInt  # per direction
    classifier_units: PositiveInt
    classifier_dropout: Fraction

    def __post_init__(self) -> None:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is even; 'same' padding needs an odd one")


class Optimiser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The optimiser and its constants."""

    name: Literal["adabelief"]
    learning_rate: PositiveFloat
    betas: tuple[Fraction, Fraction]
    epsilon: PositiveFloat
    weight_decay: NonNegativeFloat


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ReduceLROnPlateau on the training loss."""

    factor: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    patience: Annotated[int, msgspec.Meta(ge=0)]  # epochs
    cooldown: Annotated[int, msgspec.Meta(ge=0)]  # epochs
    threshold: NonNegativeFloat  # relative
    min_learning_rate: NonNegativeFloat


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training loop."""

    n_epochs: PositiveInt
    batch_size: Annotated[int, msgspec.Meta(ge=2)]  # utterances; batch normalisation needs two
    label_smoothing: Fraction
    selection: Literal["last", "best-valid", "best-test"]
    valid_fraction: Annotated[float, msgspec.Meta(gt=0, le=0.5)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One whole recipe."""

    preset: str
    front_end: FrontEnd
    vad: VoiceActivity
    network: Network
    optimiser: Optimiser
    schedule: Schedule
    training: Training

    def to_toml(self) -> str:
        """Write every resolved value as TOML; `from_toml` reads it back as an equal object."""
        return tomli_w.dumps(msgspec.to_builtins(self))


def from_toml(text: str, source: str) -> Settings:
    """Read settings that `Settings.to_toml` wrote.

    Args:
        text: TOML.
        source: what to call it in an error.

    Raises:
        SettingError: if the text is not TOML, or a key or a value is not allowed.
    """
    try:
        raw = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise SettingError(f"{source} is not TOML: {error}") from None
    return _convert(raw, source)


def presets() -> tuple[str, ...]:
    """The names of the presets that ship with the package.

    Examples:
        >>> "cabg" in presets()
        True
    """
    folder = resources.files("emocatcher") / "presets"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_preset(name: str, overrides: Iterable[str] = ()) -> Settings:
    """Read a preset, with single settings replaced.

    Args:
        name: one of `presets()`, or the path of a TOML file of the same shape.
        overrides: "section.key=value" each, the value in TOML ("optimiser.learning_rate=5e-4").

    Raises:
        SettingError: if the preset, a key or a value is not allowed; the message names the nearest allowed one.

    Examples:
        >>> load_preset("cabg", ["training.n_epochs=3"]).training.n_epochs
        3
    """
    raw = _read(name)
    for override in overrides:
        _replace(raw, override)
    return _convert(raw, f"Preset '{name}'")


def check_smoothing(settings: Settings, n_classes: int) -> None:
    """Refuse a label smoothing that leaves the true class less than each other.

    Args:
        settings: the recipe.
        n_classes: how many emotions there are.

    Raises:
        SettingError: if it does.
    """
    most = (n_classes - 1) / n_classes
    if settings.training.label_smoothing > most:
        raise SettingError(
            f"training.label_smoothing is {settings.training.label_smoothing:g}. With {n_classes} emotions, "
            f"{most:.3g} spreads the truth evenly over all of them; allowed: up to that"
        )


def _read(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise SettingError(f"No settings file '{name}'. Give a TOML file, or a preset: {', '.join(presets())}")
        content, label = path.read_bytes(), path.stem
    elif name in presets():
        content, label = (resources.files("emocatcher") / "presets" / f"{name}.toml").read_bytes(), name
    else:
        raise SettingError(suggest(name, presets(), "preset"))
    try:
        raw: dict[str, Any] = msgspec.toml.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{name} is not TOML: {error}") from None
    return {"preset": label, **raw}


def _replace(raw: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    keys = path.strip().split(".")
    if not equals or len(keys) != 2:
        raise SettingError(f"'{override}' is not a setting. Write section.key=value, e.g. optimiser.learning_rate=5e-4")
    section, key = keys
    sections = _sections()
    if section not in sections:
        raise SettingError(suggest(section, sections, "section"))
    if key not in sections[section]:
        raise SettingError(suggest(key, sections[section], f"setting in [{section}]"))
    if not isinstance(fields := raw.setdefault(section, {}), dict):
        return  # refused as a whole when it is converted
    try:
        fields[key] = msgspec.toml.decode(f"value = {value}")["value"]
    except msgspec.DecodeError:
        fields[key] = value.strip()  # a bare word: selection=last


def _convert(raw: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        problem, at, place = str(error).rstrip("`").partition(" - at `$.")
        section, _, key = place.partition(".")
        types = _sections().get(section) or _types(Settings)
        if unknown := re.search(r"unknown field `(.+?)`?$", problem):
            raise SettingError(f"{source}: {suggest(unknown[1], types, 'setting')}") from None
        if problem.startswith("Invalid enum value"):
            problem += f". Allowed: {', '.join(get_args(types[key]))}"
        value = f" = {raw[section][key]!r}" if key in types and key in raw[section] else ""
        raise SettingError(f"{source}: {problem}" + (f" - at `{place}{value}`" if at else "")) from None


def _sections() -> dict[str, dict[str, Any]]:
    return {name: _types(kind) for name, kind in _types(Settings).items() if name != "preset"}


def _types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}
