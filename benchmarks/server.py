"""Speed and memory of `emocatcher serve`: `python benchmarks/server.py [--requests N] [--overload SECONDS]`.

Needs RAVDESS (EMOCATCHER_CORPORA), the model in the package and the extra `serve`. Server, workers and clients share
this machine's cores, and so does whatever else runs on it: the load is in the text, and a rate stands beside the rate
of the same clips without a server, measured in turn with it. Figures go to benchmarks/RESULTS.md and
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

# As the server's workers have it.
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
    """A server process; `with` ends it."""

    def __init__(self, *arguments: str) -> None:
        self._log = tempfile.NamedTemporaryFile("r")  # noqa: SIM115 (closed with the server)
        command = [sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--workers", str(N_WORKERS), *arguments]
        began = time.perf_counter()
        with Path(self._log.name).open("w") as said:
            self.process = subprocess.Popen(command, stderr=said)
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
        """Of all its processes, what each has for itself (Linux's Pss shares out what several have)."""
        found = 0.0
        for pid in family(self.process.pid):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
        return found

    def _wait_for_port(self) -> int:
        while True:
            self._log.seek(0)
            said = self._log.read()
            if (port := said.partition("127.0.0.1:")[2].partition("/")[0]).isdecimal():
                return int(port)
            if self.process.poll() is not None:
                raise SystemExit(f"the server did not start: {said}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz").status == 200
        return False


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def processor_ms(pid: int) -> float:
    """What a process and all its descendants have used; other work on the machine hardly moves it."""
    ticks = 0
    for one in family(pid):
        ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return 1e3 * ticks / os.sysconf("SC_CLK_TCK")


def clips() -> list[bytes]:
    """RAVDESS's clips of 3.7 s or more, cut to that, as WAV files."""
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
    """A form with these files, head and all."""
    part = b'\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = b"".join(b"--" + _BOUNDARY + part + wav + b"\r\n" for wav in wavs) + b"--" + _BOUNDARY + b"--\r\n"
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=%s\r\n" % _BOUNDARY
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Connection:
    """One client's, kept open."""

    async def open(self, port: int) -> Connection:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        return self

    @property
    def is_open(self) -> bool:
        """Whether the server has not ended it."""
        return not self._reader.at_eof()

    async def ask(self, payload: bytes) -> int:
        """The answer's status."""
        self._writer.write(payload)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        await self._reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        return int(head[9:12])


def closed_loop(port: int, payloads: Sequence[bytes], n_clients: int, n_requests: int) -> tuple[list[float], float]:
    """Each client asks again when it was answered; milliseconds of each request, and seconds of all.

    Clients are threads on plain sockets: they share the cores with the server, and whatever they take is taken from it.
    """
    turn = iter(range(n_requests))

    def client() -> list[float]:
        taken = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for number in turn:
                began = time.perf_counter()
                status = ask(connection, payloads[number % len(payloads)])
                taken.append(1e3 * (time.perf_counter() - began))
                if status != 200:
                    raise SystemExit(f"a request was answered {status}")
        return taken

    began = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as pool:
        of_clients = [pool.submit(client) for _ in range(n_clients)]
        taken = [each for one in of_clients for each in one.result()]
    return taken, time.perf_counter() - began


def ask(connection: socket.socket, payload: bytes) -> int:
    """Send a request, wait for the whole answer, and give its status."""
    connection.sendall(payload)
    answer, length = b"", None
    while length is None or len(answer) < length:
        answer += connection.recv(1 << 20)
        if length is None and (end := answer.find(b"\r\n\r\n")) >= 0:
            body = answer[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            length = end + 4 + int(body)
    return int(answer[9:12])


async def open_loop(port: int, payloads: Sequence[bytes], rate: float, seconds: float) -> tuple[Counter[int], int]:
    """Requests leave at their time, whatever became of those before; statuses, and how many were sent."""
    statuses: Counter[int] = Counter()
    free: list[Connection] = []
    n_requests = round(rate * seconds)

    async def one(payload: bytes) -> None:
        connection = free.pop() if free else await Connection().open(port)
        if not connection.is_open:
            connection = await Connection().open(port)
        statuses[await connection.ask(payload)] += 1
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
    """Many at once in real time; of each window, milliseconds from its last sample's sending to its coming."""
    from websockets.asyncio.client import connect

    lags: list[float] = []
    chunk = round(_CHUNK_S * _RATE)

    async def one(number: int) -> int:
        n_windows = 0
        await asyncio.sleep(number / N_STREAMS)  # people do not begin at the same moment
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
            while (told := json.loads(await socket.recv()))["type"] != "done":
                # Of a window that ends with a chunk; its last samples wait in the resampler for the next one.
                last = min(round(told["end_s"] / _CHUNK_S) + 1, len(sent_s) - 1)
                if round(told["end_s"] / _CHUNK_S) < round(_STREAM_S / _CHUNK_S):
                    lags.append(1e3 * (time.perf_counter() - sent_s[last]))
                n_windows += 1
            await sending
        return n_windows

    return lags, sum(await asyncio.gather(*map(one, range(N_STREAMS))))


def ready() -> Row:
    """From the command to an answer of /readyz."""
    taken = []
    for _ in range(5):
        with Server() as server:
            taken.append(server.ready_s)
    return Row("ready to answer after start", min(taken), "s", "≤ 1.5 s", f"median of 5: {median(taken):.2f}")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def throughput(server: Server, wavs: Sequence[bytes], folder: Path) -> Iterator[Row]:
    """Rates with and without the server, in turn, for machines drift; and the latencies of the first."""
    paths = []
    for i, wav in enumerate(wavs):
        paths.append(folder / f"{i}.wav")
        paths[-1].write_bytes(wav)
    single, batch = [request(wav) for wav in wavs], [request(*wavs[i : i + 16]) for i in range(0, len(wavs), 16)]
    rates: dict[str, list[float]] = {"alone": [], "one": [], "many": []}
    used: dict[str, list[float]] = {"alone": [], "one": [], "many": []}
    taken: list[float] = []
    recognizer = emocatcher.load()
    for _ in range(_ROUNDS):
        outcomes = recognizer.predict_many(paths * 16, workers=N_WORKERS, ordered=False)
        sum(1 for _ in islice(outcomes, 200))  # starting them costs once, not per clip
        began, before = time.perf_counter(), processor_ms(os.getpid())
        sum(1 for _ in islice(outcomes, 640))
        rates["alone"].append(640 / (time.perf_counter() - began))
        used["alone"].append((processor_ms(os.getpid()) - before) / 640)
        sum(1 for _ in outcomes)
        for key, payloads, n_clients, n_requests in (("one", single, N_CLIENTS, 640), ("many", batch, 2, 40)):
            before = processor_ms(server.process.pid)
            found, seconds = closed_loop(server.port, payloads, n_clients, n_requests)
            rates[key].append(640 / seconds)
            used[key].append((processor_ms(server.process.pid) - before) / 640)
            taken += found if key == "one" else []
    note = f"median {median(taken):.0f}, {len(taken):,} requests, {N_WORKERS} workers"
    yield Row(
        f"95 of 100 requests of one WAV of 3.7 s, {N_CLIENTS} clients", quantile(taken, 0.95), "ms", "≤ 60 ms", note
    )
    alone = f"{median(rates['alone']):.0f} by `predict_many` with {N_WORKERS} workers"
    for key, name in (("one", f"one clip a request, {N_CLIENTS} clients"), ("many", "16 clips a request, 2 clients")):
        share = median(ours / theirs for ours, theirs in zip(rates[key], rates["alone"], strict=True))
        processor = (
            f"{median(used[key]):.1f} ms of processor time a clip, {median(used['alone']):.1f} without the server"
        )
        note = f"{median(rates[key]):.0f} clips a second, {alone}; {processor}"
        yield Row(f"rate of the in-process batch: {name}", 100 * share, "%", "≥ 80%", note)


def live(server: Server, wavs: Sequence[bytes]) -> Row:
    """Whether all streams keep up."""
    sound = np.concatenate([audio.load(wav)[0] for wav in wavs[:8]])
    samples = (sound * 32_767).astype("<i2")
    before = processor_ms(server.process.pid)
    lags, n_windows = asyncio.run(streams(server.port, samples))
    used_s = (processor_ms(server.process.pid) - before) / 1e3
    most = f"95 of 100 within {quantile(lags, 0.95):.0f}"
    note = (
        f"median {median(lags):.0f}, {most}, {n_windows:,} windows, {used_s:.1f} s of processor time in {_STREAM_S:g} s"
    )
    return Row(f"{N_STREAMS} streams in real time: largest lag of a window", max(lags), "ms", "≤ 500 ms, a hop", note)


def memory(server: Server, wavs: Sequence[bytes], n_requests: int) -> Row:
    """Whether it grows with the requests."""
    payloads, found = [request(wav) for wav in wavs], [server.memory_mib()]
    step = max(n_requests // 10, 1)
    for _ in range(10):
        closed_loop(server.port, payloads, N_CLIENTS, step)
        found.append(server.memory_mib())
    note = "MiB after each tenth: " + ", ".join(f"{value:.0f}" for value in found)
    growth = found[-1] - found[2]
    return Row(f"memory of all processes, last less after a fifth of {n_requests:,} requests", growth, "MiB", "0", note)


def overload(server: Server, wavs: Sequence[bytes], seconds: float) -> Row:
    """Whether every request is answered where there are twice too many."""
    payloads = [request(wav) for wav in wavs]
    _, taken = closed_loop(server.port, payloads, N_CLIENTS, 400)
    rate = 2.0 * 400 / taken
    statuses, n_requests = asyncio.run(open_loop(server.port, payloads, rate, seconds))
    answered = ", ".join(f"{count:,} with {status}" for status, count in sorted(statuses.items()))
    lost = n_requests - statuses[200] - statuses[429]
    note = f"{n_requests:,} sent at {rate:.0f} a second for {seconds:g} s; answered: {answered}"
    return Row("requests lost under twice the load", lost, "", "0", note)


def batching(wavs: Sequence[bytes]) -> Row:
    """What the network would gain if clips that wait were put through it together."""
    recognizer = emocatcher.load()
    config = recognizer.config.settings
    log_mels = []
    for wav in wavs[:8]:
        recording = audio.read(wav, config.front_end.sample_rate)
        log_mels.append(extraction.extract(recording.waveform, config.front_end, config.vad).channels)
    taken: dict[str, list[float]] = {"alone": [], "together": [], "whole": []}
    for _ in range(40):
        for name, work in (
            ("alone", lambda: [recognizer.run([log_mel]) for log_mel in log_mels]),
            ("together", lambda: recognizer.run(log_mels)),
            ("whole", lambda: [recognizer.predict(wav) for wav in wavs[:8]]),
        ):
            began = time.perf_counter()
            work()
            taken[name].append(1e3 * (time.perf_counter() - began) / len(log_mels))
    alone, together, whole = (min(values) for values in taken.values())
    note = (
        f"network {alone:.2f} ms a clip alone, {together:.2f} in batches of 8, of {whole:.2f} in all; so there is none"
    )
    return Row("what dynamic batching could save of a clip's time", 100 * (alone - together) / whole, "%", "", note)


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    """All figures, as they come."""
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
    """Measure, print, and write."""
    process_setup.keep_memory()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="over which memory is watched (20,000)")
    parser.add_argument("--overload", type=float, default=120.0, metavar="SECONDS", help="of twice the load (120)")
    parser.add_argument("--to", type=Path, default=results.FOLDER, help="the folder of RESULTS.md and results/")
    arguments = parser.parse_args()
    rows, before = [], os.getloadavg()[0]
    for row in measure(arguments):
        print(*row.cells(), sep=" | ", flush=True)
        rows.append(row)
    write(rows, before, arguments.to)


def write(rows: Sequence[Row], load: float, folder: Path) -> None:
    """Rewrite the section of RESULTS.md, and the same as JSON."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    payload = msgspec.json.encode({"machine": results.software(), "load_before": round(load, 2), "rows": rows})
    (folder / "results" / "server.json").write_bytes(msgspec.json.format(payload) + b"\n")
    told = (
        f"`python benchmarks/server.py` on {results.software()}; the clients ran on the same cores, and so did other "
        f"work: {load:.1f} processes were running before it began."
    )
    table = results.table(["what", "here", "wanted", ""], [row.cells() for row in rows])
    results.rewrite(HEADING, f"{told}\n\n{table}", folder)


if __name__ == "__main__":
    main()
