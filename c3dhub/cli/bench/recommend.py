"""Which form to take: the fastest one that loses no more than stated."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_COSINE = 0.999
"""Of the pooled features with float32's, on every clip."""

WORTH_IT = 1.03
"""A less exact form must be this many times as fast as a more exact one: less is noise."""


def recommend(rates: Mapping[str, float], cosines: Mapping[str, float]) -> str:
    """Return the way to take.

    Parameters
    ----------
    rates: way -> clips per second, the most exact way first; that one is always acceptable.
    cosines: way -> the worst cosine over clips.

    Example: {"float32": 10, "bfloat16": 20, "int8": 40} with cosines of 1, 0.9999 and 0.95 gives
    "bfloat16".
    """
    best = next(iter(rates))
    for way, rate in rates.items():
        if cosines[way] >= LEAST_COSINE and rate > rates[best] * WORTH_IT:
            best = way
    return best
