"""Measure how fast the page answers in headless Chromium: `python benchmarks/page.py` after `make page`.

Rewrites its section of RESULTS.md. The recordings are from RAVDESS where EMOCATCHER_CORPORA has it, else synthetic.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

from emocatcher import audio, corpora
from emocatcher.corpora import synthetic
from results import rewrite, software, table

BUILT = Path(__file__).parents[1] / "dist" / "page"
RATE = 48_000
N_RUNS = 15
# Records when a file is chosen, when its answer is drawn, and when all windows are drawn.
WATCH = """() => {
    const result = document.querySelector(".result");
    const input = document.querySelector(".entry input[type=file]");
    window.seen = {};
    input.addEventListener("change", () => { window.seen = { given: performance.now() }; }, true);
    new MutationObserver(() => { window.seen[result.dataset.state] ??= performance.now(); })
        .observe(result, { attributes: true, attributeFilter: ["data-state"] });
}"""


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def recordings(folder: Path) -> dict[str, Path]:
    """Write 3.7 s and 10 s of speech as WAV files at 48 kHz."""
    root = os.environ.get("EMOCATCHER_CORPORA")
    if root and (Path(root) / "ravdess").is_dir():
        paths = sorted((Path(root) / "ravdess").rglob("03-01-*"))[:4]
    else:
        synthetic.generate(folder / "voices", n_voices=1)
        paths = [one.path for one in corpora.load(str(folder / "voices")).utterances][:8]
    sound = np.concatenate([audio.load(path, RATE)[0] for path in paths])
    lengths_s = {"3.7 s": 3.7, "10 s": 10.0}
    for length_s in lengths_s.values():
        soundfile.write(folder / f"{length_s}.wav", sound[: round(length_s * RATE)], RATE, subtype="PCM_16")
    return {name: folder / f"{length_s}.wav" for name, length_s in lengths_s.items()}


def measure(page: Page, path: Path) -> dict[str, float]:
    """Time one recording: milliseconds to the answer, within that in the worker, and to the last window."""
    page.set_input_files(".entry input[type=file]", str(path))
    page.wait_for_selector(".result[data-state=complete]")
    seen: dict[str, float] = page.evaluate("window.seen")
    took = float(page.evaluate("document.querySelector('.result').dataset.tookMs"))
    return {
        "answer": seen["answered"] - seen["given"],
        "network": took,
        "windows": seen["complete"] - seen["given"],
    }


def rows(browser: Any, address: str, paths: dict[str, Path]) -> tuple[list[list[str]], float]:
    """Return the table's rows, and the seconds from the page request until the network is ready."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("html[data-network=ready]")
    ready_s = time.perf_counter() - start
    page.evaluate(WATCH)
    found = []
    for name, path in paths.items():
        runs = [measure(page, path) for _ in range(N_RUNS)]
        cells = [f"{statistics.median(run[what] for run in runs):.0f}" for what in ("answer", "network", "windows")]
        answers = [run["answer"] for run in runs]
        found.append(
            [name, *(f"{one:.0f}" for one in (answers[0], min(answers))), cells[0], f"{max(answers):.0f}", *cells[1:]]
        )
    return found, ready_s


def main() -> None:
    """Measure, then print and write the results."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(BUILT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        version = browser.version
        load = os.getloadavg()[0]
        found, ready_s = rows(browser, f"http://127.0.0.1:{server.server_port}/", recordings(Path(folder)))
        browser.close()
    server.shutdown()
    first = [BUILT / "index.html", *(BUILT / "assets").glob("index-*")]
    sizes = ", ".join(f"{path.suffix[1:]} {path.stat().st_size / 1000:.0f} kB" for path in first)
    header = ["sound, ms to", "first answer", "best", "median", "worst", "network, part of the median", "all windows"]
    text = (
        f"`python benchmarks/page.py` after `make page`; headless Chromium {version}, WebAssembly on one thread, "
        f"{N_RUNS} runs; {software()}; load of the machine before the start: {load:.1f}.\n\n"
        f"{table(header, found)}\n\n"
        "Times are from choosing a file until its answer is drawn, including decoding and resampling; the timeline's "
        f"windows follow. The network is ready {ready_s:.1f} s after the page is requested, from this machine. "
        f"Size of the first view, before the network is requested, uncompressed: {sizes}. Wanted: the first answer "
        "within 2,000 ms on a loaded page, 10 s of sound within 600 ms."
    )
    rewrite("The page in a browser", text)
    print(text)


if __name__ == "__main__":
    main()
