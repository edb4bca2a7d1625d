"""The list of commands. A command imports only its own module; the overview skips Typer's slow imports (Rich)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# Each command is a module in this folder with `EXAMPLES` and a function of the same name.
SECTIONS = {
    "Recognise": ("predict", "timeline", "embed", "settle", "adapt", "listen", "serve", "info", "export"),
    "Training recordings": ("label", "corpora", "fetch", "check"),
    "Train and test": (
        "demo",
        "audit",
        "train",
        "sweep",
        "evaluate",
        "stress",
        "report",
        "compare",
        "matrix",
        "finalise",
        "convert",
        "push",
    ),
}
NAMES = tuple(name for names in SECTIONS.values() for name in names)
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class _Commands(Mapping[str, Any]):
    """Map names to commands. Builds each on lookup: building all takes longer than most commands run."""

    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        single = typer.Typer(
            add_completion=False, context_settings=_CONTEXT, pretty_exceptions_enable=False, rich_markup_mode="rich"
        )
        # Blank lines keep each example on its own line.
        epilog = "\n\n".join(("For example:", *_module(name).EXAMPLES))
        single.command(name, epilog=epilog)(_function(name))
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


class _Overview(TyperGroup):
    """The root command. Plain click formatting, because Typer would import all of Rich to draw frames."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return all names without importing their modules."""
        return list(NAMES)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Print each command with the first line of its docstring."""
        width = max(map(len, NAMES))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(typer.style(f"{name:<{width}}", bold=True), _summary(name)) for name in names])


app = typer.Typer(
    name="emocatcher",
    cls=_Overview,
    help="Speech emotion recognition: the emotion in a recording, its probability, and where the model attended.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_CONTEXT,
)


def _version(wanted: bool) -> None:
    if wanted:
        from emocatcher import __version__

        typer.echo(f"emocatcher {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _module(name: str) -> Any:
    return import_module(f"emocatcher.cli.{name}")


def _function(name: str) -> Callable[..., None]:
    function: Callable[..., None] = getattr(_module(name), name)
    return function


def _summary(name: str) -> str:
    return (_function(name).__doc__ or "").partition("\n")[0]
