"""Values that a shell completes after an option. Where none begins with what was typed, the shell completes files."""

from __future__ import annotations

from collections.abc import Iterable


def presets(incomplete: str) -> list[str]:
    """Return the presets that begin like this."""
    from emocatcher.foundation.settings import presets as names

    return _begin(names(), incomplete)


def protocols(incomplete: str) -> list[str]:
    """Return the protocols that begin like this; five folds stand for any number of them."""
    from emocatcher.evaluation.protocols import names

    return _begin([name.replace("-K", "-5") for name in names()], incomplete)


def corpora(incomplete: str) -> list[str]:
    """Return the named corpora that begin like this; after a comma, those that can follow."""
    from emocatcher.corpora import cards

    before, comma, _ = incomplete.rpartition(",")
    return _begin([f"{before}{comma}{name}" for name in cards.names() if name not in before.split(",")], incomplete)


def models(incomplete: str) -> list[str]:
    """Return the models of the package that begin like this."""
    from emocatcher.models.model_folder import bundled_names

    return _begin(bundled_names(), incomplete)


def table_formats(incomplete: str) -> list[str]:
    """Return the formats of tables of predictions that begin like this."""
    from emocatcher.recognition.batch import FORMATS

    return _begin(FORMATS, incomplete)


def embedding_formats(incomplete: str) -> list[str]:
    """Return the formats of tables of embeddings that begin like this."""
    from emocatcher.recognition.embedding_tables import FORMATS

    return _begin(FORMATS, incomplete)


def timeline_formats(incomplete: str) -> list[str]:
    """Return the formats of timelines that begin like this."""
    from emocatcher.recognition.timeline.formats import FORMATS

    return _begin(["table", *FORMATS], incomplete)


def trackers(incomplete: str) -> list[str]:
    """Return the trackers of a training that begin like this."""
    from emocatcher.training.tracking.targets import KINDS

    return _begin(KINDS, incomplete)


def channels(incomplete: str) -> list[str]:
    """Return the choices of channels that begin like this."""
    return _begin(["mix", "each", "left", "right"], incomplete)


def one_channel(incomplete: str) -> list[str]:
    """Return the choices of a single channel that begin like this."""
    return _begin(["mix", "left", "right"], incomplete)


def settings(incomplete: str) -> list[str]:
    """Return the settings of a preset that begin like this, each with its "="."""
    import msgspec

    from emocatcher.foundation.settings import load_preset

    found, sections = [], msgspec.to_builtins(load_preset("cabg"))
    for section, values in sections.items():
        found += [f"{section}.{key}=" for key in values] if isinstance(values, dict) else []
    return _begin(found, incomplete)


def limits(incomplete: str) -> list[str]:
    """Return the names of the server's limits that begin like this, each with its "="."""
    from emocatcher.server.limits import Limits

    return _begin([f"{name}=" for name in Limits.__struct_fields__], incomplete)


def _begin(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
