"""`corpora` and `fetch`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emocatcher import corpora
from emocatcher.cli import completion

Call = Callable[..., Any]


def test_corpora_lists_every_card_with_licence_language_size_emotions_and_address(call: Call) -> None:
    outcome = call("corpora")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    for card in corpora.known():
        for text in (card.language, card.licence, card.address, f"{card.clips:,}" if card.clips else ""):
            assert text in lines[card.name]
    assert "NCHSAFDU" in lines["ravdess"]
    assert "-CHSA---" in lines["turev"]


def test_corpora_tells_which_are_here(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path))
    (tmp_path / "turev").mkdir()
    lines = {line.split()[0]: line.split() for line in call("corpora").out.splitlines() if line.strip()}
    assert "yes" in lines["turev"]
    assert "yes" not in lines["crema-d"]


def test_corpora_prints_one_card_in_full(call: Call) -> None:
    card = next(card for card in corpora.known() if card.name == "crema-d")
    shown = " ".join(call("corpora", "crema-d").out.split())
    for text in (card.title, card.permits, card.citation, card.address, *card.traps, *card.excluded.values()):
        assert " ".join(text.split()) in shown
    assert "1076_MTI_SAD_XX: silent" in shown
    assert "angry: ANG" in shown


def test_corpora_prints_cards_as_json(call: Call) -> None:
    every = json.loads(call("corpora", "--json").out)
    assert [card["name"] for card in every] == [card.name for card in corpora.known()]
    assert json.loads(call("corpora", "nemo", "--json").out)["licence"] == "CC BY-NC-SA 4.0"


def test_corpora_and_fetch_refuse_an_unknown_name_with_a_suggestion(call: Call) -> None:
    for command in ("corpora", "fetch"):
        outcome = call(command, "crema")
        assert outcome.code == 2
        assert "Did you mean 'crema-d'?" in outcome.err


def test_fetch_names_the_address_of_a_corpus_that_is_not_downloaded(call: Call) -> None:
    outcome = call("fetch", "crema-d")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert "https://github.com/CheyneyComputerScience/CREMA-D" in outcome.err
    assert "$EMOCATCHER_CORPORA/crema-d" in outcome.err


def test_completion_continues_a_list_of_corpora() -> None:
    assert completion.corpora("crem") == ["crema-d"]
    assert completion.corpora("crema-d,ravdess-") == ["crema-d,ravdess-song"]
    assert completion.corpora("crema-d,crem") == []
