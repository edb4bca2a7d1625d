"""`emocatcher label` as a process: killed and started again, its sound, its model, its end by Ctrl-C."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

import emocatcher
from emocatcher.corpora import manifest

from .conftest import RATE, Server, serving, voice

pytestmark = pytest.mark.slow
_N_CLIPS = 120


class Killed:
    """A folder of clips, and the numbers of those whose labels a server confirmed before it was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "my.csv"
        self.confirmed: list[int] = []
        self.arguments = (folder, "--out", self.out, "--no-browser")

    def written(self) -> list[str]:
        with self.out.open(newline="") as file:
            return [row["path"] for row in csv.DictReader(file)]


def put(server: Server, number: int, label: str) -> None:
    answer = server.request("PUT", f"/v1/label/clips/{number}", json.dumps({"label": label}))
    assert answer.status == 200, answer.body


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(_N_CLIPS):
        (folder / f"{i:03}.wav").write_bytes(voice(1.0))
    (folder / "000.wav").write_bytes(b"RIFF, but no more")
    (folder / f"{_N_CLIPS - 1:03}.wav").write_bytes(voice(3.0))
    session = Killed(folder)
    with serving(tmp_path_factory.mktemp("server"), *session.arguments, name="label") as server:

        def label_all() -> None:
            with suppress(OSError, HTTPException):  # no answer, or half of one: the server is killed
                for number in range(1, _N_CLIPS - 10):
                    put(server, number, ("happy", "sad")[number % 2])
                    session.confirmed.append(number)

        listener = threading.Thread(target=label_all)
        listener.start()
        server.wait_until(lambda: len(session.confirmed) >= 10)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        listener.join()
    return session


@pytest.fixture(scope="module")
def resumed(killed: Killed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), *killed.arguments, name="label") as server:
        yield server


def test_a_kill_loses_no_label_that_was_confirmed(killed: Killed) -> None:
    expected = [f"{number - 1:03}.wav" for number in killed.confirmed]
    written = killed.written()
    assert len(expected) >= 10
    assert written[: len(expected)] == expected
    # The last one may be written, but not confirmed.
    assert len(written) - len(expected) in {0, 1}
    assert len(manifest.read(killed.out)) == len(written)


def test_a_killed_session_is_continued(killed: Killed, resumed: Server) -> None:
    clips = resumed.get("/v1/label").json["clips"]
    decided = [f"{i:03}.wav" for i, clip in enumerate(clips) if clip["decided"]]
    assert decided == killed.written()


def test_a_second_server_for_the_table_is_refused(killed: Killed, resumed: Server) -> None:
    command = [sys.executable, "-m", "emocatcher", "label", *map(str, killed.arguments)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (second.returncode, "is open in another `emocatcher label`" in second.stderr) == (2, True), second.stderr


def test_the_sound_and_the_guess_are_those_of_the_recording(killed: Killed, resumed: Server) -> None:
    sound = resumed.get(f"/v1/label/clips/{_N_CLIPS}/audio")
    assert sound.headers["content-type"] == "audio/wav"
    waveform, rate = emocatcher.audio.load(sound.body)
    assert (len(waveform), rate) == (3 * RATE, RATE)
    resumed.get("/v1/label/clips/1/audio").problem(422, "DecodeError")
    put(resumed, _N_CLIPS, "happy")
    expected = emocatcher.load().predict(killed.folder / f"{_N_CLIPS - 1:03}.wav")
    guess = resumed.get(f"/v1/label/clips/{_N_CLIPS}/guess").json
    assert guess["emotion"] == expected.emotion
    assert guess["probability"] == pytest.approx(expected.probability, abs=1e-5)


def test_ctrl_c_ends_with_the_number_of_labels(killed: Killed, resumed: Server) -> None:
    resumed.process.send_signal(signal.SIGINT)
    assert resumed.process.wait(20) == 0
    log = resumed.log.read_text()
    assert f"{len(killed.written())} of {_N_CLIPS} clips labelled" in log
    assert "Run the same command again" in log
    left = [path.name for path in killed.folder.iterdir() if path.suffix != ".wav"]
    assert left == ["my.csv"]
