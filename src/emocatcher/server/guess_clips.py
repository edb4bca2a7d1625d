"""Offer clips with known emotions for guessing, under ids that do not reveal the emotion."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import NamedTuple

from emocatcher.corpora import ravdess
from emocatcher.foundation.errors import CorpusError
from emocatcher.server.problems import ProblemError


class Clip(NamedTuple):
    """A clip to guess."""

    id: str  # reveals nothing, and changes each time the server starts
    path: Path
    emotion: str


class Listening:
    """The clips of a folder.

    Args:
        folder: a folder with recordings named like RAVDESS's, in any sub-folders; other files are ignored.

    Raises:
        CorpusError: if it contains no such recording.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise CorpusError(f"{folder} is not a folder. Give a folder with recordings named like RAVDESS's")
        secret = secrets.token_bytes(16)
        self._clips: dict[str, Clip] = {}
        for path in ravdess.find_recordings(folder):
            if ravdess.is_clip_id(path.stem):
                number = hmac.digest(secret, str(path).encode(errors="surrogateescape"), "sha256").hex()[:16]
                self._clips[number] = Clip(number, path, ravdess.parse(path).emotion)
        if not self._clips:
            raise CorpusError(
                f"{folder} contains no clip to guess. Give a folder with recordings named like RAVDESS's, such as "
                "03-01-05-02-01-02-16.wav"
            )

    @property
    def clips(self) -> list[Clip]:
        """All clips, in the order of their ids."""
        return [self._clips[number] for number in sorted(self._clips)]

    def find(self, number: str) -> Clip:
        """Return the clip with this id.

        Raises:
            ProblemError: 404.
        """
        if number not in self._clips:
            detail = f"There is no clip '{number[:40]}'. GET /v1/listen/clips lists them"
            raise ProblemError(404, detail, "NotFound")
        return self._clips[number]
