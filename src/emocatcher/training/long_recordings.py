"""Find the recordings that `predict` judges window by window, because they are longer than 10 s."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import soundfile

from emocatcher import audio
from emocatcher.corpora import votes
from emocatcher.corpora.table import Utterance
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import AudioError, TooLongError
from emocatcher.recognition.timeline import LONG_S

_EXACT = frozenset({"WAV", "WAVEX", "FLAC", "AIFF"})  # formats whose header has the number of samples


def find(utterances: Sequence[Utterance]) -> frozenset[str]:
    """Return the ids of the utterances that are longer than 10 s, by the measure of `Recognizer.predict`.

    Headers are trusted only where they are exact; of other formats up to 11 s are decoded. One that cannot be decoded
    is not long.
    """
    with ThreadPoolExecutor(process_setup.usable_cores()) as pool:
        found = zip(utterances, pool.map(_is_long, utterances), strict=True)
        return frozenset(one.id for one, is_long in found if is_long)


def note(utterances: Sequence[Utterance], what_happens: str) -> str | None:
    """Return a sentence on the utterances that a command takes whole, unlike `predict`; None if there are none.

    Args:
        utterances: that the command uses.
        what_happens: to it, after "Such a recording".

    Examples:
        >>> note([], "is trained on as one utterance")
    """
    if not (n := len(find(utterances))):
        return None
    return (
        f"{votes.recordings(n, 'is', 'are')} longer than {LONG_S:g} s. Such a recording {what_happens}, while "
        "`predict` and `evaluate` judge it window by window: cut it into utterances"
    )


def _is_long(utterance: Utterance) -> bool:
    start_s = utterance.start_s or 0.0
    if utterance.end_s is not None and utterance.end_s - start_s <= LONG_S:
        return False
    longest_s = start_s + LONG_S
    try:
        header = soundfile.info(str(utterance.path))
        is_exact = header.format in _EXACT and header.subtype != "MPEG_LAYER_III"
        if is_exact and 0 < header.frames <= longest_s * header.samplerate:
            return False
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
        pass
    try:
        audio.read(utterance.path, longest_s=longest_s)
    except TooLongError:
        return True
    except AudioError:  # it is reported where it is needed
        return False
    return False
