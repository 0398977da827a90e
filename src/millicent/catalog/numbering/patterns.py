"""A number pattern of the metadata ("(?:6\\d|7[1-48])\\d{7}") to the prefixes that it allows.

The metadata uses a small part of regular expressions: digits, classes, \\d, groups, alternatives and counts. Each
alternative becomes a row of digit sets; the free tail falls away and what is left is multiplied out.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import product

from millicent.kit.errors import BadInput

Digits = frozenset[str]
Sequence = tuple[Digits, ...]

ANY_DIGIT: Digits = frozenset("0123456789")
MOST_SEQUENCES = 60_000
MOST_PREFIXES = 4_000
_TOKEN = re.compile(r"\(\?:|[()|]|\\d|\[[^\]]*\]|\{[0-9]+(?:,[0-9]+)?\}|[?0-9]")


def prefixes_of_pattern(pattern: str, *, longest: int = 15) -> frozenset[str]:
    """The fewest prefixes of at most `longest` digits that cover every number the pattern allows."""
    tokens = _TOKEN.findall(re.sub(r"\s", "", pattern))
    if "".join(tokens) != re.sub(r"\s", "", pattern):
        raise BadInput(f"the number pattern {pattern!r} is of a kind that cannot be read", cure="List the prefixes.")
    sequences, end = _alternatives(tokens, 0)
    assert end == len(tokens), "the whole pattern is read"
    return compact(prefix for sequence in sequences for prefix in _prefixes(sequence[:longest]))


def compact(prefixes: Iterable[str]) -> frozenset[str]:
    """Drop what a shorter prefix covers; ten sisters become their mother."""
    kept: set[str] = set()
    for prefix in sorted(set(prefixes), key=len):
        if not any(prefix[:length] in kept for length in range(1, len(prefix))):
            kept.add(prefix)
    for length in range(max(map(len, kept), default=0), 1, -1):
        mothers = {prefix[:-1] for prefix in kept if len(prefix) == length}
        for mother in mothers:
            sisters = {mother + digit for digit in ANY_DIGIT}
            if sisters <= kept:
                kept = (kept - sisters) | {mother}
    return frozenset(kept)


def _prefixes(sequence: Sequence) -> Iterator[str]:
    length = len(sequence)
    while length > 1 and sequence[length - 1] == ANY_DIGIT:
        length -= 1
    return ("".join(digits) for digits in product(*(sorted(each) for each in sequence[:length])))


def _alternatives(tokens: list[str], place: int) -> tuple[set[Sequence], int]:
    """Read until the closing bracket: every alternative as rows of digit sets."""
    found: set[Sequence] = set()
    current: set[Sequence] = {()}
    while place < len(tokens) and tokens[place] != ")":
        if tokens[place] == "|":
            found |= current
            current, place = {()}, place + 1
            continue
        part, place = _atom(tokens, place)
        least, most, place = _count(tokens, place)
        current = _joined(current, part, least=least, most=most)
    return found | current, place


def _atom(tokens: list[str], place: int) -> tuple[set[Sequence], int]:
    token = tokens[place]
    if token in ("(?:", "("):
        inner, end = _alternatives(tokens, place + 1)
        return inner, end + 1
    return {(_digits(token),)}, place + 1


def _digits(piece: str) -> Digits:
    if piece == "\\d":
        return ANY_DIGIT
    if not piece.startswith("["):
        return frozenset(piece)
    found: set[str] = set()
    for low, high in re.findall(r"(\\d|[0-9])(?:-([0-9]))?", piece):
        found |= ANY_DIGIT if low == "\\d" else {str(digit) for digit in range(int(low), int(high or low) + 1)}
    return frozenset(found)


def _count(tokens: list[str], place: int) -> tuple[int, int, int]:
    piece = tokens[place] if place < len(tokens) else ""
    if piece == "?":
        return 0, 1, place + 1
    if piece.startswith("{"):
        least, _, most = piece[1:-1].partition(",")
        return int(least), int(most or least), place + 1
    return 1, 1, place


def _joined(current: set[Sequence], part: set[Sequence], *, least: int, most: int) -> set[Sequence]:
    found: set[Sequence] = set()
    for times in range(1, most + 1):
        if times == 1 and least == 0:
            found |= current
        current = {left + right for left in current for right in part}
        if len(current) > MOST_SEQUENCES:
            raise BadInput("the numbering plan has too many cases to turn into prefixes", cure="List the prefixes.")
        if times >= least:
            found |= current
    return found
