"""`emocatcher corpora`."""

from __future__ import annotations

EXAMPLES = ("emocatcher corpora",)


def corpora() -> None:
    """List the corpora known by name: where each was found, licence, size."""
    from emocatcher import corpora as known
    from emocatcher.cli import screen

    rows = []
    for card in known.known():
        place = known.locate(card.name)
        missing = "made on first use" if card.name == "synthetic" else f"not here: emocatcher fetch {card.name}"
        rows.append((card.name, str(place) if place else missing, card.licence, card.size, card.language))
    screen.list_table(("corpus", "where", "licence", "size", "language"), rows)
    screen.console().print(
        "Your own recordings: give --corpus a table (CSV, JSONL, Parquet) with the columns path and label, "
        "or a folder with one sub-folder per emotion."
    )
