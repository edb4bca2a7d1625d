"""Define the server's limits on sizes, numbers and times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from emocatcher.foundation.errors import SettingError, suggest

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
BACKLOG = 128  # connections that the system accepts ahead of this process, which may all arrive at once
_OWN_FILES, _FILES_OF_A_WORKER = 64, 8
_FEWEST_CONNECTIONS = 16


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The server's limits; `emocatcher serve --limit NAME=VALUE` sets them."""

    upload_bytes: Count = 128 << 20  # of one request
    json_bytes: Count = 16 << 20  # of one request in JSON, which is decoded in memory
    spool_bytes: Count = 1 << 30  # of all requests that are being received or recognised
    spool_bytes_per_client: Count = 1 << 29  # raise this and the next if a proxy connects for all clients
    uploads_per_client: Count = 128
    uploads: Count = 256  # requests that are being received or recognised
    connections: Count = 1000  # open at once; fewer if the system allows too few open files
    recordings: Count = 100  # in one request
    utterance_s: Annotated[float, Meta(gt=0, le=600)] = 600.0  # length of a recording for predict
    recording_s: Seconds = 7200.0  # length of a recording for timeline
    queue: Count = 64  # recordings that wait for a worker
    header_s: Seconds = 10.0  # until a request's head has arrived
    unread_s: Seconds = 30.0  # without the client reading any of an answer
    upload_idle_s: Seconds = 10.0  # without a byte of its body
    upload_rate: Count = 10_000  # least bytes per second of the body, on average and after upload_idle_s
    predict_s: Seconds = 60.0  # a worker's time for one recording, both wall-clock and processor time
    timeline_s: Seconds = 600.0  # a worker's time for one timeline
    worker_bytes: Count = 2 << 30  # memory that a worker may allocate beyond its initial size
    profiles: Count = 1000  # of all clients; the client with the most loses the one it has not used for longest
    profile_s: Seconds = 86_400.0  # until an unused profile is deleted
    streams: Count = 64  # open at once
    streams_per_client: Count = 32  # open at once; raise it if a proxy connects for all clients
    stream_window_s: Seconds = 30.0  # longest window
    stream_hop_s: Seconds = 0.1  # shortest hop
    stream_idle_s: Seconds = 30.0  # without a message
    stream_chunk_s: Seconds = 10.0  # of sound in one message
    start_s: Seconds = 60.0  # until a worker process is ready
    recover_s: Seconds = 180.0  # without any ready worker, until the server ends
    stop_s: Count = 30  # for requests to finish when the server is stopped


def most_connections(limits: Limits, n_workers: int) -> int:
    """Return how many connections may be open at once, so that files can always be opened and workers started.

    Raises:
        SettingError: if this process may open too few files for a server.
    """
    import resource

    n_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if n_files == resource.RLIM_INFINITY:
        return limits.connections
    # A connection may have a file open besides its socket: an upload, or a file of the page.
    most = (n_files - BACKLOG - _OWN_FILES - _FILES_OF_A_WORKER * n_workers) // 2
    if most < _FEWEST_CONNECTIONS:
        least = n_files + 2 * (_FEWEST_CONNECTIONS - most)
        raise SettingError(f"This process may open {n_files} files. A server needs {least} or more: set `ulimit -n`")
    return min(limits.connections, most)


def parse(changes: Iterable[str]) -> Limits:
    """Return the default limits with some of them changed.

    Args:
        changes: each as NAME=VALUE.

    Raises:
        SettingError: if there is no such limit, or the value is not allowed.

    Examples:
        >>> parse(["queue=8"]).queue
        8
    """
    values: dict[str, str] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise SettingError(f"'{change}' has no value for a limit. Give NAME=VALUE, such as queue=8")
        if name not in Limits.__struct_fields__:
            raise SettingError(suggest(name, Limits.__struct_fields__, "limit"))
        values[name] = value
        try:
            msgspec.convert({name: value}, Limits, strict=False)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at")[0].replace("`", "")
            raise SettingError(f"The limit {name} cannot be '{value}': {expected}") from None
    return msgspec.convert(values, Limits, strict=False)
