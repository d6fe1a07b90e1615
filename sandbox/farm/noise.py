"""Deterministic noise over time, without any state.

A lattice of hashed values is interpolated smoothly ("value noise"). Only integer hashing,
additions and multiplications are used, so one instant gives the same bits whether it is
computed alone or among a million others, and on every platform.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) and its odd increment.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)

#: Standard deviation of :func:`value_noise` averaged over time (uniform lattice, smoothstep).
VALUE_NOISE_STD = 0.4976


def key(*parts: str | int) -> int:
    """A 64-bit key for a stream of noise, from its name."""
    name = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def lattice(keys: Keys, index: Ints) -> Floats:
    """The hashed value of each stream at an integer position, uniform in [-1, 1)."""
    x = index.astype(np.uint64) * _STEP + keys
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def value_noise(keys: Keys, position: Floats) -> Floats:
    """Smooth noise in [-1, 1); one unit of ``position`` is about one independent value."""
    floor = np.floor(position)
    fraction = position - floor
    index = floor.astype(np.int64)
    low = lattice(keys, index)
    high = lattice(keys, index + 1)
    return low + (high - low) * (fraction * fraction * (3.0 - 2.0 * fraction))
