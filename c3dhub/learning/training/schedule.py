"""The learning rate of every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .recipe import Recipe

_FACTOR = 0.1
_LEAST_GAIN = 1e-4  # share of the best loss that counts as an improvement


@dataclass(frozen=True)
class Plateau:
    """How long the loss has not improved, and what that made of the learning rate.

    Parameters
    ----------
    best: the lowest loss so far.
    waited: epochs since then.
    drops: times that the rate was divided by 10.
    """

    best: float = math.inf
    waited: int = 0
    drops: int = 0

    def after(self, loss: float, *, patience: int) -> Plateau:
        """Return the state after an epoch that ended with ``loss``.

        With ``patience`` 10 the rate drops after the eleventh epoch without an improvement, as
        torch's ``ReduceLROnPlateau`` has it, which the authors use.
        """
        if loss < self.best * (1 - _LEAST_GAIN) or math.isinf(self.best):
            return replace(self, best=loss, waited=0)
        if self.waited + 1 > patience:
            return replace(self, waited=0, drops=self.drops + 1)
        return replace(self, waited=self.waited + 1)


def learning_rate(recipe: Recipe, plateau: Plateau, *, done: float) -> float:
    """Return the rate of a step; ``done`` is the share of all steps before it, 0 to 1."""
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    if recipe.schedule == "plateau":
        return recipe.lr * _FACTOR**plateau.drops
    return recipe.lr
