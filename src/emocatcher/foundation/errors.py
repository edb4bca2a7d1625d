"""The exceptions that a user can encounter, as one tree.

```
EmoCatcherError
├── SettingError        a preset, a setting or a flag
├── AudioError          a recording: names the file
│   ├── DecodeError         not audio, or not readable by any decoder here
│   ├── EmptyAudioError     audio without samples
│   ├── TooLongError        longer than the operation allows
│   ├── NonFiniteError      NaN or infinite samples
│   ├── NoSpeechError       no speech, where only speech is of use
│   └── UnreachableError    a URI whose place cannot be reached, refuses it, or stops midway
├── CorpusError         a table of utterances
│   ├── CorpusNotFoundError
│   ├── ManifestError
│   └── DownloadError
│       └── HashMismatchError
├── ProtocolError       folds and splits
├── LeakError           the audit found a leak, and --strict was given
├── FeatureCacheError   the cache of features or fingerprints
├── ModelError          a model folder or a published checkpoint
├── RunError            a run folder
│   ├── DamagedStateError   a saved state of a training is damaged
│   └── DivergedError       the loss became NaN or infinite
├── OutputError         an output file exists already, or cannot be written
├── ClusterError        a Ray cluster cannot be reached, or a node of it does not fit
├── UriError            a URI cannot be opened, listed, read or written
├── ServerError         an emocatcher server refused a request, or cannot be reached
└── MissingExtraError   an optional dependency is not installed
```

A message states what was wrong (with the value), what is allowed, and what to
do next. The command line prints it as one line and exits with code 2. Anything
that is not an `EmoCatcherError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class EmoCatcherError(Exception):
    """Base class of all errors that a user can cause and fix."""


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
        # Unpickling in another process calls the class with `args`, which holds only the message here.
        return type(self), (self.source, self.reason)


class DecodeError(AudioError):
    """The bytes are not audio, or no available decoder can read them."""


class EmptyAudioError(AudioError):
    """The recording decodes to zero samples."""


class TooLongError(AudioError):
    """The recording is longer than the operation allows."""


class NonFiniteError(AudioError):
    """The recording has NaN or infinite samples."""


class UnreachableError(AudioError):
    """The place that a URI names cannot be reached, refuses the recording, or stops midway."""


class NoSpeechError(AudioError):
    """The recording has no speech, and only speech is of use."""


class CorpusError(EmoCatcherError):
    """A corpus is missing, incomplete or malformed."""


class CorpusNotFoundError(CorpusError):
    """The corpus was not found in any of the searched places."""


class ManifestError(CorpusError):
    """A user's table of recordings has an invalid row or column."""


class DownloadError(CorpusError):
    """A download did not complete."""


class HashMismatchError(DownloadError):
    """A download completed, but its hash differs from the published one."""


class ProtocolError(EmoCatcherError):
    """A protocol is unknown, or does not fit the corpus."""


class LeakError(EmoCatcherError):
    """The audit found a leak, and leaks are not allowed (`--strict`)."""


class FeatureCacheError(EmoCatcherError):
    """The cache of features or fingerprints cannot be written."""


class ModelError(EmoCatcherError):
    """A model folder or a published checkpoint lacks a part, or a part is invalid."""


class RunError(EmoCatcherError):
    """A run folder exists already, is incomplete, or belongs to other settings."""


class DamagedStateError(RunError):
    """A saved state of a training is there, but not as it was written."""


class DivergedError(RunError):
    """The training loss became NaN or infinite."""


class OutputError(EmoCatcherError):
    """An output file exists already, belongs to something else, or cannot be written."""


class ClusterError(EmoCatcherError):
    """A Ray cluster cannot be reached, or one of its nodes lacks a file or has another version of the package."""


class UriError(EmoCatcherError):
    """A URI cannot be opened, listed, read or written.

    Args:
        uri: without anything secret (see `uris.redacted`).
        reason: what is wrong and what to do next.
        kind: "missing" for nothing there, "denied" for no permission, "refused" for what will never work, and
            "unreachable" for what may work later.
    """

    def __init__(self, uri: str, reason: str, kind: str = "refused") -> None:
        super().__init__(f"{uri}: {reason}")
        self.uri, self.reason, self.kind = uri, reason, kind

    def __reduce__(self) -> tuple[type[UriError], tuple[str, str, str]]:
        return type(self), (self.uri, self.reason, self.kind)


class ServerError(EmoCatcherError):
    """An emocatcher server refused a request, or cannot be reached.

    Args:
        detail: what is wrong and what to do next.
        status: HTTP status code; None if there was no response.
        error: name of the exception class on the server; "" if the response has none.
        retry_after_s: when to retry, seconds; None if the response does not specify it.
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
        need: the feature that needs the extra, e.g. "training".
        extra: the extra that provides it, e.g. "train".
        instead: what works without it, in a few words; "" if nothing does.
    """

    def __init__(self, need: str, extra: str, instead: str = "") -> None:
        from emocatcher.foundation.installation import install_command

        aside = instead and f" ({instead})"
        super().__init__(f"{need} needs the extra '{extra}'{aside}. Install it with: {install_command(extra)}")
        self.need = need
        self.extra = extra
        self.instead = instead

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), (self.need, self.extra, self.instead)


def suggest(wrong: str, allowed: Iterable[str], what: str) -> str:
    """Build an error text from the wrong name, the closest allowed one, and all allowed ones.

    Examples:
        >>> suggest("cagb", ["cabg", "other"], "preset")
        "Unknown preset 'cagb'. Did you mean 'cabg'? Allowed: cabg, other"
    """
    names = list(allowed)
    return f"Unknown {what} '{wrong}'.{did_you_mean(wrong, names)} Allowed: {', '.join(names)}"


def did_you_mean(wrong: str, names: Sequence[str]) -> str:
    """Return the closest name as a question with a leading space; empty if none is close.

    Examples:
        >>> did_you_mean("cagb", ["cabg", "other"])
        " Did you mean 'cabg'?"
    """
    near = difflib.get_close_matches(wrong, names, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def one_line(value: object) -> str:
    r"""Escape unprintable characters: a file name may have line breaks, escape codes, or bytes that are not text.

    Examples:
        >>> print(one_line("two\nlines.wav"))
        two\nlines.wav
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
