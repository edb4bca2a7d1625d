"""`RecogniseBatch` in Ray Data: the call of the docs, on real actors."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import emocatcher
from emocatcher.distributed import RecogniseBatch
from emocatcher.distributed.cluster import connected

MODEL = "cabg"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray itself
def test_ray_data_maps_batches(ray_cluster, voices_dir: Path, tmp_path: Path):
    clips = [str(path) for path in sorted(voices_dir.rglob("*.wav"))[:6]]
    cells = [*clips, *(str(tmp_path / f"missing{n}.wav") for n in range(5)), None]
    pq.write_table(pa.table({"call_id": range(len(cells)), "uri": cells}), tmp_path / "manifest.parquet")
    with connected(ray_cluster.address):
        import ray

        table = ray.data.read_parquet(str(tmp_path / "manifest.parquet"))
        table.map_batches(
            RecogniseBatch,
            fn_constructor_kwargs={"model": MODEL, "column": "uri", "id_column": "call_id"},
            compute=ray.data.ActorPoolStrategy(size=1),
            batch_size=3,
        ).write_parquet(str(tmp_path / "results"))
    result = pq.read_table(tmp_path / "results").sort_by("call_id").to_pydict()
    assert result["call_id"] == list(range(len(cells)))
    assert [error or "" for error in result["error"]] == [""] * 6 + ["DecodeError"] * 5 + ["EmptyCell"]
    recognizer = emocatcher.load(MODEL)
    assert result["probability"][:6] == [recognizer.predict(clip).probability for clip in clips]
