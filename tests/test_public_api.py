"""The public names and signatures, held to ``public_api.txt``: changing them is a decision.

``python tests/test_public_api.py`` writes the file anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c3dhub
from c3dhub.networks import VideoNetwork

SNAPSHOT = Path(__file__).with_name("public_api.txt")


def lines() -> Iterator[str]:
    """Yield a line for each public name, and for each public member of a public class."""
    public = {name: getattr(c3dhub, name) for name in sorted(c3dhub.__all__)}
    for name, value in {**public, "VideoNetwork": VideoNetwork}.items():
        yield described(name, value)
        for member in sorted(_members(value)):
            yield f"  {described(member, inspect.getattr_static(value, member))}"


def _members(value: Any) -> set[str]:
    """Return the public members of a class of ours, those of its bases of ours included."""
    if not inspect.isclass(value) or issubclass(value, Exception):
        return set()
    own = [base for base in value.__mro__ if base.__module__.startswith("c3dhub")]
    return {name for base in own for name in vars(base) if not name.startswith("_")}


def described(name: str, value: Any) -> str:
    """Return the name with what it takes: ``load(name: str | Path, *, device: ... = None)``."""
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    if not callable(value):
        return name
    if inspect.isclass(value) and issubclass(value, Exception):
        return f"{name}({', '.join(base.__name__ for base in value.__bases__)})"
    signature = inspect.signature(value)
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    typed = [
        str(bare) if p.annotation is p.empty else f"{bare.name}: {p.annotation}{_default(p)}"
        for p, bare in zip(signature.parameters.values(), shown, strict=True)
    ]
    keyword = next((i for i, p in enumerate(shown) if p.kind is p.KEYWORD_ONLY), len(shown))
    if keyword < len(shown) and not any(p.kind is p.VAR_POSITIONAL for p in shown):
        typed.insert(keyword, "*")
    return f"{name}({', '.join(typed)})"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    plain = isinstance(parameter.default, str | int | float | tuple | type(None))
    return f" = {parameter.default!r}" if plain else " = ..."


def test_public_names_and_signatures_are_those_that_were_decided() -> None:
    assert "\n".join(lines()) + "\n" == SNAPSHOT.read_text(encoding="utf-8")


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(lines()) + "\n", encoding="utf-8")
