"""Feature tables whose rows all processes of a training pool share."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emocatcher.foundation.errors import FeatureCacheError
from emocatcher.training.dataset import FeatureTable
from emocatcher.training.shared_rows import RowFile
from emocatcher.training.training_pool import TrainingPool


def apply(task: tuple[Callable[[Any], Any], Any]) -> Any:
    function, argument = task
    return function(argument)


def is_writeable(table: FeatureTable) -> bool:
    return bool(table.rows.flags.writeable)


def test_workers_map_the_rows_of_shared_tables() -> None:
    random = np.random.default_rng(0)
    tables = [
        FeatureTable(random.normal(size=(sum(lengths), n)).astype(np.float32), "abc", np.array(lengths))
        for n, lengths in ((64, (300, 200, 100)), (7, (1, 2, 3)))
    ]
    with TrainingPool(2, os.getpid, lambda _: None) as pool:
        shared = [pool.share(table) for table in tables]
        digests = [(FeatureTable.digest, table) for table in shared for _ in range(2)]
        found = list(pool.run(apply, digests))
        (writeable,) = pool.run(apply, [(is_writeable, shared[0])])
    assert sorted(found) == sorted(table.digest() for table in tables for _ in range(2))
    assert not writeable
    assert len(pickle.dumps(shared[0])) < tables[0].rows.nbytes / 10
    np.testing.assert_array_equal(shared[1].clip("c"), tables[1].clip("c"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_under_shared_tables_is_named() -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(FeatureCacheError, match="TMPDIR"):
        FeatureTable(np.ones((9, 4), np.float32), "a", np.array([9])).share(RowFile(full))
