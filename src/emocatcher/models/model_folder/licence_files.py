"""Write the files that a published model needs beside its card: the licence of its weights, and whose work is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emocatcher.foundation.errors import one_line
from emocatcher.models.model_folder import card_metadata

if TYPE_CHECKING:
    from emocatcher.models.model_folder import ModelConfig

NOTICE = "NOTICE"
_MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def files(config: ModelConfig) -> dict[str, str]:
    """Return the name and the text of each file."""
    return {card_metadata.LICENCE_FILE: _licence(config), NOTICE: _notice(config)}


def _licence(config: ModelConfig) -> str:
    stated = "\n".join(f"- {one_line(part)}" for part in config.training.licence.split("; "))
    permits = [f"- {card.title}: {card.permits}" for card in card_metadata.corpora(config.training) if card]
    what = "\n\nWhat these licences permit, in short, without legal advice:\n\n" + "\n".join(permits) if permits else ""
    return (
        f"# Licence of {one_line(config.name)}\n\nThe weights were trained on recordings, and are under the licence of "
        f"those recordings:\n\n{stated}{what}\n\n{NOTICE} names whose work is in them.\n"
    )


def _notice(config: ModelConfig) -> str:
    found = [f"{one_line(config.name)}\nTrained with emocatcher {one_line(config.version)}.\n"]
    cards = card_metadata.corpora(config.training)
    known = filter(None, cards)
    found += [f"{one.title}\n  {one.citation}\n  {one.address}\n  Licence: {one.licence}\n" for one in known]
    if None in cards:
        licence = one_line(config.training.licence)
        found.append(f"Recordings: {one_line(config.training.corpus)}\n  Licence: {licence}\n")
    if encoder := config.settings.encoder:
        layers = f"Encoder: the first {encoder.n_layers} layers of {one_line(encoder.source)}"
        found.append(
            f"{layers}, unchanged.\n  Copyright (c) 2022 OpenAI\n"
            "  Radford et al. (2022), Robust Speech Recognition via Large-Scale Weak Supervision.\n"
            f"  MIT licence:\n\n{_MIT}"
            if encoder.source.startswith("openai/whisper-")
            else f"{layers}, under its own licence.\n"
        )
    return "\n".join(found)
