"""Every error a user can meet, as one tree.

```
EmoCatcherError
├── SettingError        a preset, a setting or a flag
├── AudioError          a recording: names the file
│   ├── DecodeError         not audio, or audio nobody here can read
│   ├── EmptyAudioError     audio without a single sample
│   ├── TooLongError        longer than what was asked for takes
│   └── NonFiniteError      NaN or infinity among the samples
├── CorpusError         a table of utterances
│   ├── CorpusNotFoundError
│   ├── ManifestError
│   └── DownloadError
│       └── HashMismatchError
├── ProtocolError       folds and splits
├── LeakError           the audit found a leak, and --strict was asked for
├── FeatureCacheError   the features or the fingerprints on disk
├── ModelError          a model folder or a published checkpoint
├── RunError            a run folder
│   └── DivergedError       training went astray
├── OutputError         a file to be written exists already, or cannot be written
├── ServerError         a server of emocatcher refused, or is not there
└── MissingExtraError   an optional dependency that is not installed
```

A message says what was wrong (with the value), what is allowed, and what to do
next. The command line prints it as one line and exits with 2; anything that is
not an `EmoCatcherError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class EmoCatcherError(Exception):
    """Base of all errors that a user can cause and mend."""


class SettingError(EmoCatcherError):
    """A preset, a setting or a flag has a value that is not allowed."""


class AudioError(EmoCatcherError):
    """A recording cannot be used.

    Args:
        source: the file's path, or a name for bytes and arrays.
        reason: what is wrong and what to do next.
    """

    def __init__(self, source: str | Path, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type[AudioError], tuple[str | Path, str]]:
        # Exceptions are rebuilt from `args` when they cross a process; ours holds one string there.
        return type(self), (self.source, self.reason)


class DecodeError(AudioError):
    """The bytes are not audio, or no decoder here can read them."""


class EmptyAudioError(AudioError):
    """The recording decodes, to zero samples."""


class TooLongError(AudioError):
    """The recording is longer than what was asked for takes."""


class NonFiniteError(AudioError):
    """The recording holds NaN or infinite samples."""


class CorpusError(EmoCatcherError):
    """A corpus is missing, incomplete or malformed."""


class CorpusNotFoundError(CorpusError):
    """The corpus is nowhere it was looked for."""


class ManifestError(CorpusError):
    """A user's table of recordings has a row or a column that cannot be used."""


class DownloadError(CorpusError):
    """A download did not complete."""


class HashMismatchError(DownloadError):
    """A download completed with other bytes than the published ones."""


class ProtocolError(EmoCatcherError):
    """A protocol is unknown, or does not fit the corpus."""


class LeakError(EmoCatcherError):
    """A leak was found where none was to be suffered."""


class FeatureCacheError(EmoCatcherError):
    """The features or the fingerprints cannot be written where they belong."""


class ModelError(EmoCatcherError):
    """A model folder or a published checkpoint is missing a part, or a part is not what it should be."""


class RunError(EmoCatcherError):
    """A run folder exists already, is incomplete, or belongs to other settings."""


class DivergedError(RunError):
    """The loss of a training is no number any more."""


class OutputError(EmoCatcherError):
    """A file that was to be written exists already, belongs to something else, or cannot be written."""


class ServerError(EmoCatcherError):
    """A server of emocatcher refused a request, or cannot be reached.

    Args:
        detail: what is wrong and what to do next.
        status: HTTP's; None where there was no answer.
        error: the exception's class on the server; "" where it named none.
        retry_after_s: when to ask again, seconds; None where that was not said.
    """

    def __init__(
        self, detail: str, *, status: int | None = None, error: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.retry_after_s = retry_after_s


class MissingExtraError(EmoCatcherError):
    """An optional dependency is not installed.

    Args:
        need: what was asked for, e.g. "training".
        extra: the extra that brings it, e.g. "train".
    """

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need} needs the extra '{extra}'. Install it with: pip install 'emocatcher[{extra}]'")
        self.need = need
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.need, self.extra)


def suggest(wrong: str, allowed: Iterable[str], what: str) -> str:
    """Word the first half of an error: the wrong name, the nearest right one, and all that exist.

    Examples:
        >>> suggest("cagb", ["cabg", "other"], "preset")
        "Unknown preset 'cagb'. Did you mean 'cabg'? Allowed: cabg, other"
    """
    names = list(allowed)
    return f"Unknown {what} '{wrong}'.{did_you_mean(wrong, names)} Allowed: {', '.join(names)}"


def did_you_mean(wrong: str, names: Sequence[str]) -> str:
    """The nearest right name, as a question after a full stop; empty where none is near.

    Examples:
        >>> did_you_mean("cagb", ["cabg", "other"])
        " Did you mean 'cabg'?"
    """
    near = difflib.get_close_matches(wrong, names, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def one_line(value: object) -> str:
    r"""Text that stays on its line: a file name may hold line breaks, escape codes, or bytes that are not text.

    Examples:
        >>> print(one_line("two\nlines.wav"))
        two\nlines.wav
    """
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(value))
