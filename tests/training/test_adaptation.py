"""A model is adapted to a few recordings: what is chosen, what is refused, and the folder that comes of it."""

import msgspec
import numpy as np
import pytest

from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.evaluation.scoring.adaptation import AS_IT_IS
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.errors import CorpusError, ModelError
from emocatcher.foundation.settings import load_preset
from emocatcher.models import encoder_weights, model_folder
from emocatcher.recognition import settling
from emocatcher.recognition.recognizer import load
from emocatcher.reports import adaptation as page
from emocatcher.training import adaptation
from emocatcher.training.adaptation import chosen_recordings, linear_layer, own_answers, steps
from emocatcher.training.adaptation.linear_layer import Layer

from ..conftest import InProcess
from ..models.encoder_folder import write_encoder

KNOWN = ("neutral", "happy", "sad", "angry")


def corpus_of(path, *labels: str, speakers: tuple[str | None, ...] = (None,)) -> Corpus:
    utterances = tuple(
        Utterance(id=str(i), path=path, emotion=label, speaker=speakers[i % len(speakers)])
        for i, label in enumerate(labels)
    )
    return Corpus(name="mine", utterances=utterances, labels=tuple(sorted(set(labels))))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model with a small random encoder, and a linear layer that answers anything."""
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from emocatcher.models.networks import registry
    from emocatcher.models.onnx_graphs import to_onnx
    from emocatcher.training.encoding import load_encoder

    folder = tmp_path_factory.mktemp("models")
    write_encoder(folder / "encoder")
    changes = [f'encoder.source="{folder / "encoder"}"', "encoder.n_layers=2", "network.n_copies=1"]
    settings = encoder_weights.resolve(load_preset("emocatcher-3", changes))
    torch.manual_seed(0)
    network = registry.build(settings, len(KNOWN)).eval()
    load_encoder(network, settings)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    training = model_folder.Training(
        corpus="other", licence="CC BY 4.0", protocol="all", fold=None, speakers_shared=None, selection="last",
        epoch=1, seed=0,
    )  # fmt: skip
    config = model_folder.ModelConfig(
        name="base", version="0", labels=KNOWN, settings=settings, training=training, n_parameters=1, temperature=1.5,
        longest_voiced_s=9.0,
    )  # fmt: skip
    kept = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    return model_folder.write(folder / "base", config, kept, to_onnx(weights, settings, KNOWN))


@pytest.fixture(scope="module")
def few(voices):
    """Some 40 clips of four voices: the labels 'happy', 'sad', and 'bored' for those of disgust."""
    renamed = {"happy": "Happiness", "sad": "sad", "disgust": "bored"}
    chosen = [one for one in voices if one.emotion in renamed][::2]
    utterances = tuple(msgspec.structs.replace(one, emotion=renamed[one.emotion]) for one in chosen)
    return Corpus(name="mine", utterances=utterances, labels=("Happiness", "bored", "sad"), licence="CC0")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, model, few):
    notes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation, "TrainingPool", InProcess)
        folder = tmp_path_factory.mktemp("adapted")
        first = adaptation.adapt(model, few, folder / "mine", name="mine", on_note=notes.append)
        again = adaptation.adapt(model, few, folder / "again", name="mine")
    assert not notes
    for name in (model_folder.WEIGHTS, model_folder.ONNX):
        assert (first.path / name).read_bytes() == (again.path / name).read_bytes()
    return first


def test_the_adapted_model_is_a_model_folder_with_the_labels_of_the_recordings(adapted, few):
    recognizer = load(adapted.path)
    assert recognizer.config.labels == ("happy", "sad", "bored")
    right = [
        recognizer.predict(one.path).emotion == (one.emotion if one.emotion != "Happiness" else "happy") for one in few
    ]
    assert np.mean(right) > 0.6  # by chance a third
    assert recognizer.timeline(few.utterances[0].path).windows


def test_a_model_that_estimates_dimensions_keeps_its_estimates(model, few, tmp_path, monkeypatch):
    from emocatcher.models.onnx_graphs import stored_weights, to_onnx

    arousal, weights = Dimension("arousal", 1.0, 7.0), stored_weights.read(model)
    rows = np.random.default_rng(0).normal(0.0, 0.02, (1, weights["mean"].size)).astype(np.float32)
    weights |= {"dimensions.weight": rows, "dimensions.bias": np.zeros(1, np.float32)}
    config = msgspec.structs.replace(model.config, dimensions=(arousal,))
    graph = to_onnx(weights, config.settings, config.labels, (arousal,))
    kept = {name: value for name, value in weights.items() if not name.startswith("encoder.")}
    rated = model_folder.write(tmp_path / "rated", config, kept, graph)
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    found = adaptation.adapt_unlabelled(rated, few, tmp_path / "mine", name="mine")
    before, after = (load(one.path).predict(few.utterances[0].path) for one in (rated, found))
    assert after.dimensions == before.dimensions
    assert after.probabilities != before.probabilities
    assert 1.0 < before.dimensions["arousal"].value < 7.0


def test_a_note_says_that_ratings_are_not_used(few):
    arousal = Dimension("arousal", 1.0, 7.0)
    utterances = tuple(msgspec.structs.replace(one, dimensions=(("arousal", 2.0),)) for one in few)
    corpus = msgspec.structs.replace(few, utterances=utterances, dimensions=(arousal,))
    assert any("ratings of arousal are not used" in note for note in chosen_recordings.choose(corpus, (), KNOWN)[1])
    assert not any("ratings" in note for note in chosen_recordings.choose(few, (), KNOWN)[1])


def test_the_step_of_the_lowest_loss_on_other_speakers_is_chosen(adapted, few):
    found = adapted.config.adaptation
    assert (found.validated_by, found.n_speakers, sum(found.n_of_label)) == ("speakers", 4, len(few))
    chosen = next(step for step in found.steps if step.name == found.chosen)
    assert chosen.log_loss == min(step.log_loss for step in found.steps)
    assert chosen.unweighted_average_recall > found.steps[0].unweighted_average_recall
    recalls = [row[i] / sum(row) for i, row in enumerate(found.confusion)]
    assert np.mean(recalls) == pytest.approx(chosen.unweighted_average_recall)


def test_recordings_shorter_than_those_of_the_first_training_do_not_lower_the_longest_voiced_span(adapted):
    assert adapted.config.longest_voiced_s == 9.0


def test_the_card_and_the_page_state_what_it_was_adapted_to(adapted):
    card = (adapted.path / model_folder.CARD).read_text(encoding="utf-8")
    assert "Adapted from base to" in card
    assert "CC BY 4.0; mine: CC0" in card
    text = page.write(adapted).read_text(encoding="utf-8")
    assert all(f"{step.unweighted_average_recall * 100:.1f}" in text for step in adapted.config.adaptation.steps)
    assert "http" not in text.replace("http-equiv", "")


def test_recordings_without_a_label_are_settled_on_if_validation_gains(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    labelled, others = few.utterances[::2], few.utterances[1::2]
    apart = tuple(msgspec.structs.replace(one, emotion="") for one in others)
    corpus = msgspec.structs.replace(few, utterances=labelled, unlabelled=apart)
    made = adaptation.adapt(model, corpus, tmp_path / "mine", name="mine")
    found = made.config.adaptation
    assert (found.n_recordings, found.n_unlabelled) == (len(labelled), len(apart))
    *steps, settled = found.steps
    assert settled.name == f"{min(steps, key=lambda one: one.log_loss).name}, settled"
    assert found.chosen == min(found.steps, key=lambda one: one.log_loss).name
    for text in ((made.path / model_folder.CARD).read_text(encoding="utf-8"), page.write(made).read_text("utf-8")):
        assert f"and {len(apart)} without a label" in text
    notes = []
    few_apart = msgspec.structs.replace(corpus, unlabelled=apart[:4])
    made = adaptation.adapt(model, few_apart, tmp_path / "few", name="few", on_note=notes.append)
    assert "4 recordings without a label are too few to settle on" in notes[0]
    assert made.config.adaptation.n_unlabelled == 0


def test_the_settled_step_moves_the_biases_by_half_of_what_settling_subtracts():
    random = np.random.default_rng(0)
    start = Layer(random.normal(size=(3, 5)).astype(np.float32), np.array([2.0, 0.0, 0.0], np.float32))
    true = np.arange(60) % 3
    rows = (start.weight[true] + random.normal(size=(60, 5)))[:, None].astype(np.float32)
    given = steps.Recordings(
        rows=rows, true=true, targets=np.eye(3, dtype=np.float32)[true], folds=np.arange(60) // 3 % 5,
        speakers=[None] * 60, unlabelled=rows[::2, 0],
    )  # fmt: skip
    tried = steps.validate(start, given, 1.5)
    assert tried[-1].settles
    layer = steps.apply(tried[-1], start, given, 1.5)
    unsettled = steps.apply(msgspec.structs.replace(tried[-1], settles=False), start, given, 1.5)
    np.testing.assert_array_equal(layer.weight, unsettled.weight)
    shift = settling.common_shift(softmax(unsettled.logits(given.unlabelled), 1.5))
    np.testing.assert_allclose(layer.bias, unsettled.bias - 0.5 * 1.5 * shift, rtol=1e-5)


def test_votes_are_learnt_with_less_error_than_their_majority():
    """Three listeners vote on clips whose true shares are known: votes come closer to these than the majority."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(600, 6)).astype(np.float32)
    share = softmax(rows @ random.normal(size=(6, 3)))
    votes = np.stack([random.multinomial(3, one) for one in share]).astype(np.float32) / 3
    majority = np.eye(3, dtype=np.float32)[votes.argmax(axis=1)]
    nothing = Layer(np.zeros((3, 6), np.float32), np.zeros(3, np.float32))

    def cross_entropy(targets):
        layer = linear_layer.fit(nothing, rows[:300], targets[:300], np.ones(300), 0.001)
        return -(share[300:] * np.log(softmax(layer.logits(rows[300:])))).sum(axis=1).mean()

    entropy = -(share[300:] * np.log(share[300:])).sum(axis=1).mean()
    assert cross_entropy(votes) - entropy < 0.5 * (cross_entropy(majority) - entropy)


def test_votes_are_the_targets_of_adapting_and_the_label_is_scored(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    fitted = []
    fit = linear_layer.fit
    monkeypatch.setattr(linear_layer, "fit", lambda *args: fitted.append(args[2]) or fit(*args))
    first, *others = few.utterances
    other = "bored" if first.emotion == "sad" else "sad"
    voted = msgspec.structs.replace(first, votes=((first.emotion, 0.75), (other, 0.25)))
    made = adaptation.adapt(
        model, msgspec.structs.replace(few, utterances=(voted, *others)), tmp_path / "mine", name="mine"
    )
    targets = fitted[-1][:: made.config.adaptation.n_copies + 1]
    assert sorted(targets[0].tolist()) == [0.0, 0.25, 0.75]
    assert (targets[1:].max(axis=1) == 1.0).all()
    assert made.config.adaptation.n_with_votes == 1
    assert "1 of them with votes" in (made.path / model_folder.CARD).read_text(encoding="utf-8")
    assert sum(made.config.adaptation.n_of_label) == len(few)


def test_a_model_that_no_step_improves_keeps_its_weights(adapted, few, tmp_path, monkeypatch):
    """It was adapted to these recordings, so what is fitted to a part of them recognises the others less well."""
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    again = adaptation.adapt(adapted, few, tmp_path / "again", name="again")
    assert again.config.adaptation.chosen == AS_IT_IS
    for name, value in adapted.weights().items():
        np.testing.assert_array_equal(value, again.weights()[name], err_msg=name)
    assert "its weights were kept" in page.outcome(again.config.adaptation)


def test_recordings_without_labels_move_the_model_and_its_card_has_both_adaptations(
    adapted, few, tmp_path, monkeypatch
):
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    again = adaptation.adapt_unlabelled(adapted, few, tmp_path / "calls", name="calls")
    assert again.weights().keys() == adapted.weights().keys()
    assert any((value != again.weights()[name]).any() for name, value in adapted.weights().items())
    found = again.config.adaptation
    assert (found.model, found.n_recordings, found.earlier) == ("mine", len(few), (adapted.config.adaptation,))
    card = (again.path / model_folder.CARD).read_text(encoding="utf-8")
    assert card.index("Adapted from base to") < card.index("Adapted from mine to")
    assert "nothing was measured" in card
    assert "The scores are those of mine." in card


def test_answers_of_one_emotion_change_nothing_and_the_card_states_it(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(adaptation, "TrainingPool", InProcess)
    one = msgspec.structs.replace(few, utterances=few.utterances[:1])
    made = adaptation.adapt_unlabelled(model, one, tmp_path / "room", name="room")
    assert made.config.adaptation.chosen == AS_IT_IS
    assert made.config.sha256 == model.config.sha256
    assert "too few emotions to learn from: its weights stay" in (made.path / model_folder.CARD).read_text("utf-8")


def answers_of(layer: Layer, rows) -> np.ndarray:
    return layer.logits(rows).argmax(axis=1)


def test_own_answers_teach_another_room_and_one_sided_recordings_teach_nothing():
    """Clouds of three labels, which the model knows, in a room that moves them towards one and along another axis."""
    random, n_each, n_labels, n_statistics = np.random.default_rng(0), 40, 3, 8
    true = np.repeat(np.arange(n_labels), n_each)
    centres = 3.0 * np.eye(n_labels, n_statistics)
    start = Layer(np.float32(centres), np.zeros(n_labels, np.float32))
    moved = np.zeros(n_statistics)
    moved[:2] = 2.2, -0.5
    rows = np.float32(centres[true] + moved + random.normal(size=(len(true), n_statistics)))
    before, after = answers_of(start, rows), answers_of(own_answers.fit(start, rows, 1.0), rows)
    assert (after == true).mean() > (before == true).mean() + 0.05
    of_one = own_answers.fit(start, rows[true == 0], 1.0)
    np.testing.assert_array_equal(of_one.weight, start.weight)
    np.testing.assert_array_equal(of_one.bias, start.bias)


def test_a_model_without_an_encoder_is_refused(few, tmp_path):
    with pytest.raises(ModelError, match="no encoder"):
        adaptation.adapt(model_folder.read(model_folder.bundled("cabg")), few, tmp_path, name="x")


@pytest.mark.parametrize(
    ("labels", "wanted", "words"),
    [
        (["happy"] * 20, (), "all have the label 'happy'"),
        (["happy", "sad", "angry"], (), "3 recordings are too few"),
        (["happy"] * 20 + ["bored"] * 7, (), "'bored' has 7 recordings"),
        (["happy"] * 20 + ["sad"] * 20, ("happy", "bored"), "all have the label 'happy'"),
        (["happy"] * 20 + ["sad"] * 20, ("happy", "sad", "bored"), "'bored' has 0"),
        (["happy"] * 20, ("sad", "angry"), "none has one of the labels"),
    ],
)
def test_too_few_recordings_are_refused_with_the_reason(tmp_path, labels, wanted, words):
    with pytest.raises(CorpusError, match=words):
        chosen_recordings.choose(corpus_of(tmp_path, *labels), wanted, KNOWN)


def test_labels_get_the_spelling_of_the_model_and_the_order_of_the_option(tmp_path):
    corpus = corpus_of(tmp_path, *["ANGER", "Joy", "bored", "sad"] * 10)
    chosen, notes = chosen_recordings.choose(corpus, ("bored", "neutral", "happiness", "angry"), KNOWN)
    assert chosen.labels == ("bored", "neutral", "happy", "angry")
    assert {one.emotion for one in chosen} == {"bored", "happy", "angry"}
    assert notes == ["10 recordings have labels that --labels does not name: 10 of 'sad'"]
    chosen, notes = chosen_recordings.choose(corpus, (), KNOWN)
    assert (chosen.labels, notes) == (("happy", "sad", "angry", "bored"), [])


def test_votes_get_the_spelling_of_the_model_and_those_for_other_labels_are_left_out(tmp_path):
    corpus = corpus_of(tmp_path, *["ANGER", "Joy", "bored"] * 10)
    first, *others = corpus.utterances
    voted = msgspec.structs.replace(first, votes=(("ANGER", 0.6), ("Joy", 0.2), ("bored", 0.2)))
    corpus = msgspec.structs.replace(corpus, utterances=(voted, *others))
    chosen, notes = chosen_recordings.choose(corpus, ("happiness", "angry"), KNOWN)
    assert chosen.utterances[0].votes == (("angry", pytest.approx(0.75)), ("happy", pytest.approx(0.25)))
    assert "votes for labels that the adapted model will not have are left out: 'bored' (1 recording)" in notes


def test_folds_share_no_speaker_where_speakers_are_known(tmp_path):
    named = corpus_of(tmp_path, *["happy", "sad"] * 20, speakers=("a", "b", "c"))
    folds = chosen_recordings.divide(named)
    assert folds.validated_by == "speakers"
    by_speaker = {one.speaker: set() for one in named}
    for one, fold in zip(named, folds.of.tolist(), strict=True):
        by_speaker[one.speaker].add(fold)
    assert sorted(map(len, by_speaker.values())) == [1, 1, 1]
    unnamed = chosen_recordings.divide(corpus_of(tmp_path, *["happy", "sad"] * 20))
    assert unnamed.validated_by == "recordings"
    assert np.bincount(unnamed.of).tolist() == [8] * 5
    for parity in (0, 1):  # every label in every fold
        assert np.bincount(unnamed.of[parity::2]).tolist() == [4] * 5
    of_one_label_each = corpus_of(tmp_path, *["happy", "sad"] * 20, speakers=("a", "b"))
    assert chosen_recordings.divide(of_one_label_each).validated_by == "recordings"


@pytest.fixture(scope="module")
def problem():
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 12)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[random.integers(0, 3, 60)]
    start = Layer(random.normal(size=(3, 12)).astype(np.float32), random.normal(size=3).astype(np.float32))
    return start, rows, targets, random.uniform(0.5, 1.5, 60)


@pytest.mark.parametrize("pull", [0.01, 1.0])
def test_the_fitted_layer_is_the_minimum(problem, pull):
    start, rows, targets, weights = problem

    def loss(layer):
        logits = layer.logits(rows)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        distance = ((layer.weight - start.weight).astype(np.float64) ** 2).sum()
        return -((weights / weights.sum())[:, None] * targets * log_probabilities).sum() + 0.5 * pull * distance

    found = linear_layer.fit(start, rows, targets, weights, pull)
    random = np.random.default_rng(1)
    for _ in range(20):
        other = Layer(found.weight + random.normal(scale=0.02, size=found.weight.shape).astype(np.float32), found.bias)
        assert loss(other) > loss(found)
    assert loss(found) < loss(start)


def test_a_stronger_pull_moves_the_layer_less_and_an_infinite_one_not_at_all(problem):
    start, *given = problem
    moved = [np.abs(linear_layer.fit(start, *given, pull).weight - start.weight).sum() for pull in (0.01, 1.0, 100.0)]
    assert moved[0] > moved[1] > moved[2] > 0.0
    biases = linear_layer.fit(start, *given, np.inf)
    np.testing.assert_array_equal(biases.weight, start.weight)
    assert not np.allclose(biases.bias, start.bias)
