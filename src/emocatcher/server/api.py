"""Define the HTTP routes, which pass their requests to the worker processes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Depends, FastAPI, Path, Query, Request, Response, WebSocket

from emocatcher.foundation.errors import SettingError, suggest
from emocatcher.recognition.prediction import Failure
from emocatcher.server import openapi, security, tasks
from emocatcher.server.problems import ProblemError
from emocatcher.server.service import Service
from emocatcher.server.shares import client_of
from emocatcher.server.uploads import Upload
from emocatcher.server.worker_process import RefusedError

if TYPE_CHECKING:
    from emocatcher.server.guess_clips import Clip

_JSON = "application/json"
_GUESS_BYTES = 4096
_PROFILE_BYTES = 1 << 16
_MOST_NAMED, _LONGEST_NAME, _LONGEST_REASON = 5, 60, 200  # recordings, characters, characters
Probability = Annotated[float | None, Query(ge=0, le=1, description=openapi.ABSTAIN)]
Seconds = Annotated[float, Query(gt=0, le=600, allow_inf_nan=False)]
Name = Annotated[str, Query(max_length=1024, description=openapi.NAME)]
Settled = Annotated[str | None, Query(max_length=64, description=openapi.SETTLED)]
Emotions = Annotated[str | None, Query(max_length=1024, description=openapi.EMOTIONS)]
Profile = Annotated[str, Path(max_length=64, description=openapi.PROFILE)]


def refuse_unknown(request: Request) -> None:
    """Refuse unknown query parameters; otherwise a misspelt threshold would silently keep its default.

    Raises:
        ProblemError: 422.
    """
    route = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise ProblemError(422, suggest(name[:40], known, "parameter"), "SettingError")


_STRICT = [Depends(refuse_unknown)]


class Guess(msgspec.Struct, forbid_unknown_fields=True):
    """The emotion that a listener chose."""

    emotion: str


def add(app: FastAPI, service: Service) -> None:
    """Add the routes under `/v1`, which `security.Guard` protects."""
    _add_recognition(app, service)
    _add_settling(app, service)
    _add_model(app, service)
    _add_listening(app, service)
    _add_stream(app, service)


def _add_recognition(app: FastAPI, service: Service) -> None:
    pool, limits = service.pool, service.limits

    @app.post("/v1/predict", dependencies=_STRICT, **openapi.PREDICT)
    async def predict(
        request: Request,
        abstain_below: Probability = None,
        name: Name = "",  # noqa: ARG001
        settled: Settled = None,
        emotions: Emotions = None,
    ) -> Response:
        """Recognise one or many recordings, each taken as one utterance."""
        pool.check_room()
        adjustment = service.profiles.adjust(settled, _split(emotions))
        async with service.spool.receive(request) as uploads:
            requested = [
                tasks.Predict(str(one.path), one.name, abstain_below, adjustment) for one in uploads.recordings
            ]
            if not uploads.several:
                answer = await _counted(service, pool.submit(requested[0], limits.predict_s))
                return Response(answer, media_type=_JSON)
            answers = await pool.submit_all(requested, limits.predict_s)
        service.count([answer.error if isinstance(answer, RefusedError) else "ok" for answer in answers])
        for one in answers:
            if isinstance(one, RefusedError) and one.error == SettingError.__name__:
                raise one  # of the request, such as an unknown emotion, and so of each recording
        items = map(_encode, uploads.recordings, answers)
        return Response(b"[" + b",".join(items) + b"]", media_type=_JSON)

    @app.post("/v1/timeline", dependencies=_STRICT, **openapi.TIMELINE)
    async def timeline(
        request: Request,
        window_s: Seconds = 3.0,
        hop_s: Seconds = 0.5,
        abstain_below: Probability = None,
        name: Name = "",  # noqa: ARG001
        settled: Settled = None,
        emotions: Emotions = None,
    ) -> Response:
        """Recognise a recording of any length window by window."""
        pool.check_room()
        adjustment = service.profiles.adjust(settled, _split(emotions))
        async with service.spool.receive(request) as uploads:
            if uploads.several:
                detail = "A timeline takes one recording. Send each recording in a separate request"
                raise ProblemError(422, detail, "SettingError")
            (one,) = uploads.recordings
            task = tasks.MakeTimeline(str(one.path), one.name, window_s, hop_s, abstain_below, adjustment)
            answer = await _counted(service, pool.submit(task, limits.timeline_s, slow=True))
        return Response(answer, media_type=_JSON)


def _add_settling(app: FastAPI, service: Service) -> None:
    pool, limits, profiles = service.pool, service.limits, service.profiles

    def answer(request: Request, profile: bytes, failures: list[Failure]) -> Response:
        body = {
            "settled": profiles.add(client_of(request.scope), profile),
            "expires_s": limits.profile_s,
            "failures": failures,
            "profile": msgspec.Raw(profile),
        }
        return Response(msgspec.json.encode(body), media_type=_JSON)

    @app.post("/v1/settle", dependencies=_STRICT, **openapi.SETTLE)
    async def settle(request: Request) -> Response:
        """Settle on recordings of one room, microphone, language or voice, without labels.

        The answer names a profile for the parameter `settled` of the other routes. The recordings are deleted.
        """
        pool.check_room()
        async with service.spool.receive(request) as uploads:
            requested = [tasks.Predict(str(one.path), one.name) for one in uploads.recordings]
            answers = await pool.submit_all(requested, limits.predict_s)
        service.count([one.error if isinstance(one, RefusedError) else "ok" for one in answers])
        failures = [
            _failure(upload, one)
            for upload, one in zip(uploads.recordings, answers, strict=True)
            if isinstance(one, RefusedError)
        ]
        predictions = [one for one in answers if isinstance(one, bytes)]
        try:
            profile = await pool.submit(tasks.Settle(predictions), limits.predict_s)
        except RefusedError as refused:
            raise RefusedError(refused.error, refused.detail + _not_used(failures)) from refused
        return answer(request, profile, failures)

    @app.post("/v1/settle/profile", dependencies=_STRICT, **openapi.PROFILES)
    async def use_profile(request: Request) -> Response:
        """Use a profile again: of an earlier answer, or of `emocatcher settle`."""
        pool.check_room()
        content = await service.spool.read(request, _PROFILE_BYTES)
        return answer(request, await pool.submit(tasks.CheckProfile(content), limits.predict_s), [])

    @app.delete("/v1/settle/{settled}", status_code=204, dependencies=_STRICT, **openapi.FORGET)
    async def forget(settled: Profile) -> Response:
        """Delete a profile."""
        profiles.remove(settled)
        return Response(status_code=204)


def _add_stream(app: FastAPI, service: Service) -> None:
    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        headers = socket.headers
        if not security.may_connect(headers.get("origin"), headers.get("host"), service.origins):
            await socket.close()  # before it is accepted, which answers 403
            return
        await socket.accept()
        await service.streams.serve(
            socket, service.tokens.accepts, service.labels, service.metrics.windows.inc, service.profiles.adjust
        )


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get("/v1/model", **openapi.MODEL)
    async def model() -> Response:
        """Describe the model: labels, data, scores, card."""
        return Response(msgspec.json.encode(await service.describe()), media_type=_JSON)

    @app.get("/v1/model/waveform.onnx", **openapi.WAVEFORM)
    async def waveform() -> Response:
        """Return the model as one ONNX graph from a waveform to probabilities, attention and voiced span."""
        await service.describe()
        if (graph := await service.graph()) is None:
            detail = "This server cannot write the graph. Install emocatcher with the extra 'export' and start it again"
            raise ProblemError(404, detail, "MissingExtraError")
        return Response(graph, media_type="application/octet-stream")


def _add_listening(app: FastAPI, service: Service) -> None:
    pool, limits = service.pool, service.limits
    durations: dict[str, float | None] = {}

    def find(number: str) -> Clip:
        if service.listening is None:
            detail = "This server has no clips to guess. Start it with --listen-corpus DIR"
            raise ProblemError(404, detail, "NotFound")
        return service.listening.find(number)

    @app.get("/v1/listen/clips", **openapi.CLIPS)
    async def clips() -> Response:
        """List the clips to guess, in an order that reveals nothing."""
        if service.listening is None:
            find("")
            raise AssertionError
        labels = await service.labels()
        known = [clip for clip in service.listening.clips if clip.emotion in labels]
        if not durations:
            task = tasks.MeasureClips(tuple(str(clip.path) for clip in known))
            measured = msgspec.json.decode(await pool.submit(task, limits.timeline_s, slow=True))
            durations.update(zip((clip.id for clip in known), measured, strict=True))
        usable = [{"id": clip.id, "duration_s": durations[clip.id]} for clip in known if durations[clip.id] is not None]
        answer = {"clips": usable, "labels": labels}
        return Response(msgspec.json.encode(answer), media_type=_JSON)

    @app.get("/v1/listen/clips/{number}/audio", **openapi.CLIP_AUDIO)
    async def clip_audio(number: str) -> Response:
        """Return a clip as a WAV file."""
        task = tasks.ReadClip(str(find(number).path))
        return Response(await pool.submit(task, limits.predict_s), media_type="audio/wav")

    @app.post("/v1/listen/clips/{number}/guess", **openapi.GUESS)
    async def guess(number: str, request: Request) -> Response:
        """Send a listener's guess; the answer is the acted emotion and the model's prediction."""
        clip, labels = find(number), await service.labels()
        try:
            guess = msgspec.json.decode(await service.spool.read(request, _GUESS_BYTES), type=Guess)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            detail = f'The guess is not valid: {error}. Send {{"emotion": …}} with one of the model\'s labels'
            raise ProblemError(422, detail, "SettingError") from None
        if guess.emotion not in labels:
            detail = f"'{guess.emotion[:40]}' is not an emotion of this model. Allowed: {', '.join(labels)}"
            raise ProblemError(422, detail, "SettingError")
        task = tasks.Predict(str(clip.path), clip.path.name, adjustment=service.profiles.adjust(None, None))
        prediction = await pool.submit(task, limits.predict_s)
        answer = {"emotion": clip.emotion, "prediction": msgspec.Raw(prediction)}
        return Response(msgspec.json.encode(answer), media_type=_JSON)


def _split(emotions: str | None) -> tuple[str, ...] | None:
    return None if emotions is None else tuple(filter(None, map(str.strip, emotions.split(","))))


async def _counted(service: Service, answer: Awaitable[bytes]) -> bytes:
    """Await the answer for one recording, and count its outcome in the metrics."""
    try:
        payload = await answer
    except RefusedError as error:
        service.count([error.error])
        raise
    service.count(["ok"])
    return payload


def _encode(upload: Upload, answer: bytes | RefusedError) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return msgspec.json.encode(_failure(upload, answer))


def _failure(upload: Upload, refused: RefusedError) -> Failure:
    return Failure(path=upload.name, error=refused.error, message=refused.detail)


def _not_used(failures: list[Failure]) -> str:
    """Name some recordings that cannot be used, and why; an empty text for none."""
    named = [f"{one.path[:_LONGEST_NAME]} ({one.message[:_LONGEST_REASON]})" for one in failures[:_MOST_NAMED]]
    if len(failures) > _MOST_NAMED:
        named.append(f"and {len(failures) - _MOST_NAMED} more")
    return f". Not used: {'; '.join(named)}" if named else ""
