"""The commands of docs/many-machines.md run in their order, on a cluster of three nodes and an S3 store on loopback."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tutorial

PAGE = Path(__file__).parents[2] / "docs" / "many-machines.md"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
SMALLER = {"loso-24": "speakers-2", "kfold-10": "speakers-2", "0,1,2": "0,1", "16": "2"}
SHORT = {"predict": ["--model", "cabg"], "timeline": ["--model", "cabg"]} | {
    "train": ["--preset", "cabg", "--epochs", "1"]
}
SWEEP = 'preset = "cabg"\nprotocol = "speakers-2"\nfolds = [0]\ninner = 2\nset = ["training.n_epochs=1"]\n'


# Not in .ci/run, because it takes a minute and a half; tests/distributed has its parts.
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("s3_server")
def test_the_commands_of_the_page_run_in_their_order(cluster, voices_dir: Path, tmp_path: Path):
    fsspec = pytest.importorskip("fsspec")
    store, clips = fsspec.filesystem("s3"), sorted(voices_dir.rglob("*.wav"))[:6]
    store.mkdir("results")
    for clip in clips:
        store.put(str(clip), f"calls/2026/{clip.name}")
    table = pa.table({"call_id": [clip.name for clip in clips], "uri": list(map(str, clips))})
    pq.write_table(table, tmp_path / "manifest.parquet")
    (tmp_path / "calls").mkdir()  # a folder of tables
    pq.write_table(table, tmp_path / "calls" / "1.parquet")
    (tmp_path / "sweep.toml").write_text(f'{SWEEP}\n[[setting]]\nname = "as it is"\n')
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "ravdess").symlink_to(voices_dir, target_is_directory=True)
    variables = os.environ | {"EMOCATCHER_CORPORA": str(tmp_path / "corpora"), "EMOCATCHER_CACHE": str(tmp_path / "c")}
    python = ["import ray", f"ray.init({cluster.address!r}, log_to_driver=False)"]
    n_commands = 0
    for language, body in FENCED.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python" and "df" not in body:  # those are of Spark and Dask
            python.append(body.replace("manifest.parquet", str(tmp_path / "manifest.parquet")))  # from any node
        for words in [] if language else tutorial.commands(body):
            given = [SMALLER.get(word, word).replace("/shared/", f"{tmp_path}/shared/") for word in words[1:]]
            given = [cluster.address if word in ("auto", "head:6379") else word for word in given]
            run([sys.executable, "-m", "emocatcher", *given, *SHORT.get(given[0], [])], tmp_path, variables)
            n_commands += 1
    assert n_commands == 8
    run([sys.executable, "-c", "\n".join(python)], tmp_path, variables)
    assert pq.read_table(tmp_path / "results").num_rows == pq.read_table(tmp_path / "results.parquet").num_rows == 6
    assert pq.read_table(tmp_path / "timelines" / "recordings").num_rows == 6
    assert "results/2026/_manifest.json" in store.ls("results/2026")
    assert (tmp_path / "runs" / "loso" / "comparison.html").is_file()


def run(words: list[str], folder: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
