"""Grammars of single values that are written as plain text: what `values` reads as something that a schema allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.text.grammar.calls import CallRules
from engine.text.grammar.dialects import raw
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.keywords import FORMATS, TYPES, Place, constraining, disjoint, fits_type, merged, types_of
from engine.text.grammar.pattern import UnknownPattern, pattern_grammar
from engine.text.grammar.schema import SchemaRules, counts
from engine.text.grammar.spelling import literal
from engine.text.grammar.text import TooLong
from engine.text.tool_calls.values import typed

TEXT = frozenset({"string"})
_DEEPEST = 16
_SURE = r"""[^-+0-9{\[("'TtFfNn<\x00-\x20\x7F]"""
"""First characters of text that cannot be taken for other data."""

Alternatives = list[tuple[bool, str]]
"""Ways to write a value: whether it is text, and GBNF."""


class PlainValues:
    """The values of one tool's arguments, each up to the word `end`; text has none of `others` inside."""

    def __init__(self, rules: CallRules, schemas: SchemaRules, end: str, others: tuple[str, ...]) -> None:
        self._rules = rules
        self._schemas = schemas
        self._end = end
        self._others = others

    def free(self, types: frozenset[str]) -> Alternatives:
        """Anything of these types; of any when there are none."""
        if not types or "string" in types:
            return [(True, self._rules.text(self._end, *self._others))]
        return [(False, name) for name in sorted(types)]

    def alternatives(self, schema: Any, place: Place, types: frozenset[str], *, told: bool) -> Alternatives:
        """What satisfies `schema`, an argument of the `types` that a parser knows of.

        `told`: a parser is told what is text; else text must not be written that it would take for other data, but
        for such as the schema allows, too. Raises `CannotExpress`.
        """
        sure = told or types == TEXT or self._anything_goes(schema, place, types)
        found = list(self._branches(schema, place, types, 0, sure=sure, told=told))
        if not found:
            raise CannotExpress(place, "none of its values can be written in the model's syntax")
        return found

    def _branches(
        self, schema: Any, place: Place, types: frozenset[str], depth: int, *, sure: bool, told: bool
    ) -> Iterator[tuple[bool, str]]:
        if depth > _DEEPEST:
            raise CannotExpress(place, "it is nested too deeply")
        schema = self._schemas.flat(schema, place)
        if schema is True or (isinstance(schema, dict) and not constraining(schema)):
            yield True, self._rules.text(self._end, *self._others)
            if told:
                yield False, "value"
            return
        keyword = _choice(schema)
        if keyword:
            branches = _merged(schema, keyword, place)
            if keyword == "oneOf" and not disjoint([self._schemas.flat(branch, place) for branch in branches]):
                raise CannotExpress((*place, keyword), "its schemas may hold for the same value; anyOf allows that")
            for index, branch in enumerate(branches):
                where = (*place, keyword, index)
                yield from self._branches(branch, where, types, depth + 1, sure=sure, told=told)
        elif isinstance(schema, dict) and ("enum" in schema or "const" in schema):
            yield from self._listed(schema, place, types, told=told)
        elif isinstance(schema, dict) and "string" in types_of(schema, place):
            yield True, self._text(schema, place, sure=sure)
            for name in (name for name in types_of(schema, place) if name != "string"):
                yield False, self._schemas.rule(schema | {"type": name}, place)
        else:
            yield False, self._schemas.rule(schema, place)

    def _listed(
        self, schema: dict[str, Any], place: Place, types: frozenset[str], *, told: bool
    ) -> Iterator[tuple[bool, str]]:
        """The values of an enumeration; text that a parser would not find again is left out."""
        values = _values(schema)
        others = [value for value in values if not isinstance(value, str)]
        names = types_of(schema, place) if "type" in schema else TYPES
        if "string" in names:
            for text in (value for value in values if isinstance(value, str)):
                impossible = any(word in text for word in (self._end, *self._others))
                if not impossible and (told or json.loads(typed(text, types)) == text):
                    yield True, literal(text)
        if any(fits_type(value, name) for value in others for name in names):
            rest = {key: value for key, value in schema.items() if key not in ("enum", "const")}
            yield False, self._schemas.rule(rest | {"enum": others}, place)

    def _text(self, schema: dict[str, Any], place: Place, *, sure: bool) -> str:
        low, high = counts(schema, "minLength", "maxLength", place)
        limits = [keyword for keyword in ("pattern", "format") if keyword in schema]
        if limits and ((low, high) != (0, None) or len(limits) > 1 or not sure):
            raise CannotExpress((*place, limits[0]), "it stands beside another limit on the same value")
        if limits == ["pattern"]:
            try:
                return f"({pattern_grammar(self._rules.rules, schema['pattern'], raw(self._end[0]))})"
            except (UnknownPattern, TypeError) as error:
                raise CannotExpress((*place, "pattern"), f"{error}") from error
        if limits:
            if schema["format"] not in FORMATS:
                raise CannotExpress((*place, "format"), f"{schema['format']!r} is not known")
            return FORMATS[schema["format"]]
        if not sure and (low > 1 or high is not None):
            raise CannotExpress((*place, "type"), "its length is limited, and it may be no text at all")
        try:
            rest = self._rules.text(self._end, *self._others, low=low if sure else 0, high=high)
        except TooLong as error:
            raise CannotExpress((*place, "maxLength"), "that many characters are not counted") from error
        return rest if sure else f"{_SURE} {rest}"

    def _anything_goes(self, schema: Any, place: Place, types: frozenset[str]) -> bool:
        """Whether all data that text may be taken for satisfies `schema`, too."""
        allowed = self._unlimited(schema, place, 0)
        return allowed == {*TYPES, "integer"} or (bool(types) and types - TEXT <= allowed)

    def _unlimited(self, schema: Any, place: Place, depth: int) -> set[str]:
        """The types of which any value satisfies `schema`."""
        schema = self._schemas.flat(schema, place)
        if schema is True or (isinstance(schema, dict) and not constraining(schema)):
            return {*TYPES, "integer"}
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return set()
        keyword = _choice(schema)
        if keyword:
            branches = _merged(schema, keyword, place)
            return set().union(*(self._unlimited(branch, place, depth + 1) for branch in branches))
        if "enum" in schema or "const" in schema:
            return {"null"} if None in _values(schema) else set()
        if constraining(schema).keys() - {"type"}:
            return set()
        names = set(types_of(schema, place))
        return names | {"integer"} if "number" in names else names


def _choice(schema: Any) -> str:
    """The keyword of alternatives in a schema; empty without one."""
    return next((keyword for keyword in ("anyOf", "oneOf") if isinstance(schema, dict) and keyword in schema), "")


def _merged(schema: dict[str, Any], keyword: str, place: Place) -> list[Any]:
    """The alternatives of `schema`, with what stands beside them. Raises `CannotExpress`."""
    rest, branches = constraining(schema, keyword), schema[keyword]
    if not isinstance(branches, list) or not branches:
        raise CannotExpress((*place, keyword), "it is a list of schemas")
    return [merged(branch, rest, (*place, keyword)) if rest else branch for branch in branches]


def _values(schema: dict[str, Any]) -> list[Any]:
    listed = [schema["const"]] if "const" in schema else schema["enum"]
    return listed if isinstance(listed, list) else []
