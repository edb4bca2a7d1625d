"""Read settings strictly, from presets, TOML files and overrides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from emocatcher.foundation.errors import SettingError, one_line, suggest
from emocatcher.foundation.settings.recipe import (
    Settings,
)

_LARGEST, _MOST_DOTS = 1 << 20, 300  # bytes of a TOML file, and dots of a line: long keys take quadratic time
# What a section without a kind is of: there was one of each when the first models and runs were written.
_FIRST_KINDS = {"network": "cabg", "schedule": "plateau"}
# Removed settings that saved models and runs may have: (section, name) → the value that had no effect.
_REMOVED = {("training", "speaker_normalisation"): False}


def from_toml(text: str, source: str) -> Settings:
    """Read settings that `Settings.to_toml` wrote.

    Args:
        text: TOML.
        source: name of the text in errors.

    Raises:
        SettingError: if the text is not TOML, or a key or a value is not allowed.
    """
    return _convert(decode_toml(text.encode(errors="surrogateescape"), source), source)


def decode_toml(content: bytes, source: str) -> dict[str, Any]:
    """Decode TOML of bounded size.

    Args:
        content: the content of a file.
        source: its name in errors.

    Raises:
        SettingError: if it is not TOML, or larger than settings are.
    """
    n_dots = max((line.count(b".") for line in content.splitlines()), default=0)
    if len(content) > _LARGEST:
        raise SettingError(f"{source} has more than {_LARGEST:,} bytes, which are allowed. Name a file of settings")
    if n_dots > _MOST_DOTS:
        raise SettingError(f"{source} has a line with {n_dots:,} dots; allowed are {_MOST_DOTS}. Write several lines")
    try:
        decoded: dict[str, Any] = msgspec.toml.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SettingError(f"{source} is not TOML: {one_line(error)}. Correct the file") from None
    return decoded


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, as `decode_toml` does.

    Raises:
        SettingError: if it cannot be read, is not TOML, or is larger than settings are.
    """
    try:
        with path.open("rb") as file:
            return decode_toml(file.read(_LARGEST + 1), str(path))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}. Name a TOML file") from error


def presets() -> tuple[str, ...]:
    """Return the names of the presets that are included in the package.

    Examples:
        >>> "cabg" in presets()
        True
    """
    folder = resources.files("emocatcher.foundation.settings") / "presets"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_preset(name: str, overrides: Iterable[str] = ()) -> Settings:
    """Read a preset and apply overrides.

    Args:
        name: one of `presets()`, or the path of a TOML file of the same shape.
        overrides: "section.key=value" each, the value in TOML ("optimiser.learning_rate=5e-4"), or `none` to unset an
            optional setting ("front_end.pitch=none").

    Raises:
        SettingError: if the preset, a key or a value is not allowed; the message names the closest allowed one.

    Examples:
        >>> load_preset("cabg", ["training.n_epochs=3"]).training.n_epochs
        3
    """
    raw = _read(name)
    for override in overrides:
        _replace(raw, override)
    return _convert(raw, f"Preset '{name}'")


def check_classes(settings: Settings, n_classes: int) -> None:
    """Check that a recipe can be trained with so many classes.

    Args:
        settings: the recipe.
        n_classes: number of emotions.

    Raises:
        SettingError: if there is only one, or label smoothing leaves the true class less weight than another one.
    """
    if n_classes < 2:
        raise SettingError("All recordings have the same label. To train, recordings of two or more labels are needed")
    largest = (n_classes - 1) / n_classes
    if settings.training.label_smoothing > largest:
        raise SettingError(
            f"training.label_smoothing is {settings.training.label_smoothing:g}. With {n_classes} emotions, give at "
            f"most {largest:.3g}, which gives every emotion the same weight"
        )


def upgrade(raw: Any) -> Any:
    """Convert settings that an earlier version saved to the current form.

    If a network or schedule has no kind, it gets the first kind that existed. A removed setting is dropped if it has
    the value that had no effect; with another value it stays, and is later refused as unknown.

    Args:
        raw: settings decoded from TOML or JSON; changed in place. Anything but a table is left unchanged.
    """
    if isinstance(raw, dict):
        for section, kind in _FIRST_KINDS.items():
            if isinstance(raw.get(section), dict):
                raw[section].setdefault("kind", kind)
        for (section, name), no_effect in _REMOVED.items():
            if isinstance(raw.get(section), dict) and raw[section].get(name) is no_effect:
                del raw[section][name]
    return raw


def _read(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise SettingError(f"No settings file '{name}'. Give a TOML file, or a preset: {', '.join(presets())}")
        return {"preset": path.stem, **read_toml(path)}
    if name in presets():
        content = (resources.files("emocatcher.foundation.settings") / "presets" / f"{name}.toml").read_bytes()
        return {"preset": name, **decode_toml(content, name)}
    raise SettingError(suggest(name, presets(), "preset"))


def _replace(raw: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    keys = path.strip().split(".")
    if not equals or len(keys) != 2:
        raise SettingError(f"'{override}' is not a setting. Write section.key=value, e.g. optimiser.learning_rate=5e-4")
    section, key = keys
    sections = _sections(raw)
    if section not in sections:
        raise SettingError(suggest(section, sections, "section"))
    if key not in sections[section]:
        raise SettingError(suggest(key, sections[section], f"setting in [{section}]"))
    if not isinstance(fields := raw.setdefault(section, {}), dict):
        return  # `_convert` refuses the section
    if value.strip() == "none" and type(None) in get_args(sections[section][key]):
        fields.pop(key, None)  # TOML has no null
        return
    try:
        fields[key] = decode_toml(f"value = {value}".encode(errors="surrogateescape"), override)["value"]
    except SettingError:
        fields[key] = value.strip()  # a bare word: selection=last


def _convert(raw: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(upgrade(raw), Settings)
    except msgspec.ValidationError as error:
        problem, at, place = str(error).rstrip("`").partition(" - at `$.")
        section, _, key = place.partition(".")
        types = _sections(raw).get(section) or _types(Settings)
        if unknown := re.search(r"unknown field `(.+?)`?$", problem):
            if key in types:  # a table inside the section
                types = _types(next(one for one in get_args(types[key]) if one is not type(None)))
            raise SettingError(f"{source}: {suggest(unknown[1], types, 'setting')}") from None
        if problem.startswith("Invalid enum value"):
            one = types[key] if get_origin(types[key]) is Literal else get_args(types[key])[0]  # or may be unset
            problem += f". Allowed: {', '.join(get_args(one))}"
        value = f" = {raw[section][key]!r}" if key in types and key in raw[section] else ""
        raise SettingError(f"{source}: {problem}" + (f" - at `{place}{value}`" if at else "")) from None


def _sections(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return section → setting → type; for a section with several kinds, those of the kind in `raw`."""
    return {name: _types(_kind_of(raw.get(name), kind)) for name, kind in _types(Settings).items() if name != "preset"}


def _kind_of(section: Any, kind: Any) -> type[msgspec.Struct]:
    kinds: tuple[type[msgspec.Struct], ...] = get_args(kind) or (kind,)
    named = section.get("kind") if isinstance(section, dict) else None
    return next((one for one in kinds if one.__struct_config__.tag == named), kinds[0])


def _types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}
