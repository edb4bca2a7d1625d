"""The published figures of EmoCatcher (Kim Seonju 2023), for comparison with a run's own."""

from __future__ import annotations

import msgspec

from emocatcher.evaluation.scoring.run_result import AllEpochs, LastEpochs, Result

SOURCE = "Kim Seonju 2023, hwang9u/emocatcher"
N_EPOCHS = 120
_NAN = float("nan")


class Published(msgspec.Struct, frozen=True):
    """The figures published for one protocol; NaN where none was published.

    The standard deviation `best_test_std` is over folds, `last_10_std` over epochs.
    """

    accuracy: AllEpochs
    best_test_std: float
    loss: LastEpochs
    train_accuracy: LastEpochs
    train_loss: LastEpochs
    best_test_of_folds: tuple[float, ...] = ()
    last_of_folds: tuple[float, ...] = ()


_UNKNOWN = LastEpochs(last=_NAN, last_10_mean=_NAN, last_10_std=_NAN)

PUBLISHED = {
    "reference-holdout": Published(
        accuracy=AllEpochs(last=0.8542, last_10_mean=0.8526, last_10_std=0.0118, best_test=0.8715),
        best_test_std=_NAN,
        loss=LastEpochs(last=_NAN, last_10_mean=0.8693, last_10_std=0.0126),
        train_accuracy=LastEpochs(last=_NAN, last_10_mean=0.9888, last_10_std=0.0037),
        train_loss=LastEpochs(last=_NAN, last_10_mean=0.6321, last_10_std=0.0059),
    ),
    "reference-cv5": Published(
        accuracy=AllEpochs(last=0.8187, last_10_mean=_NAN, last_10_std=_NAN, best_test=0.8417),
        best_test_std=0.0236,
        loss=_UNKNOWN,
        train_accuracy=_UNKNOWN,
        train_loss=_UNKNOWN,
        best_test_of_folds=(0.8438, 0.8090, 0.8576, 0.8750, 0.8229),
        last_of_folds=(0.8229, 0.7639, 0.8299, 0.8576, 0.8194),
    ),
}


def comparable(result: Result) -> Published | None:
    """Return the published figures that a run may be compared with; None where the comparison would mislead."""
    if result.preset != "cabg" or result.corpus != "ravdess" or result.synthetic:
        return None
    return PUBLISHED.get(result.protocol)
