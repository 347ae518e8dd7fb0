"""The keywords of JSON schema: which are kept, which are refused, and how two schemas become one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from engine.text.grammar.errors import CannotExpress

Place = tuple[str | int, ...]
TYPES = ("object", "array", "string", "number", "boolean", "null")
_ALL_TYPES = (*TYPES, "integer")

_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
_GENERAL = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}
_KEPT = _GENERAL.union(*_BY_TYPE.values())
_REFUSED = {
    "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "patternProperties",
    "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains", "minContains", "maxContains",
    "additionalItems", "$dynamicRef", "$recursiveRef",
}  # fmt: skip

_DATE = '("1" | "2") [0-9]{3} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
_CLOCK = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})?'
_ZONE = '("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
_BYTE = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9]{2} | [1-9]? [0-9])'
_HEX = "[0-9a-f]"
FORMATS = {
    # Days beyond the 28th depend on the month; they are not written.
    "date": _DATE,
    "time": f"{_CLOCK} {_ZONE}",
    "date-time": f'{_DATE} "T" {_CLOCK} {_ZONE}',
    "uuid": f'{_HEX}{{8}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{12}}',
    "ipv4": f'{_BYTE} "." {_BYTE} "." {_BYTE} "." {_BYTE}',
    "email": '[a-z0-9] ([._-]? [a-z0-9]){0,20} "@" [a-z0-9]{1,20} ("." [a-z0-9]{1,20}){0,3} "." [a-z]{2,10}',
}
"""The formats that are kept, as the inside of a string."""


def check_keywords(schema: dict[str, Any], place: Place) -> None:
    """Raises `CannotExpress` for a keyword that limits values in a way that is not kept."""
    for keyword, value in schema.items():
        harmless = (keyword == "uniqueItems" and value is False) or (keyword == "multipleOf" and _whole_steps(schema))
        if harmless:
            continue
        if keyword in _REFUSED or keyword in ("uniqueItems", "multipleOf"):
            raise CannotExpress((*place, keyword), "no grammar here can keep it")
    if isinstance(schema.get("items"), list):
        raise CannotExpress((*place, "items"), "a list of schemas is spelled prefixItems today")


def constraining(schema: dict[str, Any], *without: str) -> dict[str, Any]:
    """What limits values in `schema`, but for the keywords `without`."""
    return {keyword: value for keyword, value in schema.items() if keyword in _KEPT and keyword not in without}


def types_of(schema: dict[str, Any], place: Place) -> tuple[str, ...]:
    """The types that values may have; where none is said, the one that the other keywords are about."""
    said = schema.get("type")
    if said is None:
        return next(((name,) for name, keywords in _BY_TYPE.items() if keywords & schema.keys()), ())
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not names or not all(name in _ALL_TYPES for name in names):
        raise CannotExpress((*place, "type"), f"{said!r} is none of {', '.join(_ALL_TYPES)}")
    return tuple(dict.fromkeys(names))


def fits_type(value: Any, name: str) -> bool:  # noqa: PLR0911 - one line for each type
    """Whether a value is of that type."""
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def merged(one: Any, other: Any, place: Place) -> Any:
    """A schema for what satisfies both. Raises `CannotExpress` where a keyword of both cannot be made one."""
    if one is True or other is True:
        return other if one is True else one
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise CannotExpress(place, "a schema is an object or a boolean")
    check_keywords(one, place)
    check_keywords(other, place)
    result = constraining(one)
    for keyword, value in constraining(other).items():
        if keyword not in result or result[keyword] == value:
            result[keyword] = value
        elif keyword == "properties":
            both = result[keyword].keys() & value.keys()
            result[keyword] = (
                result[keyword] | value
                | {name: merged(result[keyword][name], value[name], (*place, keyword, name)) for name in both}
            )  # fmt: skip
        elif keyword == "required":
            result[keyword] = list(dict.fromkeys([*result[keyword], *value]))
        elif keyword in ("minimum", "exclusiveMinimum", "minLength", "minItems"):
            result[keyword] = max(result[keyword], value)
        elif keyword in ("maximum", "exclusiveMaximum", "maxLength", "maxItems"):
            result[keyword] = min(result[keyword], value)
        else:
            raise CannotExpress((*place, keyword), "it is said twice, and differently")
    closed = [schema for schema in (one, other) if schema.get("additionalProperties", True) is not True]
    if closed and one.get("properties", {}).keys() != other.get("properties", {}).keys() and _both_objects(one, other):
        raise CannotExpress((*place, "additionalProperties"), "it would have to know the properties of another schema")
    return result


def disjoint(schemas: list[Any]) -> bool:
    """Whether no value can satisfy two of the schemas, as far as that can be seen at once."""
    return all(_disjoint(one, other) for one, other in combinations(schemas, 2))


def _disjoint(one: Any, other: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    values = [schema.get("enum", [schema["const"]] if "const" in schema else None) for schema in (one, other)]
    if values[0] is not None and values[1] is not None:
        return not any(value in values[1] for value in values[0])
    types = [_type_set(schema, listed) for schema, listed in zip((one, other), values, strict=True)]
    if types[0] and types[1] and not types[0] & types[1]:
        return True
    if types != [{"object"}, {"object"}]:
        return False
    shared = set(one.get("required", [])) & set(other.get("required", []))
    return any(_disjoint(one["properties"].get(name), other["properties"].get(name)) for name in shared
               if "properties" in one and "properties" in other)  # fmt: skip


def _type_set(schema: dict[str, Any], listed: list[Any] | None) -> set[str]:
    said = schema.get("type")
    if said is None:
        return {name for name in TYPES for value in listed or () if fits_type(value, name)}
    names = {said} if isinstance(said, str) else set(said)
    return names | {"number"} if "integer" in names else names


def _both_objects(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(_BY_TYPE["object"] & one.keys()) and bool(_BY_TYPE["object"] & other.keys())


def _whole_steps(schema: dict[str, Any]) -> bool:
    return schema.get("multipleOf") == 1 and schema.get("type") == "integer"
