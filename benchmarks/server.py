"""Measure speed and memory of `emocatcher serve`: `python benchmarks/server.py [--requests N] [--overload SECONDS]`.

Needs RAVDESS (EMOCATCHER_CORPORA), the model in the package and the extra `serve`. Server, workers, clients and all
other processes share the cores of this machine. The results therefore state the load, and throughput is measured in
alternation with that of the same clips without a server. The results go to benchmarks/RESULTS.md and
benchmarks/results/server.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median

# One thread, as in the server's workers.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import msgspec
import numpy as np
import soundfile

import emocatcher
import results
from emocatcher import audio, corpora
from emocatcher.features import extraction
from emocatcher.foundation import process_setup
from inference import Row

HEADING = "The server: speed and memory"
N_CLIENTS, N_WORKERS, N_STREAMS = 8, 2, 50
_CLIP_S = 3.7
_RATE = 48_000
_CHUNK_S, _STREAM_S = 0.1, 20.0
_ROUNDS = 3
_BOUNDARY = b"a-line-between"


class Server:
    """A server process that ends with its `with` block."""

    def __init__(self, *arguments: str) -> None:
        self._log = tempfile.NamedTemporaryFile("r")  # noqa: SIM115 (closed with the server)
        command = [sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--workers", str(N_WORKERS)]
        command += [f"--limit=streams_per_client={N_STREAMS}", *arguments]
        began = time.perf_counter()
        with Path(self._log.name).open("w") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.port = self._wait_for_port()
        while not self._is_ready():
            time.sleep(0.01)
        self.ready_s = time.perf_counter() - began

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._log.close()

    def memory_mib(self) -> float:
        """Return the memory of all its processes, with shared memory divided among them (Linux's Pss)."""
        found = 0.0
        for pid in process_tree(self.process.pid):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
        return found

    def _wait_for_port(self) -> int:
        while True:
            self._log.seek(0)
            text = self._log.read()
            if (port := text.partition("127.0.0.1:")[2].partition("/")[0]).isdecimal():
                return int(port)
            if self.process.poll() is not None:
                raise SystemExit(f"The server did not start: {text}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz").status == 200
        return False


def process_tree(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += process_tree(int(child))
    return found


def processor_ms(pid: int) -> float:
    """Return the processor time of a process and its descendants; other work on the machine hardly affects it."""
    ticks = 0
    for one in process_tree(pid):
        ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return 1e3 * ticks / os.sysconf("SC_CLK_TCK")


def clips() -> list[bytes]:
    """Return up to 64 RAVDESS clips of at least 3.7 s, cut to that length, as WAV files."""
    found = []
    for utterance in corpora.load("ravdess"):
        samples, rate = soundfile.read(utterance.path, dtype="int16", always_2d=True)
        if len(samples) >= _CLIP_S * rate:
            with tempfile.TemporaryFile() as file:
                soundfile.write(file, samples[: round(_CLIP_S * rate), 0], rate, format="WAV", subtype="PCM_16")
                file.seek(0)
                found.append(file.read())
        if len(found) == 64:
            break
    return found


def request(*wavs: bytes) -> bytes:
    """Return an HTTP request that posts these files as a form."""
    part = b'\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = b"".join(b"--" + _BOUNDARY + part + wav + b"\r\n" for wav in wavs) + b"--" + _BOUNDARY + b"--\r\n"
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\n"
        % _BOUNDARY
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Connection:
    """A client's keep-alive connection."""

    async def open(self, port: int) -> Connection:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        return self

    @property
    def is_open(self) -> bool:
        """Whether the server has not closed it."""
        return not self._reader.at_eof()

    async def send(self, payload: bytes) -> int:
        """Send a request and return the status of its response."""
        self._writer.write(payload)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        await self._reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        return int(head[9:12])


def closed_loop(port: int, payloads: Sequence[bytes], n_clients: int, n_requests: int) -> tuple[list[float], float]:
    """Send requests from clients that each wait for the response; return milliseconds per request and total seconds.

    Clients are threads on plain sockets, because they take their processor time from the server.
    """
    turn = iter(range(n_requests))

    def client() -> list[float]:
        taken = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for number in turn:
                began = time.perf_counter()
                status = send(connection, payloads[number % len(payloads)])
                taken.append(1e3 * (time.perf_counter() - began))
                if status != 200:
                    raise SystemExit(f"A request was answered with status {status}; 200 was expected")
        return taken

    began = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as pool:
        of_clients = [pool.submit(client) for _ in range(n_clients)]
        taken = [each for one in of_clients for each in one.result()]
    return taken, time.perf_counter() - began


def send(connection: socket.socket, payload: bytes) -> int:
    """Send a request, wait for the whole response, and return its status."""
    connection.sendall(payload)
    answer, length = b"", None
    while length is None or len(answer) < length:
        answer += connection.recv(1 << 20)
        if length is None and (end := answer.find(b"\r\n\r\n")) >= 0:
            body = answer[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            length = end + 4 + int(body)
    return int(answer[9:12])


async def open_loop(port: int, payloads: Sequence[bytes], rate: float, seconds: float) -> tuple[Counter[int], int]:
    """Send requests at a fixed rate, without waiting for responses; return the statuses and the number sent."""
    statuses: Counter[int] = Counter()
    free: list[Connection] = []
    n_requests = round(rate * seconds)

    async def one(payload: bytes) -> None:
        connection = free.pop() if free else await Connection().open(port)
        if not connection.is_open:
            connection = await Connection().open(port)
        statuses[await connection.send(payload)] += 1
        free.append(connection)

    began, tasks = time.perf_counter(), set()
    for number in range(n_requests):
        await asyncio.sleep(max(began + number / rate - time.perf_counter(), 0.0))
        task = asyncio.create_task(one(payloads[number % len(payloads)]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return statuses, n_requests


async def streams(port: int, sound: np.ndarray) -> tuple[list[float], int]:
    """Run many streams in real time; return each window's lag in ms after its last sample was sent, and their count."""
    from websockets.asyncio.client import connect

    lags: list[float] = []
    chunk = round(_CHUNK_S * _RATE)

    async def one(number: int) -> int:
        n_windows = 0
        await asyncio.sleep(number / N_STREAMS)  # streams do not start at the same moment
        async with connect(f"ws://127.0.0.1:{port}/v1/stream", compression=None, ping_interval=None) as socket:
            await socket.send(json.dumps({"type": "hello", "sample_rate": _RATE, "encoding": "pcm16"}))
            await socket.recv()
            sent_s, began = [0.0], time.perf_counter()

            async def send() -> None:
                for start in range(0, round(_STREAM_S * _RATE), chunk):
                    await asyncio.sleep(max(began + (start + chunk) / _RATE - time.perf_counter(), 0.0))
                    await socket.send(sound[start : start + chunk].tobytes())
                    sent_s.append(time.perf_counter())
                await socket.send('{"type": "finish"}')

            sending = asyncio.create_task(send())
            while (message := json.loads(await socket.recv()))["type"] != "done":
                # The last samples of a window that ends with a chunk wait in the resampler for the next chunk.
                last = min(round(message["end_s"] / _CHUNK_S) + 1, len(sent_s) - 1)
                if round(message["end_s"] / _CHUNK_S) < round(_STREAM_S / _CHUNK_S):
                    lags.append(1e3 * (time.perf_counter() - sent_s[last]))
                n_windows += 1
            await sending
        return n_windows

    return lags, sum(await asyncio.gather(*map(one, range(N_STREAMS))))


def ready() -> Row:
    """Time from the start of the command to a response of /readyz."""
    taken = []
    for _ in range(5):
        with Server() as server:
            taken.append(server.ready_s)
    return Row("ready to answer after start", min(taken), "s", "≤ 1.5 s", f"median of 5: {median(taken):.2f}")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def throughput(server: Server, wavs: Sequence[bytes], folder: Path) -> Iterator[Row]:
    """Measure throughput with and without the server, in turn because machines drift, and the server's latencies."""
    paths = []
    for i, wav in enumerate(wavs):
        paths.append(folder / f"{i}.wav")
        paths[-1].write_bytes(wav)
    single, batch = [request(wav) for wav in wavs], [request(*wavs[i : i + 16]) for i in range(0, len(wavs), 16)]
    rates: dict[str, list[float]] = {"direct": [], "one": [], "many": []}
    used: dict[str, list[float]] = {"direct": [], "one": [], "many": []}
    taken: list[float] = []
    recognizer = emocatcher.load()
    for _ in range(_ROUNDS):
        outcomes = recognizer.predict_many(paths * 16, workers=N_WORKERS, ordered=False)
        sum(1 for _ in islice(outcomes, 200))  # starting workers is a one-time cost
        began, before = time.perf_counter(), processor_ms(os.getpid())
        sum(1 for _ in islice(outcomes, 640))
        rates["direct"].append(640 / (time.perf_counter() - began))
        used["direct"].append((processor_ms(os.getpid()) - before) / 640)
        sum(1 for _ in outcomes)
        for key, payloads, n_clients, n_requests in (("one", single, N_CLIENTS, 640), ("many", batch, 2, 40)):
            before = processor_ms(server.process.pid)
            found, seconds = closed_loop(server.port, payloads, n_clients, n_requests)
            rates[key].append(640 / seconds)
            used[key].append((processor_ms(server.process.pid) - before) / 640)
            taken += found if key == "one" else []
    note = f"median {median(taken):.0f}, {len(taken):,} requests, {N_WORKERS} workers"
    yield Row(
        f"95th percentile latency, one WAV of 3.7 s per request, {N_CLIENTS} clients",
        quantile(taken, 0.95),
        "ms",
        "≤ 60 ms",
        note,
    )
    direct = f"{median(rates['direct']):.0f} by `predict_many` with {N_WORKERS} workers"
    for key, name in (
        ("one", f"one clip per request, {N_CLIENTS} clients"),
        ("many", "16 clips per request, 2 clients"),
    ):
        share = median(ours / theirs for ours, theirs in zip(rates[key], rates["direct"], strict=True))
        processor = (
            f"{median(used[key]):.1f} ms of processor time per clip, {median(used['direct']):.1f} without the server"
        )
        note = f"{median(rates[key]):.0f} clips per second, {direct}; {processor}"
        yield Row(f"throughput relative to the in-process batch: {name}", 100 * share, "%", "≥ 80%", note)


def live(server: Server, wavs: Sequence[bytes]) -> Row:
    """Measure whether all streams keep up with real time."""
    sound = np.concatenate([audio.load(wav)[0] for wav in wavs[:8]])
    samples = (sound * 32_767).astype("<i2")
    before = processor_ms(server.process.pid)
    lags, n_windows = asyncio.run(streams(server.port, samples))
    used_s = (processor_ms(server.process.pid) - before) / 1e3
    percentile = f"95th percentile {quantile(lags, 0.95):.0f}"
    note = (
        f"median {median(lags):.0f}, {percentile}, {n_windows:,} windows, {used_s:.1f} s of processor time in "
        f"{_STREAM_S:g} s"
    )
    return Row(f"{N_STREAMS} streams in real time: largest lag of a window", max(lags), "ms", "≤ 500 ms, a hop", note)


def memory(server: Server, wavs: Sequence[bytes], n_requests: int) -> Row:
    """Measure whether memory grows with the number of requests."""
    payloads, found = [request(wav) for wav in wavs], [server.memory_mib()]
    step = max(n_requests // 10, 1)
    for _ in range(10):
        closed_loop(server.port, payloads, N_CLIENTS, step)
        found.append(server.memory_mib())
    note = "MiB after each tenth: " + ", ".join(f"{value:.0f}" for value in found)
    growth = found[-1] - found[2]
    return Row(
        f"memory growth of all processes from a fifth to the end of {n_requests:,} requests",
        growth,
        "MiB",
        "0",
        note,
    )


def overload(server: Server, wavs: Sequence[bytes], seconds: float) -> Row:
    """Check that every request is answered at twice the maximum throughput."""
    payloads = [request(wav) for wav in wavs]
    _, taken = closed_loop(server.port, payloads, N_CLIENTS, 400)
    rate = 2.0 * 400 / taken
    statuses, n_requests = asyncio.run(open_loop(server.port, payloads, rate, seconds))
    answered = ", ".join(f"{count:,} with {status}" for status, count in sorted(statuses.items()))
    lost = n_requests - statuses[200] - statuses[429]
    note = f"{n_requests:,} sent at {rate:.0f} per second for {seconds:g} s; answered: {answered}"
    return Row("requests lost at twice the maximum throughput", lost, "", "0", note)


def batching(wavs: Sequence[bytes]) -> Row:
    """Measure what running waiting clips through the network as one batch would save."""
    recognizer = emocatcher.load()
    config = recognizer.config.settings
    channels = []
    for wav in wavs[:8]:
        recording = audio.read(wav, config.front_end.sample_rate)
        channels.append(extraction.extract(recording.waveform, config.front_end, config.vad).channels)
    taken: dict[str, list[float]] = {"single": [], "batch": [], "whole": []}
    for _ in range(40):
        for name, work in (
            ("single", lambda: [recognizer.run([clip]) for clip in channels]),
            ("batch", lambda: recognizer.run(channels)),
            ("whole", lambda: [recognizer.predict(wav) for wav in wavs[:8]]),
        ):
            began = time.perf_counter()
            work()
            taken[name].append(1e3 * (time.perf_counter() - began) / len(channels))
    single, batch, whole = (min(values) for values in taken.values())
    note = (
        f"network {single:.2f} ms per clip one by one, {batch:.2f} in batches of 8, of {whole:.2f} in total; "
        "so it is not used"
    )
    return Row("share of a clip's time that dynamic batching would save", 100 * (single - batch) / whole, "%", "", note)


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield each measurement as it completes."""
    wavs = clips()
    yield ready()
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        yield from throughput(server, wavs, Path(folder))
        yield live(server, wavs)
    with Server() as server:
        yield memory(server, wavs, arguments.requests)
        yield overload(server, wavs, arguments.overload)
    yield batching(wavs)


def main() -> None:
    """Measure, then print and write the results."""
    process_setup.keep_memory()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--requests", type=int, default=20_000, help="number of requests for the memory measurement (20,000)"
    )
    parser.add_argument(
        "--overload", type=float, default=120.0, metavar="SECONDS", help="duration of the overload (120)"
    )
    parser.add_argument("--to", type=Path, default=results.FOLDER, help="the folder of RESULTS.md and results/")
    arguments = parser.parse_args()
    rows, before = [], os.getloadavg()[0]
    for row in measure(arguments):
        print(*row.cells(), sep=" | ", flush=True)
        rows.append(row)
    write(rows, before, arguments.to)


def write(rows: Sequence[Row], load: float, folder: Path) -> None:
    """Write the results to their section of RESULTS.md, and as JSON."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    payload = msgspec.json.encode({"machine": results.software(), "load_before": round(load, 2), "rows": rows})
    (folder / "results" / "server.json").write_bytes(msgspec.json.format(payload) + b"\n")
    introduction = (
        f"`python benchmarks/server.py` on {results.software()}; the clients ran on the same cores, and the load "
        f"average before the start was {load:.1f}."
    )
    table = results.table(["what", "here", "wanted", ""], [row.cells() for row in rows])
    results.rewrite(HEADING, f"{introduction}\n\n{table}", folder)


if __name__ == "__main__":
    main()
