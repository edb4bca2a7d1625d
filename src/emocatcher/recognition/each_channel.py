"""Recognise each channel of a recording on its own, as of a call with a person in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from emocatcher import audio
from emocatcher.audio.sources import held, path_of
from emocatcher.foundation.errors import one_line

Found = TypeVar("Found", bound=msgspec.Struct)  # with the field `path`


def recognise(one: Callable[[audio.Source, int], Found], source: audio.Source) -> tuple[Found, ...]:
    """Call a function for each channel of a recording: one after another, so that no channel needs more memory.

    Args:
        one: recognises a recording's channel, which is counted from 1.
        source: the recording; a pipe or a URI is read once.

    Raises:
        AudioError: if it cannot be used.
    """
    with held(source, often=True) as again:
        found = tuple(one(again, channel) for channel in range(1, audio.count_channels(again) + 1))
    if again is source:
        return found
    return tuple(msgspec.structs.replace(each, path=one_line(path_of(source))) for each in found)
