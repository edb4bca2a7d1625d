"""The parts of the docs site that are made from the program: each name of a marker, and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable

import made_commands
import made_http
import made_reference
import made_results
import walk_drawing

PARTS: dict[str, Callable[..., str]] = {
    "changes-by-protocol": made_results.by_protocol,
    "commands": made_commands.commands,
    "corpus-cards": made_reference.corpus_cards,
    "errors": made_reference.errors,
    "fields": made_reference.fields,
    "http": made_http.routes,
    "limits": made_http.limits,
    "presets": made_reference.presets,
    "readme": made_reference.readme,
    "runs": made_results.runs,
    "schema": made_reference.schema,
    "settings": made_reference.settings,
    "speaker-groups": made_results.speaker_groups,
    "table-rows": made_results.rows,
    "walk": walk_drawing.drawing,
    "warnings": made_reference.warnings,
}
