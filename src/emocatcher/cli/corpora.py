"""`emocatcher corpora`."""

from __future__ import annotations

EXAMPLES = ("emocatcher corpora",)


def corpora() -> None:
    """List the corpora that have a name: folder, licence, size, language."""
    from emocatcher import corpora as known
    from emocatcher.cli import screen

    rows = []
    for card in known.known():
        place = known.locate(card.name)
        missing = (
            "generated on first use"
            if card.name == "synthetic"
            else f"not found; download it: emocatcher fetch {card.name}"
        )
        rows.append((card.name, str(place) if place else missing, card.licence, card.size, card.language))
    screen.list_table(("corpus", "where", "licence", "size", "language"), rows)
    screen.console().print(
        "For your own recordings, give --corpus a table (CSV, JSONL, Parquet) with the columns path and label, "
        "or a folder with one sub-folder per emotion."
    )
