"""Guess first: clips whose emotion is known, under names that do not tell it."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import NamedTuple

from emocatcher.corpora import ravdess
from emocatcher.foundation.errors import CorpusError
from emocatcher.server.problems import ProblemError


class Clip(NamedTuple):
    """A clip to guess at."""

    id: str  # means nothing, and another thing each time the server starts
    path: Path
    emotion: str


class Listening:
    """The clips of a folder.

    Args:
        folder: holds recordings named as RAVDESS names them, in whatever sub-folders; others are left out.

    Raises:
        CorpusError: if there is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise CorpusError(f"{folder} is no folder. Give a folder with recordings that have RAVDESS's names")
        secret = secrets.token_bytes(16)
        self._clips: dict[str, Clip] = {}
        for path in ravdess.find_recordings(folder):
            if ravdess.is_clip_id(path.stem):
                number = hmac.digest(secret, str(path).encode(errors="surrogateescape"), "sha256").hex()[:16]
                self._clips[number] = Clip(number, path, ravdess.parse(path).emotion)
        if not self._clips:
            raise CorpusError(
                f"{folder} holds no clip to guess at. Give a folder with recordings that RAVDESS's names say all of, "
                "such as 03-01-05-02-01-02-16.wav"
            )

    @property
    def clips(self) -> list[Clip]:
        """All of them, in the order of their meaningless names."""
        return [self._clips[number] for number in sorted(self._clips)]

    def find(self, number: str) -> Clip:
        """The clip of this id.

        Raises:
            ProblemError: 404.
        """
        if number not in self._clips:
            detail = f"There is no clip '{number[:40]}'. GET /v1/listen/clips lists them"
            raise ProblemError(404, detail, "NotFound")
        return self._clips[number]
