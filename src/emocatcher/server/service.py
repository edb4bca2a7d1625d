"""Hold what all routes share: the processes, the uploads, the limits, the metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from emocatcher.server import tasks, web_page
from emocatcher.server.access_log import AccessLog, Entry
from emocatcher.server.limits import Limits
from emocatcher.server.problems import ProblemError
from emocatcher.server.profiles import Profiles
from emocatcher.server.prometheus import Metrics
from emocatcher.server.security import Hosts, Tokens
from emocatcher.server.streams import Streams
from emocatcher.server.temporary_folder import TemporaryFolder
from emocatcher.server.uploads import Spool
from emocatcher.server.worker_pool import Pool

if TYPE_CHECKING:
    from emocatcher.server.guess_clips import Listening
    from emocatcher.server.labelling import LabelSession

_WAVEFORM = "/v1/model/waveform.onnx"
# Of a description; the others are the model's.
_SERVER_FIELDS = {"waveform_onnx", "listen_corpus", "token_required", "settled"}


class Options(NamedTuple):
    """The options of `emocatcher serve`, and of `emocatcher label`."""

    model: str | None = None  # a model folder; None for the default model of the package
    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free port
    n_workers: int = 2
    limits: Limits = Limits()
    tokens: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()  # allowed by CORS
    listen_corpus: Path | None = None
    hosts: tuple[str, ...] = ()  # names of this server besides localhost and its address
    access_log: str | None = None  # a file, or "-"
    profile: bytes = b""  # what the model settled on by default, as JSON; empty for nothing
    labelling: LabelSession | None = None  # serve its page and its routes instead of all others


class Service:
    """A server's components.

    Args:
        options: the server's options.
        folder: for temporary files.

    Raises:
        SettingError: if a host is not a name.
        OutputError: if the access log cannot be written.
        CorpusError: if the corpus for guessing contains no recording named like RAVDESS's.
    """

    def __init__(self, options: Options, folder: TemporaryFolder) -> None:
        limits = options.limits
        self.limits = limits
        self.origins = options.origins
        self.tokens = Tokens(options.tokens)
        self.hosts = Hosts(options.host, options.hosts)
        self._access_log = AccessLog(options.access_log) if options.access_log is not None else None
        self.listening = _listening(options.listen_corpus)
        self.labelling = options.labelling
        self.folder = folder
        self.spool = Spool(limits, folder)
        self.pool = Pool(options.model, limits, options.n_workers, folder.path)
        self.streams = Streams(options.model, limits, folder.path)
        self.profiles = Profiles(limits, options.profile)
        self.metrics = Metrics()
        self._graph: asyncio.Future[bytes] | None = None
        self._watch()

    @property
    def is_able(self) -> bool:
        """Whether there is a ready process for recordings, and one for streams if there are any."""
        return bool(self.pool.pids) and (self.labelling is not None or self.streams.is_ready)

    @property
    def is_ready(self) -> bool:
        """Whether all processes are ready."""
        return self.pool.is_ready and (self.labelling is not None or self.streams.is_ready)

    def start(self) -> None:
        """Launch the processes, without waiting for them."""
        self.pool.start()
        if self.labelling is None:
            self.streams.start()

    async def stop(self) -> None:
        """Stop the processes, and delete the uploads."""
        await asyncio.gather(self.pool.stop(), self.streams.stop())
        self.spool.remove()

    def log(self, entry: Entry) -> None:
        """Write a line to the access log, if there is one."""
        if self._access_log is not None:
            self._access_log.write(entry)

    async def describe(self) -> dict[str, Any]:
        """Return the description of the model for `GET /v1/model`.

        Raises:
            ProblemError: as long as no process is ready.
        """
        if not self.pool.description:
            raise ProblemError(503, "The model is being loaded. Try again in 1 s", "NotReady", {"Retry-After": "1"})
        described: dict[str, Any] = msgspec.json.decode(self.pool.description)
        described["waveform_onnx"] = _WAVEFORM if await self.graph() else None
        described["listen_corpus"] = self.listening is not None
        described["token_required"] = self.tokens.required
        described["settled"] = msgspec.Raw(self.profiles.default or b"null")
        return described

    async def labels(self) -> list[str]:
        """Return the model's emotions, in order."""
        labels: list[str] = (await self.describe())["labels"]
        return labels

    async def graph(self) -> bytes | None:
        """Return the ONNX graph with a waveform input: the page's if it is of this model, or else a new one.

        Returns:
            the file's content; None without the extra `export`, and as long as no process is ready.
        """
        if self._graph is None:
            self._graph = asyncio.ensure_future(self._find_graph())
        with contextlib.suppress(Exception):
            return await asyncio.shield(self._graph)
        self._graph = None
        return None

    async def _find_graph(self) -> bytes:
        ours = msgspec.json.decode(self.pool.description)
        if (folder := web_page.find()) is not None:
            with contextlib.suppress(OSError, ValueError):  # if the page is damaged, a new graph is made
                theirs = msgspec.json.decode(web_page.read(folder, web_page.DESCRIPTION))
                if all(theirs.get(name) == value for name, value in ours.items() if name not in _SERVER_FIELDS):
                    return web_page.read(folder, web_page.GRAPH)
        return await self.pool.submit(tasks.ExportWaveform(), self.limits.timeline_s, slow=True)

    def count(self, outcomes: Sequence[str]) -> None:
        """Count recordings by outcome: "ok", or the kind of error."""
        for outcome in outcomes:
            self.metrics.recordings.labels(outcome).inc()

    def _watch(self) -> None:
        watch = self.metrics.watch
        watch("uploads", "Requests that are being received or recognised", lambda: self.spool.n_requests)
        watch("spool_bytes", "Bytes of uploads on disk", lambda: self.spool.n_bytes)
        watch("profiles", "Profiles of clients", lambda: self.profiles.n)
        watch("queue", "Recordings that wait for a worker", lambda: self.pool.n_queued)
        watch("streams", "Open streams", lambda: self.streams.n_open)
        watch("workers", "Worker processes that are ready", lambda: len(self.pool.pids))
        watch("worker_deaths", "Worker processes that ended unexpectedly", lambda: self.pool.n_deaths)


def _listening(folder: Path | None) -> Listening | None:
    if folder is None:
        return None
    # Loads NumPy, which a server without clips does not need.
    from emocatcher.server.guess_clips import Listening

    return Listening(folder)
