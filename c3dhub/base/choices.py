"""Words that an option may be, where several rooms must agree on them. No other package needed."""

from __future__ import annotations

from typing import Literal

Errors = Literal["raise", "strict"]
Decode = Literal["exact", "fast"]
Precision = Literal["float32", "bfloat16", "float16", "int8", "auto"]
Engine = Literal["torch", "openvino"]
