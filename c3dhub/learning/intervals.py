"""How sure a share of right answers is."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(n_right: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the bounds of the true share, given ``n_right`` right answers of ``n``, from 0 to 1.

    Wilson's score interval (E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", Journal of the American Statistical Association 22, 1927), which keeps
    its promise for few answers and for shares near 0 and 1, too. It takes the answers as
    independent: where many videos show the same person or scene, the truth lies outside more often.

    Example: 8 of 10 right gives 0.490 to 0.943. Raises ValueError unless ``0 <= n_right <= n`` and
    ``n > 0``.
    """
    if n < 1 or not 0 <= n_right <= n:
        raise ValueError(
            f"n_right is {n_right} and n {n}; n_right must be from 0 to n, and n above 0"
        )
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 / n
    share = n_right / n
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    # At the ends rounding may miss the bound itself by a hair.
    low = 0.0 if n_right == 0 else max(0.0, middle - half)
    high = 1.0 if n_right == n else min(1.0, middle + half)
    return low, high
