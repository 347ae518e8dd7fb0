"""Objects of a JSON schema as grammars: named keys in the schema's order, then additional ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.rules import Rules, repeat
from engine.text.grammar.spelling import char_set, literal

if TYPE_CHECKING:
    from engine.text.grammar.schema import Place, SchemaRules

COMMA = 'ws "," ws'


def object_body(schemas: SchemaRules, schema: dict[str, Any], place: Place) -> str:
    """The rule for objects."""
    named, required = properties(schema, place)
    additional = schema.get("additionalProperties", not named)
    counted = schema.get("minProperties") or "maxProperties" in schema
    if not named and not required and additional is True and not counted:
        return "object"
    for name in required:
        if name not in named:
            if schema.get("additionalProperties", True) is False:
                raise CannotExpress((*place, "required"), f"{name!r} is not among the properties")
            named[name] = schema.get("additionalProperties", True)
    extra = _extra(schemas, additional, list(named), place)
    low, high = _counts(schemas, schema, place, required=required, named=len(named), extra=extra is not None)
    pairs = []
    for name, value in named.items():
        key = schemas.rules.dialect.key(name)
        if key is None:
            raise CannotExpress((*place, "properties", name), "that name cannot be written as a key")
        rule = schemas.inside(value, (*place, "properties", name))
        pairs.append((f'{key} ws ":" ws {rule}', name in required))
    inside = members(schemas.rules, pairs, extra, low, high)
    return schemas.rules.add("object", f'"{{" ws {inside} ws "}}"')


def properties(schema: dict[str, Any], place: Place) -> tuple[dict[str, Any], list[str]]:
    """The schemas of properties that may be there, and the names of those that must be. Raises `CannotExpress`."""
    named, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(named, dict):
        raise CannotExpress((*place, "properties"), "it is an object of schemas")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise CannotExpress((*place, "required"), "it is a list of names")
    needed = set(required)
    # A property that is never allowed is simply not written.
    possible = {name: value for name, value in named.items() if value is not False or name in needed}
    return possible, required


def _counts(
    schemas: SchemaRules, schema: dict[str, Any], place: Place, *, required: list[str], named: int, extra: bool
) -> tuple[int, int | None]:
    """How many additional members there may be; limits that tie the named ones together are refused."""
    low, high = schema.get("minProperties", 0), schema.get("maxProperties")
    needed = len(set(required))
    for keyword, value in (("minProperties", low), ("maxProperties", high)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000):
            raise CannotExpress((*place, keyword), "it is a whole number of a reasonable size")
    fixed = needed == named
    if low > needed and not (fixed and extra):
        raise CannotExpress((*place, "minProperties"), "it asks for more than the required properties")
    if high is not None and (high < needed or (not fixed and high < named)):
        raise CannotExpress((*place, "maxProperties"), "it allows fewer than the properties that are named")
    if high is not None and high - named < max(low - needed, 0):
        raise CannotExpress((*place, "maxProperties"), "it is less than minProperties")
    return max(low - needed, 0), None if high is None else high - named


def _extra(schemas: SchemaRules, additional: Any, names: list[str], place: Place) -> str | None:
    """The rule of one additional member, whose key is none of `names`."""
    if additional is False:
        return None
    value = schemas.inside(additional, (*place, "additionalProperties"))
    quote = schemas.rules.dialect.quote
    key = schemas.rules.add("key", f"{quote} {_other(schemas.rules, names)} {quote}") if names else "key"
    return schemas.rules.add("member", f'{key} ws ":" ws {value}')


def members(
    rules: Rules,
    pairs: Sequence[tuple[str, bool]],
    extra: str | None = None,
    low: int = 0,
    high: int | None = None,
    *,
    comma: str = COMMA,
) -> str:
    """What stands between brackets: members, and whether each must be there, in their order, and `extra` ones then.

    `first` is the rest when nothing has been written, `after` when something has.
    """
    first = after = ""
    if extra is not None and high != 0:
        following = rules.add("members", f"{comma} {extra}")
        after = repeat(rules, following, low, high)
        first = f"{extra} {repeat(rules, following, max(low - 1, 0), None if high is None else high - 1)}"
        first = first if low else f"({first})?"
    for pair, required in reversed(pairs):
        member = rules.add("pair", pair)
        rest = rules.add("rest", after) if after else ""
        if required:
            first = f"{member} {rest}"
            after = f"{comma} {member} {rest}"
        else:
            alone = f"{member} {rest}"
            first = f"({alone} | {rules.add('first', first)})" if first else f"({alone})?"
            after = f"({comma} {member})? {rest}"
    return first.strip()


def _other(rules: Rules, names: list[str]) -> str:
    """The inside of a key that is none of `names`: it leaves their common letters sooner or later."""
    return _leaving(rules, sorted(set(names)))


def _leaving(rules: Rules, rest: list[str]) -> str:
    """Strings that are none of `rest`."""
    branches: dict[str, list[str]] = {}
    for name in rest:
        if name:
            branches.setdefault(name[0], []).append(name[1:])
    avoided = [(ord(char), ord(char)) for char in branches]
    spelling = rules.dialect.key_spelling
    parts = [f"{char_set([*avoided, *spelling.forbidden], negated=True)} keyrest"]
    # A name with a character that has to be escaped is never met by a key without escapes.
    plain = {char: names for char, names in branches.items() if spelling.of(char) == char}
    parts += [f"{literal(char)} {rules.add('key', _leaving(rules, names))}" for char, names in plain.items()]
    if "" not in rest:
        parts.append('""')
    return f"({' | '.join(parts)})"
