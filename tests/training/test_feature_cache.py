"""Features that are saved in parts while they are computed, and that all processes of a training map."""

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import FeatureCacheError
from emocatcher.training import feature_cache
from emocatcher.training.feature_cache import FeatureCache, FeatureTable
from emocatcher.training.training_pool import TrainingPool

LENGTHS = {"a": 300, "b": 200, "c": 1, "d": 7}
NAME = "mine-0123.safetensors"


def clips(n_channels: int = 64) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(n_channels)
    return {key: random.normal(size=(n_channels, n)).astype(np.float32) for key, n in LENGTHS.items()}


def fill(path: Path, some: str = "abcd") -> FeatureTable:
    with FeatureCache(path) as cache:
        for key in some:
            cache.add(key, clips()[key])
    return cache.table(tuple(some), tuple(some))


def assert_complete(table: FeatureTable, ids: str = "abcd") -> None:
    assert table.ids == tuple(ids)
    for id_ in ids:
        np.testing.assert_array_equal(table.clip(id_), clips()[id_])


def apply(task: tuple[Callable[[Any], Any], Any]) -> Any:
    function, argument = task
    return function(argument)


def is_writeable(table: FeatureTable) -> bool:
    return bool(table.clip("a").flags.writeable)


def test_features_added_over_time_are_one_table(tmp_path: Path) -> None:
    fill(tmp_path / NAME, "ba")
    fill(tmp_path / NAME, "dab")  # two of them are there already
    assert len(list(tmp_path.iterdir())) == 2
    assert_complete(fill(tmp_path / NAME, "abcd"))
    fill(tmp_path / "mine-4567.safetensors", "c")
    cache = FeatureCache(tmp_path / NAME)
    assert all(key in cache for key in "abcd")
    assert "e" not in cache
    assert_complete(cache.table("abcd", "abcd").select(["d", "b"]), "db")


def test_a_file_of_an_earlier_version_is_used(tmp_path: Path) -> None:
    rows = np.concatenate([clips()[key].T for key in "abcd"])
    lengths = np.array([*LENGTHS.values()], np.int64)
    atomic_files.write_tensors(tmp_path / NAME, {"rows": rows, "lengths": lengths}, {"ids": list("abcd")})
    table = FeatureCache(tmp_path / NAME).table("abcd", "abcd")
    assert_complete(table)
    # The hash by which a run of an earlier version is resumed.
    assert table.digest() == hashlib.sha256(b"a\nb\nc\nd" + lengths.tobytes() + rows.tobytes()).hexdigest()


def test_a_large_table_is_saved_in_parts_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "_LARGEST_PART", 64 * 4 * 250)
    cache = FeatureCache(tmp_path / NAME)
    found = []
    for key in "abcd":
        cache.add(key, clips()[key])
        found.append(len(list(tmp_path.iterdir())))
    assert found == [1, 1, 1, 1]
    cache.save()
    assert len(list(tmp_path.iterdir())) == 2
    assert_complete(cache.table("abcd", "abcd"))


def test_slow_work_is_saved_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(feature_cache.time, "monotonic", lambda: now[0])
    cache = FeatureCache(tmp_path / NAME)
    n_seconds = 36_000
    for second in range(0, n_seconds, 10):
        now[0] += 10.0
        cache.add(str(second), np.ones((8, 1), np.float32))
    saved = FeatureCache(tmp_path / NAME)
    n_lost = sum(str(second) not in saved for second in range(0, n_seconds, 10))
    assert n_lost * 10 <= 0.1 * n_seconds + 10
    assert len(list(tmp_path.iterdir())) < 60


def test_a_killed_process_leaves_what_it_saved(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from emocatcher.training import feature_cache\n"
        "feature_cache._SAVE_AFTER_S = feature_cache._SAVE_SHARE = 0.0\n"
        "cache = feature_cache.FeatureCache(Path(sys.argv[1]))\n"
        "for key in 'ab': cache.add(key, np.ones((4, 5)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / NAME)], check=False)
    cache = FeatureCache(tmp_path / NAME)
    assert "a" in cache
    assert "b" in cache


def test_after_an_error_what_was_added_is_saved(tmp_path: Path) -> None:
    def interrupted() -> None:
        with FeatureCache(tmp_path / NAME) as cache:
            cache.add("a", clips()["a"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "a" in FeatureCache(tmp_path / NAME)


def test_a_damaged_part_leaves_the_others(tmp_path: Path) -> None:
    fill(tmp_path / NAME, "ab")
    (first,) = tmp_path.iterdir()
    fill(tmp_path / NAME, "cd")
    whole = bytearray(first.read_bytes())
    whole[len(whole) // 2] ^= 1
    first.write_bytes(whole)
    cache = FeatureCache(tmp_path / NAME)
    assert [key in cache for key in "abcd"] == [False, False, True, True]
    assert_complete(fill(tmp_path / NAME, "abcd"))
    assert len(list(tmp_path.iterdir())) == 2  # the damaged one was written again


def test_workers_map_the_files(tmp_path: Path) -> None:
    table = fill(tmp_path / NAME)
    with TrainingPool(2, os.getpid, lambda _: None) as pool:
        found = list(pool.run(apply, [(FeatureTable.digest, table)] * 3))
        (writeable,) = pool.run(apply, [(is_writeable, table)])
    assert found == [table.digest()] * 3
    assert not writeable
    assert len(pickle.dumps(table)) < 1000


def test_a_file_that_was_removed_is_named(tmp_path: Path) -> None:
    table = fill(tmp_path / NAME)
    (file,) = tmp_path.iterdir()
    file.unlink()
    with pytest.raises(FeatureCacheError, match="Start again") as caught:
        table.clip("a")
    assert str(file) in str(caught.value)


def test_many_parts_need_few_open_files(tmp_path: Path) -> None:
    if sys.version_info < (3, 13) or not Path("/proc/self/fd").is_dir():
        pytest.skip("needs Python 3.13 on Linux")
    table = fill(tmp_path / NAME)
    opened = Path("/proc/self/fd")
    before = len([*opened.iterdir()])
    table.clip("a")
    assert len([*opened.iterdir()]) == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_a_table_larger_than_the_memory_of_its_process_is_written_and_read(tmp_path: Path) -> None:
    program = (
        "import re, sys; from pathlib import Path; import numpy as np\n"
        "from emocatcher.training import feature_cache\n"
        "def anonymous(): return int(re.search(r'RssAnon:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "feature_cache._LARGEST_PART = 1 << 23\n"
        "start = most = anonymous()\n"
        "with feature_cache.FeatureCache(Path(sys.argv[1])) as cache:\n"
        "    for key in range(400):\n"
        "        cache.add(str(key), np.full((80, 1000), key, np.float32))\n"
        "        most = max(most, anonymous())\n"
        "ids = [str(key) for key in range(400)]\n"
        "table = cache.table(ids, ids)\n"
        "for key in ids:\n"
        "    assert (table.clip(key) == int(key)).all()\n"
        "    most = max(most, anonymous())\n"
        "print(most - start)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / NAME)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    n_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert n_bytes > 120e6
    assert int(found.stdout) * 1024 < n_bytes / 3
