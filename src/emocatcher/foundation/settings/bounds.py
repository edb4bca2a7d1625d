"""The types of settings: numbers and their bounds."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec

# Every setting has an upper bound: a model's settings may come from a stranger, and a file of 2 kB must not ask for
# gigabytes. The bounds are far above what is useful.
Samples = Annotated[int, msgspec.Meta(ge=1, le=32_768)]
Size = Annotated[int, msgspec.Meta(ge=1, le=1024)]  # channels, units, mel bands
Few = Annotated[int, msgspec.Meta(ge=1, le=64)]
Kernel = Annotated[int, msgspec.Meta(ge=1, le=255)]  # frames, odd
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
CountOrZero = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
UpTo1000 = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Level = Annotated[float, msgspec.Meta(ge=-200, le=200)]  # dB
UpTo100 = Annotated[float, msgspec.Meta(ge=0, le=100)]
# Finite, because JSON, and so a model's config.json, cannot represent infinity.
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Decay = Annotated[float, msgspec.Meta(ge=0.1, le=1.5)]  # seconds; the number of echoes grows with the third power
Cut = Annotated[float, msgspec.Meta(ge=0.1, le=1000)]  # seconds
