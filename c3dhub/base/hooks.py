"""What lower rooms ask of higher ones: empty here, filled in by ``c3dhub/__init__.py``.

Imports run downwards only. Where a call must go up all the same, the lower room calls a hook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from_pretrained: Callable[..., Any]
"""``c3dhub.hub.from_pretrained``, for ``VideoNetwork.from_pretrained``."""
