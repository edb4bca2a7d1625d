"""The number of cores that a process may use."""

import os
from pathlib import Path

import pytest

from emocatcher.foundation.process_setup import usable_cores

N_CORES = usable_cores(Path("none"))


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", min(2, N_CORES)),
        ("6400000 100000", N_CORES),
        ("max 100000", N_CORES),
        ("0 0", N_CORES),
        ("", N_CORES),
    ],
)
def test_a_container_uses_the_cores_of_its_share_of_time(tmp_path: Path, stated: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{stated}\n")
    assert usable_cores(tmp_path / "cpu.max") == expected


def test_without_a_share_the_process_uses_its_cores() -> None:
    assert 1 <= N_CORES <= (os.cpu_count() or 1)
