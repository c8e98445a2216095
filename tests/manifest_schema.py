"""Makes docs/manifest_schema.json, for editors and other tools, from the reader's dataclasses.

Only what concerns several fields at once, which their ``__post_init__`` checks, is said here once
more. To write the file again: ``python tests/manifest_schema.py > docs/manifest_schema.json``.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from c3dhub.registry.config import InputContract
from c3dhub.registry.entries import ModelName
from c3dhub.registry.json_fields import fields_of, is_optional, rule_of
from c3dhub.registry.manifest_file import SCHEMA_VERSION, Data, Manifest, Model

_BETWEEN_FIELDS: dict[type, dict[str, Any]] = {
    Manifest: {"properties": {"schema_version": {"const": SCHEMA_VERSION}}},
    InputContract: {
        "properties": {
            "std": {"items": {"exclusiveMinimum": 0}},
            "resize_size": {"maxItems": 2},
        }
    },
    Data: {"oneOf": [{"required": ["class_names_file"]}, {"required": ["classes_note"]}]},
    Model: {
        "properties": {"stages": {"required": ["avgpool", "logits"]}},
        "anyOf": [
            {"required": ["metrics"], "properties": {"metrics": {"minItems": 1}}},
            {"required": ["metrics_note"]},
        ],
        "if": {"properties": {"status": {"const": "bundled"}}},
        "then": {"required": ["bundled"]},
        "else": {"properties": {"bundled": {"type": "null"}}},
    },
}


def manifest_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12, as plain dicts and lists."""
    known: dict[str, Any] = {}
    _schema(Manifest, known)
    # The reader takes models one by one, to name each in errors.
    known["Manifest"]["properties"]["models"] = _schema(Mapping[ModelName, Model], known)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "weights_manifest.json of c3dhub",
        "$ref": "#/$defs/Manifest",
        "$defs": known,
    }


def _schema(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an annotation; ``known`` collects those of its dataclasses by name."""
    origin, inner = get_origin(kind), get_args(kind)
    if fields_of(kind):
        if kind.__name__ not in known:
            known[kind.__name__] = _object(kind, known)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if is_optional(kind):
        return {"anyOf": [_schema(inner[0], known), {"type": "null"}]}
    schema = dict(rule_of(kind).schema)
    if origin is tuple:
        schema.setdefault("items", _schema(inner[0], known))
    if origin is Mapping:
        if inner[0] is not str:
            schema["propertyNames"] = _schema(inner[0], known)
        schema["additionalProperties"] = _schema(inner[1], known)
    return schema


def _object(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    fields = fields_of(kind)
    return {
        "description": inspect.getdoc(kind),
        "type": "object",
        "required": [name for name, (_, has_default) in fields.items() if not has_default],
        "additionalProperties": False,
        "properties": {name: _schema(hint, known) for name, (hint, _) in fields.items()},
        **({"allOf": [_BETWEEN_FIELDS[kind]]} if kind in _BETWEEN_FIELDS else {}),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(manifest_schema(), indent=2) + "\n")
