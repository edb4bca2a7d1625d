import numpy as np

from emocatcher.evaluation.scoring.softmax import softmax


def test_it_sums_to_one_and_orders_as_the_logits_do():
    logits = np.random.default_rng(0).normal(0, 50, (20, 8)).astype(np.float32)
    for temperature in (0.3, 1.0, 4.0):
        found = softmax(logits, temperature)
        np.testing.assert_allclose(found.sum(axis=1), 1.0)
        np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))
    assert (softmax(logits, 4.0).max(axis=1) < softmax(logits, 1.0).max(axis=1) + 1e-12).all()


def test_a_temperature_divides_the_logits():
    logits = np.random.default_rng(0).normal(0, 2, (20, 8))
    np.testing.assert_allclose(softmax(logits, 2.0), softmax(logits / 2))
