"""Break everything that a job on Ray depends on, and count the rows that come out: each id once, with its answer.

    python benchmarks/distributed_faults.py [--n 3000] [--work FOLDER] [TRIAL ...]

A Ray cluster of three nodes of one CPU on this machine; real RAVDESS clips (EMOCATCHER_CORPORA) and made ones in 20
formats; a twentieth of the rows is broken, and some files end the process that opens them. What is expected comes from
`Recognizer.predict` in this process, and stays in FOLDER for the next call. Each trial ends with a table that is
compared row by row; the results go to RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import io
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the loopback address
}
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

import emocatcher
import results
from emocatcher import audio, corpora

FORMATS = [  # 20: suffix, container, codec or subtype; the container of libsndfile is in capitals
    ("wav", "WAV", "PCM_16"), ("u8.wav", "WAV", "PCM_U8"), ("24.wav", "WAV", "PCM_24"), ("float.wav", "WAV", "FLOAT"),
    ("ulaw.wav", "WAV", "ULAW"), ("alaw.wav", "WAV", "ALAW"), ("gsm.wav", "WAV", "GSM610"), ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III"), ("aiff", "AIFF", "PCM_16"),
    ("au", "AU", "PCM_16"), ("caf", "CAF", "PCM_16"), ("w64", "W64", "PCM_16"), ("m4a", "ipod", "aac"),
    ("aac", "adts", "aac"), ("webm", "webm", "libopus"), ("mkv", "matroska", "libopus"), ("mp4", "mp4", "aac"),
]  # fmt: skip
ENDS = "ends-the-process.wav"
# Files that end a decoder are mended in the next version of it, so this stands in for one.
HOOK = f"""
import os, signal, sys
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and os.fsdecode(arguments[0]).endswith({ENDS!r}):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
SEED, TOLERANCE, LONGEST_S = 23, 1e-6, 3600


class Trial(NamedTuple):
    """What came of one trial."""

    name: str
    happened: str
    outcome: str
    seconds: float


def make(folder: Path, n: int) -> None:
    """Write the clips, the manifest, and what is expected of each row."""
    chosen, clips = random.Random(SEED), folder / "clips"
    clips.mkdir(parents=True)
    real = [str(one.path) for one in corpora.load("ravdess").utterances]
    sounds = [audio.load(path) for path in chosen.sample(real, 20)]
    made = [_encode(clips, i, *sounds[i]) for i in range(20)]
    broken = [str(path) for path in _broken(clips)]
    cells: list[str | None] = []
    for i in range(n):
        if i % 20 == 7:
            cells.append([*broken, None][(i // 20) % (len(broken) + 1)])
        else:
            cells.append(made[i // 5 % 20] if i % 5 == 1 else real[i * 7 % len(real)])
    table = {"call_id": [f"call-{i:05d}" for i in range(n)], "uri": cells, "agent": [f"a{i % 9}" for i in range(n)]}
    pq.write_table(pa.table(table), folder / "manifest.parquet", row_group_size=500)
    recognizer = emocatcher.load()
    answers: dict[str | None, float | None] = {}
    usable = sorted({cell for cell in cells if cell and ENDS not in cell})
    for path, outcome in zip(usable, recognizer.predict_many(usable, workers=2), strict=True):
        answers[path] = getattr(outcome, "probability", None)
        if hasattr(outcome, "error"):
            answers[path] = -1.0
    answers |= {None: -1.0, **{cell: -1.0 for cell in cells if cell and ENDS in cell}}
    expected = {call: answers[cell] for call, cell in zip(table["call_id"], cells, strict=True)}
    (folder / "expected.json").write_text(json.dumps(expected))


def _encode(folder: Path, number: int, samples: Any, rate: int) -> str:
    suffix, container, codec = FORMATS[number]
    path = folder / f"made-{number}.{suffix}"
    if container.isupper():
        soundfile.write(path, samples, 8_000 if codec == "GSM610" else rate, format=container, subtype=codec)
        return str(path)
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        stream = output.add_stream(codec, rate=48_000 if codec == "libopus" else rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = rate
        for part in (frame, None):
            output.mux(stream.encode(part))
    path.write_bytes(sink.getvalue())
    return str(path)


def _broken(folder: Path) -> Iterator[Path]:
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.mp3").write_text("this is not sound")
    (folder / "noise.ogg").write_bytes(random.Random(SEED).randbytes(5000))
    (folder / "head.flac").write_bytes((folder / "made-7.flac").read_bytes()[:40])
    (folder / "no samples.wav").write_bytes((folder / "made-0.wav").read_bytes()[:44])
    (folder / ENDS).write_bytes((folder / "made-0.wav").read_bytes())
    for name in ("empty.wav", "text.mp3", "noise.ogg", "head.flac", "no samples.wav", ENDS, "missing.wav"):
        yield folder / name


class Place:
    """A cluster, the inputs, and the folder of a trial."""

    def __init__(self, folder: Path, cluster: Any, n: int) -> None:
        self.folder, self.cluster, self.n = folder, cluster, n
        self.manifest = folder / "manifest.parquet"
        self.expected: dict[str, float | None] = json.loads((folder / "expected.json").read_text())
        self.out = folder / "out"
        self.random = random.Random()

    def words(self, manifest: str | Path | None = None, *more: str, out: str | Path | None = None) -> list[str]:
        """Return the command with these options."""
        return [
            sys.executable, "-m", "emocatcher", "predict", str(manifest or self.manifest), "--column", "uri", "--id",
            "call_id", "--engine", "ray", "--address", self.cluster.address, "--out", str(out or self.out), *more,
        ]  # fmt: skip

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a command; its output goes to a log."""
        log = (self.folder / "log.txt").open("ab")
        return subprocess.Popen(words, stdout=log, stderr=log)

    def run(self, words: list[str], expected: tuple[int, ...] = (0, 1)) -> str:
        """Run a command to its end, and return what it printed."""
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LONGEST_S)
        (self.folder / "log.txt").open("a").write(done.stdout + done.stderr)
        if done.returncode not in expected or "Traceback" in done.stderr:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr[-2000:]}")
        return done.stderr

    def n_shards(self) -> int:
        """Return how many shards there are."""
        return len(list(self.out.glob("part-*.parquet")))

    def compare(self, table: Any = None, note: Any = None) -> str:
        """Compare every row; return the counts, or raise an error."""
        table = table if table is not None else pq.read_table(self.out)
        note = note or json.loads((self.out / "_manifest.json").read_text())
        rows = table.select(["call_id", "probability", "error_kind"]).to_pylist()
        times = Counter(row["call_id"] for row in rows)
        wrong = [call for call in self.expected if times[call] != 1] + [
            call for call in times if call not in self.expected
        ]
        kinds = Counter(row["error_kind"] for row in rows if row["error_kind"])
        differ = [row["call_id"] for row in rows if not self._agrees(row)]
        if wrong or differ or dict(kinds) != note["errors"] or note["state"] != "finished":
            raise AssertionError(
                f"{len(wrong)} ids not once ({wrong[:3]}), {len(differ)} answers differ ({differ[:3]}), {kinds}, {note}"
            )
        named = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        return f"{len(rows)} ids once, answers equal; errors: {named}"

    def _agrees(self, row: dict[str, Any]) -> bool:
        was = self.expected[row["call_id"]]
        if was == -1.0:
            return row["error_kind"] is not None
        is_now = row["probability"]
        return row["error_kind"] is None and (
            is_now == was or (is_now is not None and was is not None and abs(is_now - was) <= TOLERANCE)
        )


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something happens, while a process runs."""
    last = time.monotonic() + LONGEST_S
    while not happened():
        if process.poll() is not None or time.monotonic() > last:
            raise AssertionError(f"the command ended with {process.returncode}")
        time.sleep(0.1)


def undisturbed(place: Place) -> str:
    """Nothing happens."""
    place.run(place.words())
    return f"{place.compare()}; {place.n_shards()} shards"


def node_killed(place: Place) -> str:
    """One of three nodes is killed while it works, and another one comes."""
    driver = place.start(place.words())
    wait_for(lambda: place.n_shards() > 0, driver)
    place.cluster.remove_node(next(iter(place.cluster.worker_nodes)), allow_graceful=False)
    time.sleep(10)
    place.cluster.add_node(**NODE)
    driver.wait(LONGEST_S)
    return place.compare()


def driver_killed(place: Place) -> str:
    """The command is killed ten times at random (SIGKILL), and resumed."""
    n_done = []
    more: list[str] = []
    for _ in range(10):
        driver = place.start(place.words(None, *more))
        time.sleep(place.random.uniform(4, 45))
        driver.kill()
        driver.wait()
        n_done.append(sum(pq.read_metadata(path).num_rows for path in place.out.glob("part-*.parquet")))
        more = ["--resume"]
    place.run(place.words(None, "--resume"))
    return f"rows after each kill: {', '.join(map(str, n_done))}; then {place.compare()}"


def workers_killed(place: Place) -> str:
    """A process of a worker is killed every few seconds (SIGKILL), twenty times."""
    driver = place.start(place.words())
    wait_for(lambda: place.n_shards() > 0, driver)
    n_killed = 0
    while n_killed < 20 and driver.poll() is None:
        if ours := _workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(place.random.choice(ours), signal.SIGKILL)
                n_killed += 1
        time.sleep(place.random.uniform(1, 4))
    driver.wait(LONGEST_S)
    if driver.returncode == 2:
        place.run(place.words(None, "--resume"))
    return f"{n_killed} killed; {place.compare()}"


def _workers() -> list[int]:
    """Return the processes of Ray's workers that run a task, among the descendants of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::_run") and _is_ours(int(path.parent.name)):
                found.append(int(path.parent.name))
    return found


def _is_ours(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (
            f"EMOCATCHER_FAULTS={os.environ['EMOCATCHER_FAULTS']}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        )
    return False


def wrong_manifests(place: Place) -> str:
    """Doubled ids, a missing id, a wrong column, a column that the result has, a damaged file, none."""
    table, found = pq.read_table(place.manifest), []
    bad = place.folder / "bad.parquet"
    ids = table.column("call_id").to_pylist()
    for name, change, message in (
        (
            "doubled ids",
            lambda: table.set_column(0, "call_id", pa.array([*ids[:-2], ids[5], ids[9]])),
            "occur several times",
        ),
        ("a missing id", lambda: table.set_column(0, "call_id", pa.array([*ids[:-1], None])), "has no call_id"),
        ("a wrong column", lambda: table.rename_columns(["call_id", "url", "agent"]), "Unknown column 'uri'"),
        ("a column of the result", lambda: table.rename_columns(["call_id", "uri", "emotion"]), "result: emotion"),
        ("no rows", lambda: table.slice(0, 0), "has no rows"),
    ):
        pq.write_table(change(), bad)
        _refused(place, bad, message)
        found.append(name)
    bad.write_bytes(place.manifest.read_bytes()[:-100])
    _refused(place, bad, "cannot be read as Parquet")
    bad.unlink()
    _refused(place, bad, "No such file")
    return f"refused before anything was written, exit code 2: {', '.join([*found, 'a damaged file', 'no file'])}"


def _refused(place: Place, manifest: Path, message: str) -> None:
    said = place.run(place.words(manifest), (2,))
    if message not in said or place.out.exists():
        raise AssertionError(said)


def full_sink(place: Place) -> str:
    """The file system of the results has room for a part of them; then it has more."""
    place.out.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={max(24, place.n // 15)}k", "tmpfs", str(place.out)], check=True
    )
    try:
        said = place.run(place.words(), (2,))
        if "cannot be written: No space left on device" not in said:
            raise AssertionError(said)
        n = sum(pq.read_metadata(path).num_rows for path in place.out.glob("part-*.parquet"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(place.out)], check=True)
        place.run(place.words(None, "--resume"))
        return f"stopped with one line after {n} rows; more room, --resume: {place.compare()}"
    finally:
        subprocess.run(["umount", str(place.out)], check=True)


class _Moody(http.server.BaseHTTPRequestHandler):
    """Serves files: every fifth answer is 503, and names with "hang" are never answered."""

    protocol_version = "HTTP/1.1"
    folder, n_requests, n_refused = Path(), 0, 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Answer."""
        with self.lock:
            kind = type(self)
            kind.n_requests += 1
            is_refused = kind.n_requests % 5 == 0
            kind.n_refused += is_refused
        if "hang" in self.path:
            time.sleep(30)
            return
        content = b"" if is_refused else (self.folder / self.path.strip("/")).read_bytes()
        start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(start) : int(end or len(content)) + 1]
        self.send_response(503 if is_refused else 206)
        self.send_header("Content-Length", str(len(part)))
        if not is_refused:
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def moody_source(place: Place) -> str:
    """A web server refuses every fifth request (503), and never answers for some files."""
    _Moody.folder = place.folder / "clips"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Moody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = [path.name for path in sorted(_Moody.folder.glob("made-*"))]
    n, at = 300, f"http://127.0.0.1:{server.server_port}"
    hangs = {60, 130, 222}
    cells = [f"{at}/hang-{i}.wav" if i in hangs else f"{at}/{names[i % 20]}" for i in range(n)]
    ids = [f"call-{i:05d}" for i in range(n)]
    pq.write_table(pa.table({"call_id": ids, "uri": cells}), place.folder / "web.parquet")
    recognizer = emocatcher.load()
    answers = {name: recognizer.predict(_Moody.folder / name).probability for name in names}
    full, place.expected = (
        place.expected,
        {call: -1.0 if i in hangs else answers[names[i % 20]] for i, call in enumerate(ids)},
    )
    try:
        place.run(place.words(place.folder / "web.parquet"))
        return f"{_Moody.n_requests} requests, {_Moody.n_refused} refused; {place.compare()}"
    finally:
        place.expected = full
        server.shutdown()
        server.server_close()


def object_store(place: Place) -> str:
    """Recordings, manifest and results are in S3 (moto), through s3fs; the command is killed once, and resumed."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", int(os.environ["EMOCATCHER_FAULTS_S3"]))
    server.start()
    try:
        store = s3fs.S3FileSystem()
        store.mkdir("calls")
        store.mkdir("results")
        n, clips = 300, sorted((place.folder / "clips").glob("made-*"))
        for path in clips:
            store.put_file(str(path), f"calls/2026/{path.name}")
        ids = [f"call-{i:05d}" for i in range(n)]
        cells = [
            "s3://calls/2026/missing.wav" if i % 20 == 7 else f"s3://calls/2026/{clips[i % 20].name}" for i in range(n)
        ]
        sink = io.BytesIO()
        pq.write_table(pa.table({"call_id": ids, "uri": cells}), sink)
        store.pipe_file("calls/manifest.parquet", sink.getvalue())
        recognizer = emocatcher.load()
        answers = [recognizer.predict(path).probability for path in clips]
        full, place.expected = (
            place.expected,
            {call: -1.0 if i % 20 == 7 else answers[i % 20] for i, call in enumerate(ids)},
        )
        words = place.words("s3://calls/manifest.parquet", out="s3://results/2026")
        driver = place.start([*words, "--batch", "4"])
        wait_for(lambda: bool(store.glob("results/2026/part-*")), driver)
        driver.kill()
        driver.wait()
        place.run([*words, "--resume"])
        with store.open("results/2026/_manifest.json") as file:
            note = json.load(file)
        parts = store.glob("results/2026/part-*.parquet")
        found = place.compare(pa.concat_tables([pq.read_table(store.open(part)) for part in parts]), note)
        place.expected = full
        listed = place.run(
            [
                *words[:4],
                "s3://calls/2026/",
                "--engine",
                "ray",
                "--address",
                place.cluster.address,
                "--out",
                "s3://results/listed/",
            ]
        )
        if "20 of 20 rows are done" not in listed:
            raise AssertionError(listed)
        return f"{found}; a listed folder: 20 of 20 rows"
    finally:
        server.stop()


TRIALS = [
    wrong_manifests,
    undisturbed,
    node_killed,
    workers_killed,
    driver_killed,
    full_sink,
    moody_source,
    object_store,
]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Any]:
    """A cluster of three nodes, whose processes have the hook."""
    import socket

    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = str(Path(emocatcher.__file__).parents[1])
    os.environ |= {
        "PYTHONPATH": f"{folder / 'hook'}:{source}",
        "EMOCATCHER_FAULTS": secrets.token_hex(8),
        "EMOCATCHER_FAULTS_S3": str(port),
        "EMOCATCHER_URI_TIMEOUT_S": "2",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # for the names of sockets
    (short / "ray").mkdir()
    os.environ["RAY_TMPDIR"] = str(short)
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args=NODE | {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True},
    )
    try:
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(short, ignore_errors=True)


def main() -> None:
    """Run the trials, and write what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", help=", ".join(trial.__name__ for trial in TRIALS))
    parser.add_argument("--n", type=int, default=3000, help="rows")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "emocatcher-faults")
    options = parser.parse_args()
    if not (options.work / "expected.json").exists():
        shutil.rmtree(options.work, ignore_errors=True)
        make(options.work, options.n)
    found = []
    with running(options.work) as cluster:
        place = Place(options.work, cluster, options.n)
        for trial in TRIALS:
            if options.trials and trial.__name__ not in options.trials:
                continue
            shutil.rmtree(place.out, ignore_errors=True)
            start = time.monotonic()
            try:
                outcome = trial(place)
            except (AssertionError, OSError, subprocess.SubprocessError, KeyError) as error:
                outcome = f"FAILED: {error!r}"
            one = Trial(
                trial.__name__.replace("_", " "), (trial.__doc__ or "").strip(), outcome, time.monotonic() - start
            )
            print(one.name, one.outcome, f"{one.seconds:.0f} s", sep=" | ", flush=True)
            found.append(one)
    if not options.trials:
        write(found, len(place.expected))


def write(found: list[Trial], n: int) -> None:
    """Rewrite the section of RESULTS.md."""
    import ray

    rows = [[one.name, one.happened, one.outcome] for one in found]
    text = f"""`python benchmarks/distributed_faults.py`: {n} rows, three nodes of one CPU on one machine. Real RAVDESS
clips and made ones in 20 formats; a twentieth of the rows is broken: no such file, an empty cell or file, text, noise,
a header alone, no samples, and a file that ends the process which opens it. "Answers equal": within {TOLERANCE:g} of
`Recognizer.predict`. {results.software(f"Ray {ray.__version__}")}.

{results.table(["Trial", "What happens", "Outcome"], rows)}
"""
    results.rewrite("Past one machine: faults", text)


if __name__ == "__main__":
    main()
