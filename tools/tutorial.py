"""Run a tutorial's blocks in their order, and put what they print into its page.

    python tools/tutorial.py docs/interview.md [FOLDER]

The page's block `text` behind a command has the command's output, which replaces it; of a block with a line "…", as
many lines before and behind it. Pictures that the commands wrote are copied. Of an HTML page with the name of a picture
its start is pictured, or of `NAME--ID.png` the section with that heading. RAVDESS is not downloaded, but taken from
`$EMOCATCHER_CORPORA/ravdess`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]]*\]\((images/tutorials/([\w.-]+))\)")
_PROGRESS = re.compile(r"^\w+: \d+/\d+ .*\n", flags=re.MULTILINE)
_CUT = "…\n"
_PICTURE_WIDTH = 760
_N_COLOURS = 64


class Ran(NamedTuple):
    """A block that was run, and all that it printed."""

    language: str
    text: str
    said: str
    shown: re.Match[str] | None  # the block `text` behind it


def run(text: str, folder: Path, ravdess: Path, more_words: Mapping[str, Sequence[str]] | None = None) -> Iterator[Ran]:
    """Run the blocks of a page in a folder, one after another.

    Python shares its names from block to block, a block of TOML is written to the file that its first line names, and
    what `export` sets holds for the commands behind it.

    Args:
        text: of the page.
        folder: where the commands are run.
        ravdess: the corpus to use where the page downloads RAVDESS.
        more_words: further words for some commands, such as {"train": ["--epochs", "1"]}.

    Raises:
        RuntimeError: if a command fails.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    variables = {**os.environ, "COLUMNS": "88"}
    found = list(_FENCED.finditer(text))
    for block, following in zip(found, [*found[1:], None], strict=True):
        language, body = block.groups()
        if language == "python":
            with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(body, "tutorial", "exec"), names)  # noqa: S102 (this repository's own pages)
            said = printed.getvalue()
        elif language == "toml" and body.startswith("# "):
            (folder / body.partition("\n")[0].removeprefix("# ")).write_text(body, encoding="utf-8")
            said = ""
        elif not language:
            said = "".join(_command(words, folder, ravdess, variables, more_words or {}) for words in commands(body))
        else:
            continue
        yield Ran(language, body, said, following if following and following[1] == "text" else None)


def commands(body: str) -> list[list[str]]:
    """The words of each command of a block; a line that ends with a backslash goes on in the next."""
    lines = body.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def _command(
    words: list[str], folder: Path, ravdess: Path, variables: dict[str, str], more_words: Mapping[str, Sequence[str]]
) -> str:
    if words[0] == "pip":
        return ""
    if words[0] == "export":
        variables.update([words[1].split("=", 1)])
        return ""
    if words[0] != "emocatcher":
        raise RuntimeError(f"not a command of this project: {words}")
    if words[1] == "fetch":
        target = folder / words[words.index("--to") + 1]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ravdess, target_is_directory=True)
        return ""
    done = subprocess.run(
        [sys.executable, "-m", *words, *more_words.get(words[1], ())],
        cwd=folder, capture_output=True, text=True, check=False, env=variables,
    )  # fmt: skip
    if done.returncode != 0 and not (words[1] == "audit" and done.returncode == 1):  # 1: it found a leak
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout + _PROGRESS.sub("", done.stderr)


def renew(page: Path, folder: Path, ravdess: Path) -> None:
    """Run a page, and put its outputs and pictures where they are shown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = page.read_text(encoding="utf-8")
    pieces, done = [], 0
    for ran in run(text, folder, ravdess):
        print(ran.text, ran.said, sep="\n", flush=True)
        if ran.shown is not None:
            pieces += [text[done : ran.shown.start(2)], _cut(ran.said, ran.shown[2])]
            done = ran.shown.end(2)
    page.write_text("".join([*pieces, text[done:]]), encoding="utf-8")
    for place, name in _PICTURE.findall(text):
        target = page.parent / place
        target.parent.mkdir(parents=True, exist_ok=True)
        made = next(folder.rglob(name), None)
        if made is not None and made.suffix == ".png":
            _fewer_colours(made, target)
        elif made is not None:
            shutil.copy(made, target)
        else:
            html, _, section = target.stem.partition("--")
            _picture(next(folder.rglob(f"{html}.html")), section, target)


def _cut(said: str, shown: str) -> str:
    """What a page shows of an output: as many lines before and behind "…" as it showed before."""
    lines = [line.rstrip() + "\n" for line in said.splitlines()]
    while lines and not lines[0].strip():
        del lines[0]
    if _CUT not in (shown_lines := shown.splitlines(keepends=True)):
        return "".join(lines)
    n_first = shown_lines.index(_CUT)
    n_last = len(shown_lines) - n_first - 1
    return "".join([*lines[:n_first], _CUT, *(lines[-n_last:] if n_last else [])])


def _fewer_colours(png: Path, target: Path) -> None:
    """Copy a figure with a palette, in a third of the bytes."""
    from PIL import Image

    with Image.open(png) as image:
        image.convert("RGB").quantize(_N_COLOURS).save(target, optimize=True)


def _picture(html: Path, section: str, target: Path) -> None:
    """Write a picture of a page, or of one of its sections."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _PICTURE_WIDTH, "height": 900})
        page.goto(html.absolute().as_uri())
        if section:
            page.locator(f"section[aria-labelledby='{section}']").screenshot(path=target)
        else:
            page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    renew(Path(sys.argv[1]), place, Path(os.environ["EMOCATCHER_CORPORA"], "ravdess").absolute())
