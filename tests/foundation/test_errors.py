import inspect
import pickle
import re

import pytest

from emocatcher.foundation import errors, installation

TREE = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}


def make(kind):
    if issubclass(kind, errors.AudioError):
        return kind("a.wav", "is truncated")
    if kind is errors.UriError:
        return kind("s3://bucket/a.wav", "no such file", "missing")
    return kind("training", "train") if kind is errors.MissingExtraError else kind("wrong 3. Allowed: 1, 2")


@pytest.mark.parametrize("kind", sorted(TREE, key=lambda kind: kind.__name__))
def test_every_error_is_an_emocatcher_error_and_can_be_pickled(kind):
    error = make(kind)
    assert isinstance(error, errors.EmoCatcherError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert "\n" not in str(error)


def test_the_tree_in_the_docstring_matches_the_classes():
    drawn, parents = {}, []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^([│ ├└─]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            parents[depth:] = [found[2]]
            drawn[found[2]] = parents[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in TREE}


def test_an_audio_error_names_the_file():
    error = errors.DecodeError("clip.wav", "is text")
    assert str(error) == "clip.wav: is text"
    assert (error.source, error.reason) == ("clip.wav", "is text")


def test_a_missing_extra_names_the_command_to_install_it():
    text = str(errors.MissingExtraError("Parquet", "batch", "CSV needs none"))
    assert text == (
        "Parquet needs the extra 'batch' (CSV needs none). Install it with: " + installation.install_command("batch")
    )


def test_suggest_names_the_closest_and_all_allowed():
    near = errors.suggest("hapy", iter(["sad", "happy"]), "emotion")
    assert near == "Unknown emotion 'hapy'. Did you mean 'happy'? Allowed: sad, happy"
    assert "Did you mean" not in errors.suggest("zzz", ["sad", "happy"], "emotion")
