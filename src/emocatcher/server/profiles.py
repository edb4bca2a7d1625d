"""Keep the profiles of clients: what the model settled on, under names that nobody can guess.

A profile is a few hundred bytes and contains no sound, so it stays in the server's memory and travels with each task to
the worker process. It is gone when the server ends.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from typing import NamedTuple

from emocatcher.server.limits import Limits
from emocatcher.server.tasks import Adjustment
from emocatcher.server.worker_process import RefusedError

_NAME_BYTES = 16  # random; who knows a name may use the profile


class _Profile(NamedTuple):
    client: str
    content: bytes
    used_s: float  # when it was last used, on the monotonic clock


class Profiles:
    """The profiles of a server.

    Args:
        limits: the server's limits.
        default: what the model settled on for requests that name no profile, as JSON; empty for nothing.
    """

    def __init__(self, limits: Limits, default: bytes = b"") -> None:
        self.default = default
        self._limits = limits
        self._profiles: dict[str, _Profile] = {}  # the least recently used first

    @property
    def n(self) -> int:
        """The number of profiles."""
        self._drop_expired()
        return len(self._profiles)

    def add(self, client: str, content: bytes) -> str:
        """Keep a profile; if there are too many, the client with the most loses its least recently used one.

        Args:
            client: whose it is, for this count only.
            content: the profile as JSON.

        Returns:
            its name.
        """
        self._drop_expired()
        if len(self._profiles) >= self._limits.profiles:
            counts = Counter(profile.client for profile in self._profiles.values())
            largest = max(counts.values())
            del self._profiles[next(k for k, one in self._profiles.items() if counts[one.client] == largest)]
        name = secrets.token_urlsafe(_NAME_BYTES)
        self._profiles[name] = _Profile(client, content, time.monotonic())
        return name

    def remove(self, name: str) -> None:
        """Delete a profile.

        Raises:
            RefusedError: if there is none of this name.
        """
        self._drop_expired()
        if self._profiles.pop(name, None) is None:
            raise _unknown(name)

    def adjust(self, name: str | None, emotions: tuple[str, ...] | None) -> Adjustment:
        """Return what changes the answers to a request.

        Args:
            name: of a profile, which becomes the most recently used one; None for the default, "" for none.
            emotions: that the answers are restricted to; None for all.

        Raises:
            RefusedError: if there is no profile of this name.
        """
        return Adjustment(self.default if name is None else self._use(name) if name else b"", emotions)

    def _use(self, name: str) -> bytes:
        self._drop_expired()
        profile = self._profiles.pop(name, None)
        if profile is None:
            raise _unknown(name)
        self._profiles[name] = profile._replace(used_s=time.monotonic())
        return profile.content

    def _drop_expired(self) -> None:
        oldest_s = time.monotonic() - self._limits.profile_s
        while self._profiles and (first := next(iter(self._profiles.items())))[1].used_s < oldest_s:
            del self._profiles[first[0]]


def _unknown(name: str) -> RefusedError:
    detail = f"there is no profile '{name[:40]}': it was deleted, not used for long, or the server was started again"
    return RefusedError("UnknownProfile", f"{detail}. Make one with POST /v1/settle")
