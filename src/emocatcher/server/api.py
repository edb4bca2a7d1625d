"""The HTTP routes: thin doors to the processes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket
from pydantic import BaseModel, ConfigDict

from emocatcher.foundation.errors import suggest
from emocatcher.recognition.prediction import Failure
from emocatcher.server import openapi, security, tasks
from emocatcher.server.problems import ProblemError
from emocatcher.server.service import Service
from emocatcher.server.uploads import Upload
from emocatcher.server.worker_process import RefusedError

if TYPE_CHECKING:
    from emocatcher.server.guess_clips import Clip

_JSON = "application/json"
Probability = Annotated[float | None, Query(ge=0, le=1, description=openapi.ABSTAIN)]
Seconds = Annotated[float, Query(gt=0, le=600, allow_inf_nan=False)]
Name = Annotated[str, Query(max_length=1024, description=openapi.NAME)]


def refuse_unknown(request: Request) -> None:
    """Refuse a query that says what the route does not know: a misspelt threshold would pass for the default.

    Raises:
        ProblemError: 422.
    """
    route = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise ProblemError(422, suggest(name[:40], known, "parameter"), "SettingError")


_STRICT = [Depends(refuse_unknown)]


class Guess(BaseModel):
    """What a listener heard."""

    model_config = ConfigDict(extra="forbid")
    emotion: str


def add(app: FastAPI, service: Service) -> None:
    """Add the routes under `/v1`, which `security.Guard` stands before."""
    _add_recognition(app, service)
    _add_model(app, service)
    _add_listening(app, service)
    _add_stream(app, service)


def _add_recognition(app: FastAPI, service: Service) -> None:
    pool, limits = service.pool, service.limits

    @app.post("/v1/predict", dependencies=_STRICT, **openapi.PREDICT)
    async def predict(request: Request, abstain_below: Probability = None, name: Name = "") -> Response:  # noqa: ARG001
        """Recognise one or many recordings, each taken as one utterance."""
        pool.check_room()
        async with service.spool.receive(request) as uploads:
            asked = [tasks.Predict(str(one.path), one.name, abstain_below) for one in uploads.recordings]
            if not uploads.several:
                return Response(await _one(service, pool.ask(asked[0], limits.predict_s)), media_type=_JSON)
            answers = await pool.ask_all(asked, limits.predict_s)
        service.count([answer.error if isinstance(answer, RefusedError) else "ok" for answer in answers])
        lines = map(_line, uploads.recordings, answers)
        return Response(b"[" + b",".join(lines) + b"]", media_type=_JSON)

    @app.post("/v1/timeline", dependencies=_STRICT, **openapi.TIMELINE)
    async def timeline(
        request: Request,
        window_s: Seconds = 3.0,
        hop_s: Seconds = 0.5,
        abstain_below: Probability = None,
        name: Name = "",  # noqa: ARG001
    ) -> Response:
        """Recognise a recording of any length window by window."""
        pool.check_room()
        async with service.spool.receive(request) as uploads:
            if uploads.several:
                detail = "A timeline is of one recording. Send each in a request of its own"
                raise ProblemError(422, detail, "SettingError")
            (one,) = uploads.recordings
            task = tasks.MakeTimeline(str(one.path), one.name, window_s, hop_s, abstain_below)
            answer = await _one(service, pool.ask(task, limits.timeline_s, slow=True))
        return Response(answer, media_type=_JSON)


def _add_stream(app: FastAPI, service: Service) -> None:
    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        headers = socket.headers
        if not security.may_connect(headers.get("origin"), headers.get("host"), service.origins):
            await socket.close()  # before it is accepted: 403
            return
        await socket.accept()
        await service.streams.serve(socket, service.tokens.accepts, service.labels, service.metrics.windows.inc)


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model", **openapi.MODEL)
    async def model() -> Response:
        """What the model is: labels, data, scores, card."""
        return Response(msgspec.json.encode(await service.describe()), media_type=_JSON)

    @app.get("/v1/model/waveform.onnx", **openapi.WAVEFORM)
    async def waveform() -> Response:
        """The model as one ONNX graph: waveform in, probabilities, attention and voiced span out."""
        await service.describe()
        if (graph := await service.graph()) is None:
            detail = "This server cannot write the graph: it was installed without the extra 'export'"
            raise ProblemError(404, detail, "MissingExtraError")
        return Response(graph, media_type="application/octet-stream")


def _add_listening(app: FastAPI, service: Service) -> None:
    pool, limits = service.pool, service.limits
    durations: dict[str, float | None] = {}

    def find(number: str) -> Clip:
        if service.listening is None:
            detail = "There are no clips to guess at: the server was started without --listen-corpus"
            raise ProblemError(404, detail, "NotFound")
        return service.listening.find(number)

    @app.get("/v1/listen/clips", **openapi.CLIPS)
    async def clips() -> Response:
        """The clips to guess at, in an order without meaning."""
        if service.listening is None:
            find("")
            raise AssertionError
        there = service.listening.clips
        if not durations:
            task = tasks.MeasureClips(tuple(str(clip.path) for clip in there))
            measured = msgspec.json.decode(await pool.ask(task, limits.timeline_s, slow=True))
            durations.update(zip((clip.id for clip in there), measured, strict=True))
        usable = [{"id": clip.id, "duration_s": durations[clip.id]} for clip in there if durations[clip.id] is not None]
        answer = {"clips": usable, "labels": await service.labels()}
        return Response(msgspec.json.encode(answer), media_type=_JSON)

    @app.get("/v1/listen/clips/{number}/audio", **openapi.CLIP_AUDIO)
    async def clip_audio(number: str) -> Response:
        """A clip's sound."""
        task = tasks.ReadClip(str(find(number).path))
        return Response(await pool.ask(task, limits.predict_s), media_type="audio/wav")

    @app.post("/v1/listen/clips/{number}/guess", **openapi.GUESS)
    async def guess(number: str, guess: Guess) -> Response:
        """Say what one heard; the answer is what was acted, and what the model heard."""
        clip, labels = find(number), await service.labels()
        if guess.emotion not in labels:
            detail = f"'{guess.emotion[:40]}' is no emotion of this model. Allowed: {', '.join(labels)}"
            raise ProblemError(422, detail, "SettingError")
        heard = await pool.ask(tasks.Predict(str(clip.path), clip.path.name), limits.predict_s)
        answer = {"emotion": clip.emotion, "prediction": msgspec.Raw(heard)}
        return Response(msgspec.json.encode(answer), media_type=_JSON)


async def _one(service: Service, answer: Awaitable[bytes]) -> bytes:
    try:
        payload = await answer
    except RefusedError as error:
        service.count([error.error])
        raise
    service.count(["ok"])
    return payload


def _line(upload: Upload, answer: bytes | RefusedError) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return msgspec.json.encode(Failure(path=upload.name, error=answer.error, message=answer.detail))
