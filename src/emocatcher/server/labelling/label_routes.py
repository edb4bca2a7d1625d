"""The routes of the labelling page: which clips there are, their sound, the listener's labels, the model's guesses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import fastapi
import msgspec
from fastapi import FastAPI, Request, Response

from emocatcher.foundation.errors import OutputError, SettingError
from emocatcher.server import tasks
from emocatcher.server.labelling.label_session import LabelSession
from emocatcher.server.problems import ProblemError
from emocatcher.server.service import Service
from emocatcher.server.worker_process import RefusedError

PAGE = Path(__file__).parent / "page"
_JSON = "application/json"
_DECISION_BYTES = 1 << 14
_MOST_NOTE = 2000  # characters
Number = Annotated[int, fastapi.Path(ge=1, description="A clip's number, from 1, in the order of asking.")]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What a listener decided on a clip."""

    label: str | None  # None: it is skipped
    note: str = ""


class _Guess(msgspec.Struct):
    """What is used of a prediction."""

    emotion: str | None = None
    probability: float | None = None


def add(app: FastAPI, service: Service, session: LabelSession) -> None:
    """Add the routes under `/v1/label`, which `security.Guard` protects.

    They change something only by PUT and DELETE, which a page of another site cannot send without CORS.
    """
    guesses = _Guesses(service, session)
    unplayable: dict[int, str] = {}

    def find(number: int) -> int:
        if number > len(session.clips):
            raise ProblemError(404, f"There is no clip {number}. The last one is {len(session.clips)}", "NotFound")
        return number - 1

    @app.get("/v1/label", tags=["Label"])
    async def describe() -> Response:
        """Return the labels, and what has been decided on each clip."""
        return _answer(session.describe())

    @app.get("/v1/label/agreement", tags=["Label"])
    async def agreement() -> Response:
        """Compare the labels with the model's guesses."""
        return _answer(session.compare())

    @app.get("/v1/label/clips/{number}/audio", tags=["Label"])
    async def sound(number: Number) -> Response:
        """Return a clip as a WAV file, whatever its format is."""
        i = find(number)
        task = tasks.ReadClip(str(session.clips[i].path), service.limits.utterance_s, session.channels)
        try:
            content = await service.pool.submit(task, service.limits.predict_s)
        except RefusedError as refused:
            unplayable[i] = refused.detail
            raise
        unplayable.pop(i, None)
        guesses.prepare(i)
        return Response(content, media_type="audio/wav", headers={"Cache-Control": "no-store"})

    @app.put("/v1/label/clips/{number}", tags=["Label"])
    async def decide(number: Number, request: Request) -> Response:
        """Write a label, or that the clip is skipped; the file is on disk before the answer is sent."""
        i, decision = find(number), await _read(service, request, session)
        # One line, so that each row of the table is one.
        note = " ".join("".join(one if one.isprintable() else " " for one in decision.note).split())
        if decision.label is None and not note and i in unplayable:
            note = f"Not played: {unplayable[i]}"
        with _as_problem():
            session.decide(i, decision.label, note)
            guess = guesses.after_label(i) if decision.label is not None else None
        return _answer(session.describe_clip(i) | {"guess": guess})

    @app.delete("/v1/label/clips/{number}", tags=["Label"])
    async def undo(number: Number) -> Response:
        """Take a label back, or a skip."""
        i = find(number)
        with _as_problem():
            session.undo(i)
        return _answer(session.describe_clip(i))

    @app.get("/v1/label/clips/{number}/guess", tags=["Label"])
    async def guess(number: Number) -> Response:
        """Return the model's guess for a clip that has a label."""
        i = find(number)
        if not session.model_labels:
            raise ProblemError(404, "This server makes no guesses. Start it without --no-guess", "NotFound")
        return _answer(await guesses.wait(i))


class _Guesses:
    """The model's guesses, made while the listener listens, and sent after the label."""

    def __init__(self, service: Service, session: LabelSession) -> None:
        self._service, self._session = service, session
        self._made: dict[int, asyncio.Future[bytes]] = {}
        known = set(session.labels) <= set(session.model_labels)
        self._adjustment = tasks.Adjustment(emotions=session.labels if known and len(session.labels) > 1 else None)

    def prepare(self, i: int) -> None:
        """Queue the recognition of a clip."""
        if i in self._made or not self._session.model_labels:
            return
        path = self._session.clips[i].path
        task = tasks.Predict(str(path), path.name, adjustment=self._adjustment, channels=self._session.channels)
        with contextlib.suppress(RefusedError):  # the queue is full: it is tried again after the label
            self._made[i] = self._service.pool.submit(task, self._service.limits.predict_s)
            self._made[i].add_done_callback(lambda made: self._write(i) if _is_made(made) else None)

    def after_label(self, i: int) -> dict[str, Any] | None:
        """Return the guess if it is made, and write it; it is written later otherwise."""
        self.prepare(i)
        made = self._made.get(i)
        return self._reveal(i) if made is not None and _is_made(made) else None

    async def wait(self, i: int) -> dict[str, Any]:
        """Wait for the guess, write it, and return it.

        Raises:
            RefusedError: if the recording cannot be recognised.
        """
        self.prepare(i)
        if i in self._made:
            await asyncio.wait([self._made[i]])
        if not self._session.has_label(i):  # not before, because it may be taken back in the meantime
            raise ProblemError(409, "The guess is shown after the clip has a label", "TooEarly")
        return self._reveal(i)

    def _reveal(self, i: int) -> dict[str, Any]:
        if i not in self._made:
            raise ProblemError(429, "The queue is full. Try again in 1 s", "Busy", {"Retry-After": "1"})
        found = self._write(i)
        self._session.note_shown(i)
        return {"emotion": found.emotion, "probability": found.probability}

    def _write(self, i: int) -> _Guess:
        found = msgspec.json.decode(self._made[i].result(), type=_Guess)
        # Only a label is worth an error: the next one that cannot be written gets it.
        with contextlib.suppress(OutputError):
            self._session.add_guess(i, found.emotion, found.probability)
        return found


def _is_made(prediction: asyncio.Future[bytes]) -> bool:
    return prediction.done() and not prediction.cancelled() and prediction.exception() is None


async def _read(service: Service, request: Request, session: LabelSession) -> Decision:
    try:
        decision = msgspec.json.decode(await service.spool.read(request, _DECISION_BYTES), type=Decision)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f'The label is not valid: {error}. Send {{"label": …}} with one of the labels, or null to skip'
        raise ProblemError(422, detail, "SettingError") from None
    if decision.label is not None and decision.label not in session.labels:
        detail = f"'{decision.label[:40]}' is not a label. Allowed: {', '.join(session.labels)}"
        raise ProblemError(422, detail, "SettingError")
    if len(decision.note) > _MOST_NOTE:
        raise ProblemError(422, f"The note has more than {_MOST_NOTE} characters. Shorten it", "SettingError")
    return decision


@contextlib.contextmanager
def _as_problem() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise ProblemError(507, str(error), "OutputError") from error
    except SettingError as error:
        raise ProblemError(409, str(error), "SettingError") from error


def _answer(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type=_JSON, headers={"Cache-Control": "no-store"})
