"""The transformer works where scikit-learn's own do: in pipelines, clones, searches and cross-validation."""

from pathlib import Path

import numpy as np
import pytest

from emocatcher.foundation.errors import AudioError, SettingError

sklearn = pytest.importorskip("sklearn", reason="needs the extra 'train'")

from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GroupKFold, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import emocatcher  # noqa: E402
from emocatcher.integrations.scikit_learn import EmotionEmbedder  # noqa: E402


@pytest.fixture(scope="module")
def few(voices):
    """Eighteen clips of three voices: sad or angry."""
    chosen = [one for one in voices if one.emotion in ("sad", "angry")]
    return [one for speaker in voices.speakers[:3] for one in [o for o in chosen if o.speaker == speaker][:30:5]]


def test_it_gives_the_vectors_of_the_recogniser(few) -> None:
    paths = [str(one.path) for one in few[:3]]
    matrix = EmotionEmbedder("cabg").fit_transform(paths)
    assert (matrix.shape, matrix.dtype) == ((3, 128), np.float32)
    recognizer = emocatcher.load("cabg")
    assert np.array_equal(matrix, np.stack([recognizer.embed(path) for path in paths]))
    assert np.array_equal(EmotionEmbedder("cabg").transform(np.array(paths)[:, None]), matrix)  # a column of a table


def test_its_parameters_are_those_of_scikit_learn() -> None:
    embedder = EmotionEmbedder("cabg", channels="left", workers=2)
    assert embedder.get_params() == {"model": "cabg", "channels": "left", "workers": 2, "errors": "raise"}
    copy = clone(embedder).set_params(errors="nan")
    assert (copy.model, copy.errors, embedder.errors) == ("cabg", "nan", "raise")
    assert list(EmotionEmbedder("cabg").get_feature_names_out()[:2]) == ["e0", "e1"]


@pytest.mark.slow
def test_it_works_in_a_pipeline_and_in_cross_validation_by_speaker(few) -> None:
    pipeline = make_pipeline(EmotionEmbedder("cabg"), StandardScaler(), LogisticRegression())
    paths, labels = [str(one.path) for one in few], [one.emotion for one in few]
    scores = cross_val_score(pipeline, paths, labels, groups=[one.speaker for one in few], cv=GroupKFold(3))
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert set(clone(pipeline).fit(paths, labels).predict(paths[:2])) <= {"sad", "angry"}


@pytest.mark.slow
def test_a_recording_that_cannot_be_used_is_an_error_or_a_row_of_nan(few, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    sources = [str(few[0].path), str(tmp_path / "broken.wav"), (np.zeros(16_000, np.float32), 16_000)]
    with pytest.raises(AudioError, match=r"broken\.wav"):
        EmotionEmbedder("cabg").transform(sources)
    matrix = EmotionEmbedder("cabg", errors="nan").transform(sources)
    assert np.isnan(matrix).all(axis=1).tolist() == [False, True, True]
    with pytest.raises(SettingError, match="Unknown errors 'ignore'"):
        EmotionEmbedder("cabg", errors="ignore").transform(sources)


def test_no_recordings_give_an_empty_matrix() -> None:
    assert EmotionEmbedder("cabg").transform([]).shape == (0, 128)


def test_one_recording_and_a_table_of_several_columns_are_refused() -> None:
    embedder = EmotionEmbedder("cabg", errors="nan")  # which hides what each letter or cell would give
    for one in ("clip.wav", b"RIFF", Path("clip.wav"), (np.zeros(16_000, np.float32), 16_000)):
        with pytest.raises(TypeError, match="Give a list"):
            embedder.transform(one)
    with pytest.raises(SettingError, match="3 columns"):
        embedder.transform(np.full((2, 3), "clip.wav"))
