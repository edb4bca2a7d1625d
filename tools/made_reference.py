"""Describe settings, presets, the JSON schema, errors, warnings and corpora for the docs site, from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from emocatcher.corpora import cards
from emocatcher.foundation import errors as all_errors
from emocatcher.foundation.settings import presets as preset_names
from emocatcher.recognition.json_schema import prediction_schema, prediction_schema_text

ROOT = Path(__file__).parents[1]
SETTINGS = ROOT / "src" / "emocatcher" / "foundation" / "settings"
_SECTIONS = {  # of a recipe → the structs that describe them
    "front_end": ("FrontEnd",),
    "front_end.pitch": ("Pitch",),
    "vad": ("VoiceActivity",),
    "network": ("CABGNetwork", "ResidualNetwork", "EncoderNetwork"),
    "encoder": ("Encoder",),
    "optimiser": ("Optimiser",),
    "schedule": ("PlateauSchedule", "OneCycleSchedule"),
    "training": ("Training",),
    "augmentation": ("Augmentation",),
    "degradation": ("Degradation",),
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; line breaks and bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )


def settings() -> str:
    """The keys of each section of a recipe: type, default, and the comment of its field in the source."""
    structs = {
        node.name: (node, path)
        for path in sorted(SETTINGS.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    lines = []
    for section, names in _SECTIONS.items():
        lines += [f"## `[{section}]`", ""]
        for name in names:
            node, path = structs[name]
            kind = next((ast.literal_eval(word.value) for word in node.keywords if word.arg == "tag"), None)
            about = (ast.get_docstring(node) or "").replace("\n", " ")
            lines += [f'**`kind = "{kind}"`**: {about}' if kind else about, ""]
            lines += [table(("key", "type", "default", "meaning"), described_fields(path, name)), ""]
    return "\n".join(lines)


def fields(argument: str) -> str:
    """The fields of a struct, given as its file in the package and its name: type, and the comment in the source."""
    file, name = argument.split()
    rows = [
        (f"`{field.target.id}`", f"`{ast.unparse(field.annotation)}`", comment)
        for field, comment in _annotated(ROOT / "src" / "emocatcher" / file, name)
    ]
    return table(("field", "type", "meaning"), rows)


def described_fields(path: Path, name: str) -> list[tuple[str, str, str, str]]:
    """Name, type, default and comment of each field of a struct of settings, as Markdown."""
    rows = []
    for field, comment in _annotated(path, name):
        default = "" if field.value is None else ast.unparse(field.value)
        default = {"msgspec.UNSET": "not set", "None": "none"}.get(default, f"`{default}`" if default else "required")
        rows.append((f"`{field.target.id}`", _type(field.annotation), default, comment))
    return rows


def _annotated(path: Path, name: str) -> list[tuple[Any, str]]:
    """Each annotated field of a class in a file, and the comment behind it or above it."""
    text = path.read_text(encoding="utf-8")
    node = next(one for one in ast.parse(text).body if isinstance(one, ast.ClassDef) and one.name == name)
    lines, found = text.splitlines(), []
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            comment = lines[(field.end_lineno or field.lineno) - 1].partition("  # ")[2]
            above = lines[field.lineno - 2].strip()
            if not comment and above.startswith("#"):
                comment = above.removeprefix("#").strip()
            found.append((field, escape(comment, quote=False)))
    return found


def _type(annotation: ast.expr) -> str:
    """A field's type and bounds in words."""
    text = ast.unparse(annotation).replace(" | msgspec.UnsetType", "").replace(" | None", "")
    if literal := re.fullmatch(r"Literal\[(.*)\]", text):
        return " or ".join(f"`{ast.literal_eval(word)}`" for word in literal[1].split(", "))
    bounds = {node.targets[0].id: ast.unparse(node.value) for node in _bounds()}  # type: ignore[union-attr]
    for name, meant in bounds.items():
        text = re.sub(rf"\b{name}\b", meant, text)
    return _in_words(text)


def _bounds() -> list[ast.Assign]:
    tree = ast.parse((SETTINGS / "bounds.py").read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]


def _in_words(text: str) -> str:
    """`Annotated[int, msgspec.Meta(ge=1, le=64)]` → "int, 1 to 64"."""
    several = text.startswith(("tuple[", "Annotated[tuple["))
    kind = next((word for word in ("int", "float", "bool", "str") if re.search(rf"\b{word}\b", text)), "a section")
    limits = dict(re.findall(r"\b(ge|gt|le|lt)=([\w.+-]+)", text))
    low = f"{limits['ge']}" if "ge" in limits else (f"above {limits['gt']}" if "gt" in limits else "")
    high = f"{limits['le']}" if "le" in limits else (f"below {limits['lt']}" if "lt" in limits else "")
    high = "" if "sys" in high else high
    words = f"{low} to {high}" if low and high else (f"at least {low}" if low and "above" not in low else low or high)
    return f"{'list of ' if several else ''}{kind}{f', {words}' if words else ''}"


def presets() -> str:
    """Each preset in full."""
    lines = []
    for name in preset_names():
        text = resources.files("emocatcher.foundation.settings").joinpath("presets", f"{name}.toml").read_text("utf-8")
        lines += [f"### `{name}`", "", "```toml", text.strip(), "```", ""]
    return "\n".join(lines)


def schema() -> str:
    """The fields of a prediction and of a failure as tables, and the whole JSON schema."""
    described = prediction_schema()["$defs"]
    lines = []
    for name in ("Prediction", "Failure", "Caution", "Rating"):
        lines += [f"### {name}", "", described[name]["description"], ""]
        rows = [
            (f"`{field}`", _json_type(rule), escape(rule.get("description", ""), quote=False))
            for field, rule in described[name]["properties"].items()
        ]
        lines += [table(("field", "type", "meaning"), rows), ""]
    text = "\n".join(f"    {line}" for line in ["```json", *prediction_schema_text().splitlines(), "```"])
    return "\n".join([*lines, '??? note "The whole schema"', "", text, ""])


def _json_type(rule: dict[str, Any]) -> str:
    if "$ref" in rule:
        return str(rule["$ref"]).rpartition("/")[2]
    if "anyOf" in rule:
        return " or ".join(map(_json_type, rule["anyOf"]))
    if "enum" in rule:
        return "text"
    kinds = {"object": "object", "array": "list", "string": "text", "integer": "integer"}
    return kinds.get(rule.get("type", ""), rule.get("type", "") or "any")


def errors() -> str:
    """The tree of errors, and what each means."""
    tree = re.search(r"```\n(.*?)```", all_errors.__doc__ or "", flags=re.DOTALL)
    assert tree is not None, "the module of errors has a tree in its docstring"  # noqa: S101
    classes = [
        one
        for one in vars(all_errors).values()
        if isinstance(one, type) and issubclass(one, all_errors.EmoCatcherError)
    ]
    rows = [(f"`{one.__name__}`", (one.__doc__ or "").partition("\n")[0]) for one in classes]
    return f"```text\n{tree[1]}```\n\n{table(('error', 'meaning'), rows)}\n"


def warnings() -> str:
    """The codes of warnings, in the order of the schema."""
    codes = prediction_schema()["$defs"]["Caution"]["properties"]["code"]["enum"]
    return ", ".join(f"`{code}`" for code in codes) + "."


def corpus_cards() -> str:
    """All corpora of the package as a table, and each card in full."""
    found = [card for card in map(cards.find, cards.names()) if card is not None]
    rows = [
        (
            f"[`{card.name}`](#{card.name})",
            card.language,
            card.licence,
            f"{card.speakers:,}" if card.speakers else "?",
            f"{card.clips:,}" if card.clips else "?",
            str(len(card.emotions)),
        )
        for card in found
    ]
    lines = [table(("corpus", "language", "licence", "speakers", "recordings", "emotions"), rows), ""]
    for card in found:
        size = [f"{card.hours:g} h" if card.hours else "", f"the people of `{card.same_speakers_as}`"]
        facts = {
            "Language": card.language,
            "Licence": f"{card.licence}. {card.permits}",
            "Emotions": ", ".join(card.emotions),
            "Size": ", ".join(size[: 1 + bool(card.same_speakers_as)]).strip(", "),
            "Left out": "; ".join(dict.fromkeys([*card.left_out.values(), *card.excluded.values()])),
            "Traps": " ".join(card.traps),
            "Not sure": " ".join(card.unsure),
            "Checked": "with the recordings" if card.verified else "not with the recordings: check a copy first",
            "Citation": card.citation,
        }
        lines += [f"## `{card.name}` {{ #{card.name} }}", "", f"{escape(card.title)}", ""]
        lines += [f"- **{word}:** {escape(fact, quote=False)}" for word, fact in facts.items() if fact]
        address = f"<{card.address}>" if card.address.startswith("http") else card.address
        lines += [f"- **Get it from:** {address}" if address else "", ""]
    return "\n".join(lines)


def readme(heading: str) -> str:
    """The text under a heading of the README, whose links then start at `docs/`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, found, after = text.partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"README.md has no heading '{heading}'")
    part = after.partition("\n## ")[0].strip()
    return re.sub(r"\]\((?![a-z]+:|#)", "](../", part)
