"""JSON objects -> dataclasses, whose annotations say what may stand in the file.

A field may be a ``str``, ``bool``, ``int`` (a whole number above 0), ``float`` (a number above 0),
``tuple[str | int | float, ...]`` (here floats are any finite numbers), ``Literal``, ``Any``, a
dataclass or ``TypedDict``, a ``tuple`` or ``Mapping`` of those, ``X | None``, and
``Annotated[X, Rule]``. One that has a default may be missing or null, or "" if it is a text.

Why not pydantic or jsonschema: models must be listed where only Python is installed, and a message
names the value, the rule and the place.
"""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ..base.errors import near_matches

T = TypeVar("T")
_NEITHER = (MISSING, MISSING)  # a default nor a factory of one


@dataclass(frozen=True, eq=False)
class Rule:
    """What a JSON value must be: in words, as a check, and in the words of JSON schema."""

    says: str
    holds: Callable[[Any], bool]
    schema: Mapping[str, Any]


def matching(pattern: str, says: str) -> Rule:
    """Return the rule that a pattern matches the whole of a text."""
    whole = re.compile(pattern, re.ASCII).fullmatch
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return Rule(says, lambda value: isinstance(value, str) and bool(whole(value)), schema)


def one_of(names: Collection[str]) -> Rule:
    """Return the rule that a text is one of some names."""
    return Rule(f"one of {list(names)}", list(names).__contains__, {"enum": list(names)})


def _is_number(value: Any) -> bool:
    # JSON writes 1.0 as 1. A bool is an int to isinstance(); neither NaN nor infinity is a number.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _list_of(says: str, holds: Callable[[Any], bool], items: Mapping[str, Any]) -> Rule:
    return Rule(
        f"a list of {says}",
        lambda value: isinstance(value, list | tuple) and bool(value) and all(map(holds, value)),
        {"type": "array", "items": items, "minItems": 1},
    )


_RULES = {
    str: Rule("text", lambda v: isinstance(v, str), {"type": "string"}),
    bool: Rule("true or false", lambda v: isinstance(v, bool), {"type": "boolean"}),
    int: Rule(
        "a whole number above 0",
        lambda v: type(v) is int and v > 0,
        {"type": "integer", "minimum": 1},
    ),
    float: Rule(
        "a number above 0",
        lambda v: _is_number(v) and v > 0,
        {"type": "number", "exclusiveMinimum": 0},
    ),
    Any: Rule("any value", lambda _: True, {}),
}
_RULES |= {
    tuple[str, ...]: _list_of("texts", _RULES[str].holds, _RULES[str].schema),
    tuple[int, ...]: _list_of("whole numbers above 0", _RULES[int].holds, _RULES[int].schema),
    tuple[float, ...]: _list_of("numbers", _is_number, {"type": "number"}),
}
_LIST = Rule("a list", lambda value: isinstance(value, list), {"type": "array"})
_OBJECT = Rule("an object", lambda value: isinstance(value, Mapping), {"type": "object"})


@cache
def rule_of(kind: Any) -> Rule:
    """Return the rule of an annotation, not those of the fields or items inside it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return one_of(inner)
    if is_optional(kind):
        return rule_of(inner[0])
    found: Rule | None = inner[1] if origin is Annotated else _RULES.get(kind)
    return found or (_LIST if origin is tuple else _OBJECT)


def is_optional(kind: Any) -> bool:
    """Tell whether an annotation is ``X | None``."""
    return type(None) in get_args(kind)


@cache
def fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Return name -> (annotation, has a default) of a dataclass or TypedDict; {} of all else."""
    if not (is_dataclass(kind) or typing.is_typeddict(kind)):
        return {}
    hints = get_type_hints(kind, include_extras=True)
    own = getattr(kind, "__dataclass_fields__", {})  # a TypedDict has no defaults
    optional = {name for name, f in own.items() if (f.default, f.default_factory) != _NEITHER}
    return {name: (hint, name in optional) for name, hint in hints.items()}


def read(kind: Callable[..., T], value: object, what: str, *, prefix: str = "") -> T:
    """Build a dataclass from a JSON object.

    ``what`` names the object in errors, and ``prefix`` stands before the names of its fields.
    Raises ValueError that names the field, its value and the rule that it breaks.
    """
    given = dict(_checked(_OBJECT, value, what))
    known, built = fields_of(kind), {}
    for name, (hint, has_default) in known.items():
        found = given.pop(name, None)
        if not (has_default and _is_left_out(found, hint)):
            built[name] = _read_value(hint, found, prefix + name)
    for name in given:  # most of them are misspelt
        near = near_matches(name, known)
        raise ValueError(f"{prefix}{name} is not a known field; remove it.{near}")
    try:
        return kind(**built)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


def _is_left_out(value: Any, hint: Any) -> bool:
    return value is None or (value == "" and rule_of(hint).schema.get("type") == "string")


def _read_value(kind: Any, value: Any, path: str) -> Any:
    """Return a field's value as its annotation wants it: a list becomes a tuple."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated or is_optional(kind):
        _checked(rule_of(kind), value, path)
        return _read_value(inner[0], value, path)
    if fields_of(kind):
        return read(kind, value, path, prefix=f"{path}.")
    _checked(rule_of(kind), value, path)
    if origin is Mapping:
        return {key: _read_value(inner[1], v, f"{path}.{key}") for key, v in value.items()}
    if origin is tuple and kind not in _RULES:
        return tuple(_read_value(inner[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is tuple:
        return tuple(map(inner[0], value))
    return float(value) if kind is float else value


def _checked(rule: Rule, value: Any, path: str) -> Any:
    if not rule.holds(value):
        shown = "missing" if value is None else f"{value!r:.80}"
        raise ValueError(f"{path} is {shown}; it must be {rule.says}")
    return value


def check(instance: Any, *names: str) -> None:
    """Check fields of a dataclass that was not read from JSON; all of them where none is named.

    Raises ValueError as :func:`read` does.
    """
    known = fields_of(instance.__class__)
    for name in names or known:
        hint, value = known[name][0], getattr(instance, name)
        if not (value is None and is_optional(hint)):
            _checked(rule_of(hint), value, name)
