"""Matrix products that stay on the calling thread, whatever library of linear algebra NumPy uses.

Such a library (BLAS) gives a part of a large product to each core and waits for all of them. For the products of one
clip that saves nothing, and beside other programs the waiting costs many times the work. OpenBLAS does not do so up to
2^18 multiplications.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 1 << 17  # multiplications in one product


def multiply(
    left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Multiply two matrices, some rows of the left one at a time.

    Args:
        left: shape (n_rows, n_inner), with many rows.
        right: shape (n_inner, n_columns), small.
        out: shape (n_rows, n_columns), for the result; None for a new array.

    Examples:
        >>> left, right = np.ones((1000, 50), np.float32), np.ones((50, 48), np.float32)
        >>> bool((multiply(left, right) == 50.0).all())
        True
    """
    if out is None:
        out = np.empty((len(left), right.shape[1]), np.result_type(left, right))
    n = max(LARGEST // max(right.size, 1), 1)
    for start in range(0, len(left), n):
        np.matmul(left[start : start + n], right, out=out[start : start + n])
    return out


class SparseMatrix:
    """A matrix whose columns are zero outside a range of rows, such as mel filters; it multiplies from the right.

    Args:
        matrix: shape (n_rows, n_columns), float32.
        n_left: number of rows of the matrices that will be multiplied with it; more are possible, but slower.
    """

    def __init__(self, matrix: NDArray[np.float32], n_left: int = 16) -> None:
        self.shape = matrix.shape
        self._blocks = [
            (rows, columns, np.ascontiguousarray(matrix[rows, columns]))
            for rows, columns in _split(matrix, slice(0, matrix.shape[1]), LARGEST // n_left)
        ]

    def multiply(self, left: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the product into `out`.

        Args:
            left: shape (n, n_rows), float32.
            out: shape (n, n_columns), float32.
        """
        for rows, columns, block in self._blocks:
            multiply(left[:, rows], block, out=out[:, columns])


def _split(matrix: NDArray[np.float32], columns: slice, largest: int) -> list[tuple[slice, slice]]:
    """Halve a range of columns until the rows that it uses make a block of at most `largest` elements."""
    used = np.flatnonzero(matrix[:, columns].any(axis=1))
    rows = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
    n_columns = columns.stop - columns.start
    if (rows.stop - rows.start) * n_columns <= largest or n_columns == 1:
        return [(rows, columns)]
    middle = columns.start + n_columns // 2
    return [
        *_split(matrix, slice(columns.start, middle), largest),
        *_split(matrix, slice(middle, columns.stop), largest),
    ]
