"""Write the map of the source into CONTRIBUTING.md, from the first line of every module: `make map`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "emocatcher"
START, END = "<!-- map: written by `make map` -->\n", "<!-- end of the map -->\n"


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def map_of(folder: Path = SOURCE, depth: int = 0) -> list[str]:
    """One Markdown list item per module and package, packages first described by their `__init__`."""
    lines = []
    modules = [path for path in folder.glob("*.py") if path.stem not in {"__init__", "__main__"}]
    packages = [path for path in folder.iterdir() if (path / "__init__.py").is_file()]
    for path in sorted([*modules, *packages], key=lambda path: (path in packages, path.name)):
        name = f"{path.name}/" if path in packages else path.name
        described = path / "__init__.py" if path in packages else path
        lines.append(f"{'  ' * depth}- `{name}`: {first_line(described)}")
        if path in packages:
            lines += map_of(path, depth + 1)
    return lines


def with_map(text: str) -> str:
    """CONTRIBUTING's text with the map renewed.

    Raises:
        ValueError: if a marker is missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"CONTRIBUTING.md needs the lines {START!r} and {END!r}")
    return f"{before}{start}\n" + "\n".join(map_of()) + f"\n\n{end}{after}"


if __name__ == "__main__":
    path = ROOT / "CONTRIBUTING.md"
    path.write_text(with_map(path.read_text(encoding="utf-8")), encoding="utf-8")
