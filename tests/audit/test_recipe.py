"""A recipe that learns from more than the training part is found."""

from __future__ import annotations

from emocatcher.audit.recipe import FITTED, Fitted, beyond_training
from emocatcher.config import Settings


def test_the_recipes_there_are_learn_from_training_alone(settings):
    assert beyond_training(settings) == []


def test_every_section_of_the_settings_is_known():
    assert set(FITTED) == set(Settings.__struct_fields__) - {"preset"}


def test_what_is_fitted_on_the_test_part_too_is_found(settings):
    fitted = {**FITTED, "front_end": (Fitted("mean and variance", ("train", "test")),)}
    assert beyond_training(settings, fitted) == ["mean and variance of [front_end]: fitted on train and test"]


def test_a_section_nobody_answers_for_is_found(settings):
    fitted = {name: what for name, what in FITTED.items() if name != "vad"}
    assert beyond_training(settings, fitted) == ["what [vad] learns is not known"]
