"""Files as a stranger may write them: texts, numbers and structures that no program of ours writes, made from valid ones by mutation."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

#: What code of a stranger would leave in the current folder.
CANARY = "canary-of-a-stranger"
CODE = f"__import__('os').mkdir('{CANARY}')"
TEXTS = (
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "\u2066left\u2069\u200f\u061c",
    "[red]x[/red][link=file:///etc/passwd]y[/link][/nothing]",
    f"'); {CODE} #",
    f'"); {CODE} #',
    f"\n{CODE}\n",
    f"\r{CODE}\r\n",
    f"x = {CODE}",
    f"coding: utf_7 +AAo-{CODE}",
    f"{{{{ {CODE} }}}}{{% include '/etc/passwd' %}}",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'",
    "javascript:alert(1)",
    f"=cmd|' /c {CODE}'!A0",
    "../../../../etc/passwd",
    "cases/../../../../etc/passwd",
    "/etc/passwd",
    "x\x00y",
    "x\n",
    "\x85\u2028\u2029\x0c",
    "\ud800",
    "import",
    "nan",
    "-inf",
    "1e999",
    "",
    "%s%n{0}{}",
    "long " * 500,
)
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**400,
    1e308,
    -1e308,
    5e-324,
    0.5,
    True,
    None,
    99,
)
SHAPES: tuple[Any, ...] = ([], {}, [[]], [1], {"a": 1}, [[[[[[1]]]]]], [None] * 50, {"kind": "finding"}, [2**40, 2**40])


def value(draw: random.Random) -> Any:
    """Something that may stand for a value."""
    return copy.deepcopy(draw.choice(draw.choice((TEXTS, TEXTS, NUMBERS, SHAPES))))


def nodes(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document, as what holds it and the key in that."""
    found, waiting = [], [document]
    while waiting:
        held = waiting.pop()
        keys = list(held) if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
        found += [(held, key) for key in keys]
        waiting += [held[key] for key in keys]
    return found


def mutated(document: Any, draw: random.Random) -> Any:
    """The document with one to three places changed: another value, none, twice, another name, another place's value."""
    document = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = nodes(document)
        if not places:
            return value(draw)
        held, key = draw.choice(places)
        how = draw.randrange(6)
        if how == 0 and isinstance(held, dict):
            del held[key]
        elif how == 1 and isinstance(held, dict):
            held[draw.choice(TEXTS)] = held.pop(key)
        elif how == 2:
            other, place = draw.choice(places)
            held[key] = copy.deepcopy(other[place])
        elif how < 5 and isinstance(held[key], str):
            text = draw.choice(TEXTS)
            held[key] = draw.choice((held[key] + text, text + held[key], text))
        elif how < 5 and isinstance(held[key], (int, float)):
            held[key] = draw.choice(NUMBERS)
        else:
            held[key] = value(draw)
    return document


def garbled(data: bytes, draw: random.Random) -> bytes:
    """The bytes, cut, flipped, repeated, nested or mixed with what is no text."""
    place, other = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    how = draw.randrange(7)
    if how == 0:
        return data[:place]
    if how == 1:
        return data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]
    if how == 2:
        return data[:place] + data[other:]
    if how == 3:
        return data[:other] + data[place:]
    if how == 4:
        return (
            data[:place]
            + draw.choice((b"[", b'{"a":', b"]", b"}", b'"', b"9", b"\\u")) * draw.choice((1, 30, 5000))
            + data[place:]
        )
    if how == 5:
        return data[:place] + draw.choice(TEXTS).encode("utf-8", "surrogatepass") + data[other:]
    return draw.randbytes(draw.randrange(200))


def text_of(document: Any) -> bytes:
    """A document as JSON, with escapes as they come; lone surrogates and numbers that JSON lacks among them."""
    return json.dumps(document).encode()


def stranger(seed: bytes, draw: random.Random) -> bytes:
    """A file made from a valid one: now by its structure, now by its bytes."""
    if draw.random() < 0.3:
        return garbled(seed, draw)
    made = text_of(mutated(json.loads(seed), draw))
    return garbled(made, draw) if draw.random() < 0.05 else made
