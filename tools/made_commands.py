"""Describe all commands for the docs site, from the commands themselves."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import typer

from emocatcher.cli.app import SECTIONS, app


def commands() -> str:
    """All commands by section: what each does, examples, arguments and options."""
    group: Any = typer.main.get_command(app)
    lines = []
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += _command(name, group.get_command(None, name))
    return "\n".join(lines)


def _command(name: str, command: Any) -> list[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"### `{name}`", "", _plain(command.help), "", "```text", f"emocatcher {name} {usage}".rstrip(), "```", ""]
    examples = [line for line in (command.epilog or "").splitlines() if line.startswith("emocatcher ")]
    lines += ["For example:", "", "```", *examples, "```", ""] if examples else []
    described = [one for parameter in command.params for one in _parameter(parameter, context)]
    return [*lines, *described]


def _parameter(parameter: Any, context: Any) -> list[str]:
    """One argument or option as an entry of a definition list."""
    record = parameter.get_help_record(context)
    if record is None:  # hidden
        return []
    if parameter.param_type_name == "argument":
        names = parameter.make_metavar(context)
    else:
        taken = "" if parameter.is_flag else f" {parameter.make_metavar(context)}"
        names = " / ".join([", ".join(parameter.opts), *parameter.secondary_opts]) + taken
    return [f"`{names}`", f":   {_plain(record[1])}", ""]


def _plain(text: str) -> str:
    """A help text as Markdown: without the terminal's markup, and with its line breaks joined."""
    text = re.sub(r"\[/?(?:bold|dim|italic|cyan|green|red|yellow)\]", "", text)
    return re.sub(r"\s+", " ", escape(text, quote=False)).strip()
