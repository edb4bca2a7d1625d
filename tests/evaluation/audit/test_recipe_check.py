"""A recipe that is fitted on more than the training part is found."""

from __future__ import annotations

from emocatcher.evaluation.audit.recipe_check import FITTED, Fitted, beyond_training
from emocatcher.foundation.settings import Settings


def test_the_default_recipe_is_fitted_on_the_training_part_only(settings):
    assert beyond_training(settings) == []


def test_every_section_of_the_settings_is_declared():
    assert set(FITTED) == set(Settings.__struct_fields__) - {"preset"}


def test_fitting_on_the_test_part_is_found(settings):
    fitted = {**FITTED, "front_end": (Fitted("mean and variance", ("train", "test")),)}
    assert beyond_training(settings, fitted) == ["mean and variance of [front_end]: fitted on train and test"]


def test_an_undeclared_section_is_found(settings):
    fitted = {name: what for name, what in FITTED.items() if name != "vad"}
    assert beyond_training(settings, fitted) == ["what [vad] fits is not declared"]
