"""Read a sweep from its TOML file, strictly, and resolve its settings."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w

from emocatcher.foundation.errors import SettingError, one_line, suggest
from emocatcher.foundation.settings import Settings, load_preset
from emocatcher.foundation.settings.reading import read_toml
from emocatcher.models import encoder_weights

_MOST_SETTINGS = 10_000  # of a grid; each is trained on every fold, with every seed
RankBy = Literal["accuracy", "unweighted_average_recall"]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Numbers = Annotated[tuple[_Number, ...], msgspec.Meta(min_length=1)]


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[setting]]` of the file."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    set: tuple[str, ...] = ()  # each "section.key=value"


class SweepFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of `sweep.toml`. A resolved one names every setting and has no grid."""

    preset: str = "cabg"
    corpus: str = "ravdess"
    protocol: str
    folds: _Numbers = (0,)  # the folds whose training parts are used
    inner: Annotated[int, msgspec.Meta(ge=2)] = 5  # number of inner folds for each training part
    seeds: _Numbers = (0,)  # of every setting; the first is also the seed of speakers-K and stratified-K
    rank_by: RankBy = "accuracy"
    set: tuple[str, ...] = ()  # for all settings
    setting: tuple[Named, ...] = ()
    grid: dict[str, Any] = {}  # "section.key" → list of values; every combination is a setting


class Choice(msgspec.Struct, frozen=True):
    """One resolved setting of a sweep."""

    name: str
    set: tuple[str, ...]  # in addition to what is set for all settings
    settings: Settings


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved sweep."""

    file: SweepFile
    base: Settings  # the preset with the changes for all settings
    choices: tuple[Choice, ...]  # the first is the baseline

    def to_toml(self) -> str:
        """Format the sweep as TOML without a grid; `read` returns an equal plan from it."""
        return tomli_w.dumps({key: value for key, value in msgspec.to_builtins(self.file).items() if key != "grid"})


def read(path: Path) -> Plan:
    """Read a sweep from its TOML file.

    Raises:
        SettingError: if the file cannot be read, or a key, a value or a setting in it is not allowed.
    """
    return resolve(_convert(read_toml(path), str(path)), str(path))


def resolve(file: SweepFile, source: str) -> Plan:
    """Expand a sweep's grid, and resolve each setting.

    Args:
        file: the sweep.
        source: the name of the sweep in error messages.

    Raises:
        SettingError: if a list is empty, a value or name occurs twice, or a setting is not allowed.
    """
    for key in ("folds", "seeds"):
        _refuse_duplicates(getattr(file, key), f"{source}: {key} holds")
    named = (*file.setting, *_combinations(file.grid, source))
    if not named:
        raise SettingError(
            f"{source} names no setting. Add a [[setting]] with a name and, if wanted, set = [...]; or add a [grid]"
        )
    _refuse_duplicates([one.name for one in named], f"{source} names the setting")
    base = _load(file, (), source)
    choices = tuple(Choice(one.name, one.set, _load(file, one.set, f"{source}, setting '{one.name}'")) for one in named)
    return Plan(file=msgspec.structs.replace(file, setting=named, grid={}), base=base, choices=choices)


def differences(settings: Settings, baseline: Settings) -> tuple[str, ...]:
    """List the settings that differ from the baseline, each as "section.key=value".

    Examples:
        >>> differences(load_preset("cabg", ["training.n_epochs=3"]), load_preset("cabg"))
        ('training.n_epochs=3',)
        >>> emocatcher_2 = load_preset("emocatcher-2")
        >>> differences(load_preset("emocatcher-2", ["front_end.pitch=none"]), emocatcher_2)
        ('front_end.pitch=none',)
    """
    found = []
    for section in settings.__struct_fields__:
        ours, theirs = getattr(settings, section), getattr(baseline, section)
        for key in getattr(ours, "__struct_fields__", ()):
            value = getattr(ours, key)
            if value != getattr(theirs, key):
                written = "none" if value is None else _format(msgspec.to_builtins(value))
                found.append(f"{section}.{key}={written}")
    return tuple(found)


def _load(file: SweepFile, overrides: tuple[str, ...], source: str) -> Settings:
    try:
        settings = encoder_weights.resolve(load_preset(file.preset, (*file.set, *overrides)))
    except SettingError as error:
        raise SettingError(f"{source}: {error}") from None
    if settings.training.selection != "last":
        raise SettingError(
            f"{source}: training.selection is '{settings.training.selection}'. A sweep selects no epoch: it ranks "
            "the last epochs. Put 'training.selection=last' into set"
        )
    return settings


def _combinations(grid: Mapping[str, Any], source: str) -> Iterator[Named]:
    axes = dict(_axes(grid))
    if not axes:
        return
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise SettingError(f"{source}: [grid] gives {key} the value {values!r}. Needed: a list of one or more")
    counts = [len(values) for values in axes.values()]
    if (n_settings := math.prod(counts)) > _MOST_SETTINGS:
        raise SettingError(
            f"{source}: [grid] has {n_settings:,} settings ({' * '.join(map(str, counts))}). "
            f"Allowed are {_MOST_SETTINGS:,}: give fewer values, or name settings with [[setting]]"
        )
    short = Counter(key.rpartition(".")[2] for key in axes)
    for combination in itertools.product(*axes.values()):
        pairs = [(key, _format(value)) for key, value in zip(axes, combination, strict=True)]
        names = [f"{key if short[last := key.rpartition('.')[2]] > 1 else last}={value}" for key, value in pairs]
        yield Named(", ".join(names), tuple(f"{key}={value}" for key, value in pairs))


def _axes(grid: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    # In TOML, a dotted key without quotation marks is a table in a table.
    for key, values in grid.items():
        if isinstance(values, dict):
            yield from ((f"{key}.{inner}", value) for inner, value in values.items())
        else:
            yield key, values


def _format(value: Any) -> str:
    """Format a value as TOML; JSON has the same numbers, booleans and strings."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_format, value))}]"
    return msgspec.json.encode(value).decode()


def _refuse_duplicates(values: Any, what: str) -> None:
    twice = [value for value, n in Counter(values).items() if n > 1]
    if twice:
        raise SettingError(f"{what} {one_line(repr(twice[0]))} twice. Name each once")


def _convert(raw: Any, source: str) -> SweepFile:
    try:
        return msgspec.convert(raw, SweepFile)
    except msgspec.ValidationError as error:
        problem, at, place = str(error).partition(" - at ")
        place = place.strip("`").removeprefix("$").removeprefix(".")
        if unknown := re.search(r"unknown field `(.+)`$", problem):
            kind = Named if place.startswith("setting") else SweepFile
            raise SettingError(f"{source}: {suggest(unknown[1], kind.__struct_fields__, 'key')}") from None
        if problem.startswith("Invalid enum value"):
            problem += ". Allowed: accuracy, unweighted_average_recall"
        raise SettingError(f"{source}: {problem}" + (f" - at `{place}`" if at else "")) from None
