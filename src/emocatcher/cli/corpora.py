"""`emocatcher corpora`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from emocatcher.cli import completion

if TYPE_CHECKING:
    from emocatcher.corpora import CorpusCard

EXAMPLES = ("emocatcher corpora", "emocatcher corpora crema-d", "emocatcher corpora downloads/a-dataset")

_WITH_HOURS, _WITH_ADDRESSES = 100, 160  # characters, from which these columns fit


def corpora(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One corpus, to show its card in full; or a table or a folder, to show what it has.",
            show_default=False,
            autocompletion=completion.corpora,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
) -> None:
    """List the corpora that have a name, or show one: licence, language, speakers, emotions, where to get it."""
    from emocatcher import corpora as known
    from emocatcher.cli import screen
    from emocatcher.corpora import cards
    from emocatcher.foundation.errors import CorpusNotFoundError, suggest

    card = None if name is None else cards.find(name)
    if name is not None and card is None:
        if known.locate(name) is not None and not as_json:
            _print_content(name)
            return
        raise CorpusNotFoundError(suggest(name, cards.names(), "corpus"))
    if as_json:
        screen.print_json(cards.known() if card is None else card, indent=True)
    elif card is not None:
        _print(card)
    else:
        _list(cards.known())


def _print_content(name: str) -> None:
    from collections import Counter

    from emocatcher.cli import screen
    from emocatcher.cli.loading import load_corpus

    corpus = load_corpus(name, to_check=True, with_notes=False)
    emotions = Counter(one.emotion for one in corpus)
    without = f", and {len(corpus.unlabelled):,} without a label" if corpus.unlabelled else ""
    splits = Counter(one.split for one in corpus if one.split)
    counts = [f"{label}: {emotions[label]:,}" for label in corpus.labels]
    screen.facts(
        [
            ("Recordings", f"{len(corpus):,}{without}"),
            ("Licence", corpus.licence),
            ("Speakers", f"{len(corpus.speakers):,}" if corpus.speakers else "not known"),
            ("Emotions", "\n".join(counts)),
            ("Splits", ", ".join(f"{split}: {n:,}" for split, n in splits.items())),
            ("Ratings", ", ".join(f"{one.name} ({one.low:g} to {one.high:g})" for one in corpus.dimensions)),
            ("Votes", f"of {n:,} recordings" if (n := sum(one.votes is not None for one in corpus)) else ""),
            ("Notes", "\n".join(corpus.notes)),
            ("Next", f"emocatcher check {name}"),
        ],
        title=corpus.name,
    )


def _list(cards: Sequence[CorpusCard]) -> None:
    from emocatcher import corpora as known
    from emocatcher.cli import screen
    from emocatcher.foundation.labels import EMOTIONS

    letters = {emotion: "U" if emotion == "surprised" else emotion[0].upper() for emotion in EMOTIONS}
    target = screen.console()
    hours, address = target.width >= _WITH_HOURS, target.width >= _WITH_ADDRESSES
    words = ["corpus", "language", "licence", *["where to get it"] * address, "emotions", "here"]
    rows = []
    for card in cards:
        emotions = "".join(letters[emotion] if emotion in card.emotions else "-" for emotion in EMOTIONS)
        here = "yes" if known.locate(card.name) or card.name == "synthetic" else ""
        row = [card.name, card.language, card.licence, *[card.address] * address, emotions, here]
        row += [f"{card.speakers:,}" if card.speakers else "", f"{card.clips:,}" if card.clips else ""]
        rows.append(row + [f"{card.hours:.1f}" if card.hours else ""] * hours)
    screen.list_table((*words, "speakers", "clips", *["hours"] * hours), rows, n_words=len(words))
    named = ", ".join(f"{letters[emotion]} {emotion}" for emotion in EMOTIONS)
    target.print(f"{len(cards)} corpora. Emotions: {named}.", markup=False)
    target.print(
        "One card in full: emocatcher corpora NAME. A corpus is read from $EMOCATCHER_CORPORA/NAME, or from any folder "
        "with --corpus NAME=FOLDER."
    )
    target.print(
        "For your own recordings, give --corpus a table (CSV, JSONL, Parquet) with the columns path and label, "
        "a folder with one sub-folder per emotion, or a folder of Hugging Face datasets or audformat. Write one for "
        "others: emocatcher convert CORPUS --to FOLDER --as audformat"
    )


def _print(card: CorpusCard) -> None:
    from emocatcher import corpora as known
    from emocatcher.cli import screen

    size = [f"{card.clips:,} recordings" if card.clips else "", f"{card.hours:g} h" if card.hours else ""]
    size += [f"{card.speakers:,} speakers" if card.speakers else "speakers not known"]
    emotions = [
        f"{emotion}: {', '.join(code for code, named in card.emotion_of.items() if named == emotion)}"
        for emotion in card.emotions
    ]
    place = known.locate(card.name)
    left_out: dict[str, list[str]] = {}
    for code, reason in (*card.left_out.items(), *card.excluded.items()):
        left_out.setdefault(reason, []).append(code)
    screen.facts(
        [
            ("Title", card.title),
            ("Language", card.language),
            ("Size", ", ".join(filter(None, size))),
            ("Licence", card.licence),
            ("Permits", card.permits),
            ("Citation", card.citation),
            ("Get it from", card.address),
            ("Here", "not found" if place is None else str(place)),
            ("Emotions", "\n".join(emotions)),
            ("Left out", "\n".join(f"{', '.join(codes)}: {reason}" for reason, codes in left_out.items())),
            ("Same people", f"as in {card.same_speakers_as}" if card.same_speakers_as else ""),
            ("Traps", "\n".join(card.traps)),
            ("Checked", "with the recordings" if card.verified else "not with the recordings: check a copy first"),
            ("Not sure", "\n".join(card.unsure)),
            ("Sources", "\n".join(card.sources)),
        ],
        title=card.name,
    )
