"""Products in small pieces: the same result, and none so large that a BLAS shares it out between threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocatcher.features import mel
from emocatcher.features.matrix_products import SparseMatrix, multiply
from emocatcher.foundation.settings import load_preset

PROCESSOR_TIME = """
import sys, time
import numpy as np
import emocatcher
recognizer = emocatcher.load(sys.argv[1])
time_s = np.arange(4 * 22_050) / 22_050
voice = (0.2 * np.sin(2 * np.pi * 150 * time_s) * (1 + np.sin(2 * np.pi * 3 * time_s))).astype(np.float32)
recognizer.predict((voice, 22_050))
whole_s, caller_s = time.process_time(), time.thread_time()
for _ in range(100):
    recognizer.predict((voice, 22_050))
print(time.process_time() - whole_s, time.thread_time() - caller_s)
"""


@given(st.integers(0, 300), st.integers(1, 90), st.integers(1, 70))
def test_the_pieces_give_the_whole_product(n_rows: int, n_inner: int, n_columns: int) -> None:
    random = np.random.default_rng(n_rows)
    left = random.standard_normal((n_rows, n_inner)).astype(np.float32)
    right = random.standard_normal((n_inner, n_columns)).astype(np.float32)
    np.testing.assert_allclose(multiply(left, right), left.astype(np.float64) @ right, atol=1e-4)


@pytest.mark.parametrize("preset", ["cabg", "emocatcher-2"])
def test_a_sparse_matrix_gives_the_product_of_the_full_one(preset: str) -> None:
    filters = mel.filters(load_preset(preset).front_end)
    power = np.random.default_rng(0).random((16, len(filters)), np.float32)
    product = np.empty((16, filters.shape[1]), np.float32)
    SparseMatrix(filters).multiply(power, out=product)
    np.testing.assert_allclose(product, power.astype(np.float64) @ filters, rtol=1e-5)


def test_columns_without_a_value_give_zeros() -> None:
    matrix = np.zeros((5, 3), np.float32)
    matrix[2, 1] = 2.0
    product = np.full((4, 3), 7.0, np.float32)
    SparseMatrix(matrix).multiply(np.ones((4, 5), np.float32), out=product)
    assert product.tolist() == [[0.0, 2.0, 0.0]] * 4


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cabg", "emocatcher-2"])
def test_recognition_wakes_no_threads_of_blas(model: str, busy_core: None) -> None:
    """Threads that wait for a busy core spin, so a shared product costs more processor time than its caller uses."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    run = [sys.executable, "-c", PROCESSOR_TIME, model]
    printed = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    whole_s, caller_s = map(float, printed.split())
    assert whole_s < 1.15 * caller_s


@pytest.fixture
def busy_core(tmp_path: Path):
    """Programs that use every core of this machine while the test runs."""
    spin = "import time\nend = time.monotonic() + 120\nwhile time.monotonic() < end: pass"
    programs = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(os.cpu_count() or 1)]
    yield
    for program in programs:
        program.kill()
        program.wait()
