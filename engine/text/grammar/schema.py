"""JSON schemas as grammars, in any dialect that the rules have.

Every answer that the grammar allows satisfies the schema; not everything that satisfies it is allowed: keys come in
the schema's order, and where `additionalProperties` is not said there are none beside those named. A keyword that
cannot be kept is refused (`CannotExpress`), annotations are passed over.
"""

from __future__ import annotations

import math
from typing import Any

from engine.text.grammar import numbers
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.keywords import (
    FORMATS,
    TYPES,
    check_keywords,
    constraining,
    disjoint,
    fits_type,
    merged,
    types_of,
)
from engine.text.grammar.objects import object_body
from engine.text.grammar.pattern import UnknownPattern, pattern_grammar
from engine.text.grammar.rules import Rules, repeat

Place = tuple[str | int, ...]
_DEEPEST = 64
_MOST = 100_000
"""Repetitions that can be counted."""


def schema_grammar(schema: Any) -> str:
    """The grammar of the JSON texts that satisfy `schema`. Raises `CannotExpress`."""
    rules = Rules()
    return rules.text(SchemaRules(rules, schema).rule(schema, ()))


class SchemaRules:
    """Adds the rules for one schema document to a grammar."""

    def __init__(self, rules: Rules, document: Any) -> None:
        self.rules = rules
        self._document = document
        self._references: dict[str, str] = {}
        self._open: tuple[str, ...] = ()
        """References that have been entered since the last character that must be written."""
        self._depth = 0

    def rule(self, schema: Any, place: Place) -> str:
        """The name of a rule for the values that satisfy `schema`, which stands at `place`."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CannotExpress(place, f"it is nested, or refers to itself, more than {_DEEPEST} levels deep")
        try:
            return self._rule(schema, place)
        finally:
            self._depth -= 1

    def inside(self, schema: Any, place: Place) -> str:
        """The same for a value within an object or array: the brackets before it make references to it safe."""
        opened, self._open = self._open, ()
        try:
            return self.rule(schema, place)
        finally:
            self._open = opened

    def _rule(self, schema: Any, place: Place) -> str:  # noqa: PLR0911 - one line for each kind of schema
        if schema is True or schema == {}:
            return "value"
        if schema is False:
            raise CannotExpress(place, "false allows no value at all")
        if not isinstance(schema, dict):
            raise CannotExpress(place, "a schema is an object or a boolean")
        check_keywords(schema, place)
        if "$ref" in schema:
            return self._reference(schema, place)
        if "allOf" in schema:
            return self.rule(self._joined(schema, place), place)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._alternatives(schema, keyword, place)
        if "const" in schema or "enum" in schema:
            return self._listed(schema, place)
        names = types_of(schema, place)
        if not names:
            return "value"
        bodies = [self._of_type(name, schema, place) for name in names]
        return bodies[0] if len(bodies) == 1 else self.rules.add("types", " | ".join(bodies))

    def _reference(self, schema: dict[str, Any], place: Place) -> str:
        reference, rest = schema["$ref"], constraining(schema, "$ref")
        target = self._resolve(reference, (*place, "$ref"))
        if reference in self._open:
            raise CannotExpress((*place, "$ref"), f"{reference!r} refers to itself without an end")
        opened, self._open = self._open, (*self._open, reference)
        try:
            if rest:
                return self.rule(merged(target, rest, place), place)
            if reference not in self._references:
                self._references[reference] = name = self.rules.reserve("ref")
                self.rules.define(name, self.rule(target, place))
            return self._references[reference]
        finally:
            self._open = opened

    def _resolve(self, reference: Any, place: Place) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise CannotExpress(place, f"{reference!r} is not a part of this schema")
        target = self._document
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdigit() and int(key) < len(target):
                target = target[int(key)]
            else:
                raise CannotExpress(place, f"there is nothing at {reference!r}")
        return target

    def _joined(self, schema: dict[str, Any], place: Place) -> dict[str, Any]:
        """One schema out of `allOf` and what stands beside it."""
        result = constraining(schema, "allOf")
        parts = schema["allOf"]
        if not isinstance(parts, list) or not parts:
            raise CannotExpress((*place, "allOf"), "it is a list of schemas")
        for index, part in enumerate(parts):
            where = (*place, "allOf", index)
            result = merged(result, self._followed(part, where), where)
        return result

    def _followed(self, schema: Any, place: Place) -> Any:
        """`schema` without a reference at its head."""
        seen: set[str] = set()
        while isinstance(schema, dict) and "$ref" in schema:
            reference = schema["$ref"]
            if reference in seen:
                raise CannotExpress((*place, "$ref"), f"{reference!r} refers to itself without an end")
            target = self._resolve(reference, (*place, "$ref"))
            seen.add(reference)
            schema = merged(target, constraining(schema, "$ref"), place)
        return schema

    def flat(self, schema: Any, place: Place) -> Any:
        """`schema` without references and `allOf` at its head."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict) or not {"$ref", "allOf"} & schema.keys():
                return schema
            schema = self._followed(schema, place) if "$ref" in schema else self._joined(schema, place)
        raise CannotExpress(place, "it refers to itself without an end")

    def _alternatives(self, schema: dict[str, Any], keyword: str, place: Place) -> str:
        rest, branches = constraining(schema, keyword), schema[keyword]
        if not isinstance(branches, list) or not branches:
            raise CannotExpress((*place, keyword), "it is a list of schemas")
        if keyword == "oneOf":
            followed = [self._followed(branch, (*place, keyword)) for branch in branches]
            if not disjoint(followed):
                raise CannotExpress((*place, keyword), "its schemas may hold for the same value; anyOf allows that")
        names = []
        for index, branch in enumerate(branches):
            where = (*place, keyword, index)
            names.append(self.rule(merged(branch, rest, where) if rest else branch, where))
        return self.rules.add(keyword, " | ".join(dict.fromkeys(names)))

    def _listed(self, schema: dict[str, Any], place: Place) -> str:
        keyword = "const" if "const" in schema else "enum"
        others = set(constraining(schema, keyword)) - {"type"}
        if others:
            raise CannotExpress((*place, sorted(others)[0]), f"it stands beside {keyword}")
        values = [schema["const"]] if keyword == "const" else schema["enum"]
        if not isinstance(values, list):
            raise CannotExpress((*place, keyword), "it is a list of values")
        names = types_of(schema, place) if "type" in schema else TYPES
        fitting = [value for value in values if any(fits_type(value, name) for name in names)]
        if not fitting:
            raise CannotExpress((*place, keyword), "no value is left")
        written = [text for text in map(self.rules.dialect.value, fitting) if text is not None]
        if not written:
            raise CannotExpress((*place, keyword), "none of its values can be written in the model's syntax")
        return self.rules.add(keyword, " | ".join(written))

    def _of_type(self, name: str, schema: dict[str, Any], place: Place) -> str:
        match name:
            case "object":
                return object_body(self, schema, place)
            case "array":
                return self._array(schema, place)
            case "string":
                return self._string(schema, place)
            case "integer" | "number":
                return self._number(name, schema, place)
        return name

    def _array(self, schema: dict[str, Any], place: Place) -> str:
        low, high = counts(schema, "minItems", "maxItems", place)
        heads = schema.get("prefixItems", [])
        if not isinstance(heads, list):
            raise CannotExpress((*place, "prefixItems"), "it is a list of schemas")
        if not heads and schema.get("items", True) is True and (low, high) == (0, None):
            return "array"
        more = high is None or high > len(heads)
        items = schema.get("items", True)
        if items is False and low > len(heads):
            raise CannotExpress((*place, "items"), f"no array of {low} items is possible")
        item = self.inside(items, (*place, "items")) if more and items is not False else None
        names = [self.inside(head, (*place, "prefixItems", index)) for index, head in enumerate(heads[:high])]
        tail = ""
        if item is not None:
            next_item = self.rules.add("next", f'ws "," ws {item}')
            if not names:
                body = f"{item} {repeat(self.rules, next_item, max(low - 1, 0), None if high is None else high - 1)}"
                body = body if low else f"({body})?"
                return self.rules.add("array", f'"[" ws {body} ws "]"')
            least = max(low - len(names), 0)
            tail = repeat(self.rules, next_item, least, None if high is None else high - len(names))
        for index in range(len(names) - 1, -1, -1):
            comma = 'ws "," ws ' if index else ""
            part = f"{comma}{names[index]} {tail}".strip()
            tail = part if index < low else f"({part})?"
        return self.rules.add("array", f'"[" ws {tail} ws "]"')

    def _string(self, schema: dict[str, Any], place: Place) -> str:
        low, high = counts(schema, "minLength", "maxLength", place)
        bounded, quote = (low, high) != (0, None), self.rules.dialect.quote
        for keyword in ("pattern", "format"):
            if keyword in schema and (bounded or ("pattern" in schema and "format" in schema)):
                raise CannotExpress((*place, keyword), "it stands beside another limit on the same text")
        if "pattern" in schema:
            try:
                body = pattern_grammar(self.rules, schema["pattern"], self.rules.dialect.spelling)
            except (UnknownPattern, TypeError) as error:
                raise CannotExpress((*place, "pattern"), f"{error}") from error
            return self.rules.add("pattern", f"{quote} ({body}) {quote}")
        if "format" in schema:
            if schema["format"] not in FORMATS:
                known = ", ".join(sorted(FORMATS))
                raise CannotExpress((*place, "format"), f"{schema['format']!r} is not known ({known} are)")
            return self.rules.add("format", f"{quote} {FORMATS[schema['format']]} {quote}")
        if not bounded:
            return "string"
        return self.rules.add("string", f"{quote} {repeat(self.rules, 'char', low, high)} {quote}")

    def _number(self, name: str, schema: dict[str, Any], place: Place) -> str:
        bounds = {keyword: bound(schema[keyword], (*place, keyword)) for keyword in _BOUNDS if keyword in schema}
        if not bounds:
            return name
        low, above = _tighter(bounds.get("minimum"), bounds.get("exclusiveMinimum"), 1)
        high, below = _tighter(bounds.get("maximum"), bounds.get("exclusiveMaximum"), -1)
        if name == "integer":
            least = None if low is None else math.floor(low) + 1 if above else math.ceil(low)
            most = None if high is None else math.ceil(high) - 1 if below else math.floor(high)
            possible = least is None or most is None or least <= most
            body = numbers.integers(least, most) if possible else ""
        else:
            for keyword, value in bounds.items():
                if value != int(value):
                    raise CannotExpress((*place, keyword), "a number can be held to whole bounds only")
            possible = low is None or high is None or low <= high
            limits = (None if low is None else int(low), None if high is None else int(high))
            body = numbers.numbers(*limits, above=above, below=below) if possible else ""
        if not body:
            raise CannotExpress((*place, next(iter(bounds))), "no number is left")
        return self.rules.add(name, body)


_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def counts(schema: dict[str, Any], least: str, most: str, place: Place) -> tuple[int, int | None]:
    """The two keywords that count, checked."""
    found: list[int | None] = []
    for keyword, default in ((least, 0), (most, None)):
        value = schema.get(keyword, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value != int(value)):
            raise CannotExpress((*place, keyword), "it is a whole number")
        if value is not None and not 0 <= value <= _MOST:
            raise CannotExpress((*place, keyword), f"it lies between 0 and {_MOST}")
        found.append(None if value is None else int(value))
    low, high = found[0] or 0, found[1]
    if high is not None and high < low:
        raise CannotExpress((*place, most), f"it is less than {least}")
    return low, high


def bound(value: Any, place: Place) -> float:
    """A bound on a number, checked."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CannotExpress(place, "it is a number")
    return value


def _tighter(included: float | None, excluded: float | None, sign: int) -> tuple[float | None, bool]:
    """The tighter of a bound and an exclusive one (`sign` 1: lower bounds), and whether it is the exclusive one."""
    if excluded is None or (included is not None and sign * included > sign * excluded):
        return included, False
    return excluded, True
