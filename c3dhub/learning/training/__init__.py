"""Fine-tuning: a pretrained network and labelled videos become a network of one's own.

``fine_tuning`` is the whole story; ``recipe`` says how, ``freezing`` what, ``learner`` does a
step, ``loop`` does epochs, ``run_folder`` says what lies on disk.
"""

from __future__ import annotations

from .fine_tuning import FinetuneResult, finetune
from .recipe import Recipe
from .state import EpochRow

__all__ = ["EpochRow", "FinetuneResult", "Recipe", "finetune"]
