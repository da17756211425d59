"""How a declaration becomes the JSON schemas of a tool."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, create_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel


def build_arguments(name: str, function: Callable[..., Any], hints: Mapping[str, Any]) -> type[BaseModel]:
    """Return the model of the arguments of a tool. `hints` are those of the parameters that a caller may pass."""
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in hints:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    return create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def build_input_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments. `null` is accepted but not advertised."""
    schema = arguments.model_json_schema()
    schema.pop("title", None)
    for name, prop in schema.get("properties", {}).items():
        prop.pop("title", None)
        schema["properties"][name] = drop_null(prop)
    return schema


def build_output_schema(result: Any) -> dict[str, Any]:
    """Return the JSON schema of a tool's result, given its type: an object without required keys that allows more.

    An answer that lists several matches comes from the same tool and must validate too, and rows of a list leave out
    what is null.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(result)
    schema = compact_schema(adapter.json_schema(mode="serialization"))
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("required", None)
    return {**schema, "type": "object", "additionalProperties": True}


def drop_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property's schema without `null`: callers omit arguments instead."""
    forms = [form for form in schema.get("anyOf", ()) if form.get("type") != "null"]
    plain = {name: value for name, value in schema.items() if name != "default" or value is not None}
    if len(forms) == 1:
        plain.pop("anyOf")
        return {**forms[0], **plain}
    return {**plain, "anyOf": forms} if forms else plain


def compact_schema(schema: Any) -> Any:
    """Return a JSON schema without titles, which repeat names, and with `anyOf` of plain types as a list of types."""
    if isinstance(schema, list):
        return [compact_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    forms = schema.get("anyOf", ())
    if forms and all(isinstance(form, dict) and form.keys() == {"type"} for form in forms):
        schema = {name: part for name, part in schema.items() if name != "anyOf"} | {"type": [f["type"] for f in forms]}
    return {
        name: compact_schema(part) for name, part in schema.items() if not (name == "title" and isinstance(part, str))
    }
