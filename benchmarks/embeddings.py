"""Train a logistic regression on the embeddings of RAVDESS speech, and test it on other speakers.

    python benchmarks/embeddings.py [MODEL ...]

RAVDESS lies in EMOCATCHER_CORPORA. The folds are those of `emobox-6`: four speakers are left out in each. How strongly
the regression is regularised is chosen by four folds of the training speakers. The encoder saw no label of RAVDESS: it
is frozen, and the vectors depend on a training only by the mean and the deviation of each value.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold

import emocatcher
import results
from emocatcher import corpora
from emocatcher.evaluation import protocols
from emocatcher.evaluation.scoring import metrics
from emocatcher.foundation import process_setup
from emocatcher.integrations.scikit_learn import EmotionEmbedder

HEADING = "Embeddings"
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # values of C


def main() -> None:
    """Measure the models, and write the section."""
    header = ("model", "values", "embedding 1,440 clips, s", "UAR", "accuracy")
    rows = [measure(model) for model in sys.argv[1:] or [None]]
    text = f"{results.about(__doc__)}\n\n{results.table(header, rows)}\n\n{results.software()}."
    results.rewrite(HEADING, text)


def measure(model: str | None) -> tuple[str, ...]:
    """Embed all clips, and test on the speakers of each fold."""
    corpus = corpora.load("ravdess")
    began = time.perf_counter()
    vectors = EmotionEmbedder(model, workers=process_setup.usable_cores()).transform([one.path for one in corpus])
    took_s = time.perf_counter() - began
    place = {one.id: n for n, one in enumerate(corpus)}
    true = np.array([corpus.labels.index(one.emotion) for one in corpus])
    speakers = np.array([one.speaker for one in corpus])
    predicted = np.full(len(corpus), -1)
    for fold in protocols.load("emobox-6", corpus, 0).folds:
        train, test = ([place[name] for name in part] for part in (fold.train, fold.test))
        regression = LogisticRegression(max_iter=2000)
        folds = GroupKFold(4)
        search = GridSearchCV(regression, {"C": STRENGTHS}, scoring="balanced_accuracy", cv=folds)
        predicted[test] = search.fit(vectors[train], true[train], groups=speakers[train]).predict(vectors[test])
    confusion = metrics.confusion_matrix(true, predicted, len(corpus.labels))
    uar, accuracy = metrics.unweighted_average_recall_score(confusion), metrics.accuracy_score(confusion)
    name = emocatcher.load(model).config.name
    return f"`{name}`", str(vectors.shape[1]), f"{took_s:.0f}", f"{100 * uar:.1f}", f"{100 * accuracy:.1f}"


if __name__ == "__main__":
    main()
