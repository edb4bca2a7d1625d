"""Describe the HTTP API for the docs site, from the server's OpenAPI document."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from emocatcher.server import app
from emocatcher.server.service import Options, Service
from emocatcher.server.temporary_folder import TemporaryFolder
from made_reference import ROOT, described_fields, table

_LIMITS = ROOT / "src" / "emocatcher" / "server" / "limits.py"


def document() -> dict[str, Any]:
    """The OpenAPI document of a server; none is started."""
    return app.create(Service(Options(), TemporaryFolder())).openapi()


def routes() -> str:
    """Each route: its parameters, bodies and answers."""
    api = document()
    lines = []
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            lines += _operation(path, method, operation)
    return "\n".join(lines)


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"## `{method.upper()} {path}`", "", escape(operation.get("description", ""), quote=False), ""]
    if parameters := operation.get("parameters"):
        rows = [_parameter(one) for one in parameters]
        lines += [table(("parameter", "where", "default", "meaning"), rows), ""]
    if body := operation.get("requestBody"):
        kinds = [f"`{kind}`" for kind in body.get("content", {})]
        lines += [f"Body: {' or '.join(kinds)}.", ""]
    answers = [
        (f"`{status}`", escape(answer["description"], quote=False)) for status, answer in operation["responses"].items()
    ]
    lines += [table(("status", "answer"), answers), ""]
    for answer in operation["responses"].values():
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            text = json.dumps(example, indent=1, ensure_ascii=False).splitlines()
            lines += ['??? example "An answer"', "", "    ```json", *(f"    {line}" for line in text), "    ```", ""]
    return lines


def _parameter(parameter: dict[str, Any]) -> tuple[str, str, str, str]:
    default = parameter.get("schema", {}).get("default")
    meaning = escape(parameter.get("description", ""), quote=False)
    return f"`{parameter['name']}`", parameter["in"], "" if default in (None, "") else f"`{default}`", meaning


def limits() -> str:
    """The server's limits and their defaults."""
    rows = [(name, default, meaning) for name, _, default, meaning in described_fields(_LIMITS, "Limits")]
    return table(("limit", "default", "meaning"), rows)
