"""What a source declares beside its format: how its files are found, and which records are believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from millicent.kit.errors import BadInput

MS_PER_MINUTE, MS_PER_DAY = 60_000, 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRules:
    """Every rule has a default; a source names only what differs."""

    pattern: str = "*"  # which files of a folder
    stable_seconds: int = 60  # a file is taken when it has not changed for so long
    file_sequence: str = ""  # regular expression with one group: the running number in a file's name
    future_minutes: int = 60  # a record from further ahead is not believed
    oldest_days: int = 730  # nor one that began longer ago; 0: no limit
    session_minutes: int = 1_440  # a session of which nothing was heard for so long has lost its end
    remember_days: int = 35  # how long a closed session still recognises a late part
    partials: str = "own"  # partial records: "own" usage each, or "add" up to one
    on_net: bool = False  # say call_type "onnet" where the other party is a subscriber of ours


def collection_rules_from(declared: Mapping[str, object], *, where: str = "") -> CollectionRules:
    """Read and check the declared rules."""
    defaults = CollectionRules()
    known = {each.name for each in fields(CollectionRules)}
    for name, value in declared.items():
        if name not in known:
            raise BadInput(f"{name!r} is no collection rule", where=where, cure=f"Use {', '.join(sorted(known))}.")
        if type(value) is not type(getattr(defaults, name)):
            raise BadInput(f"{name} cannot be {value!r}", where=where, cure=f"Like {getattr(defaults, name)!r}.")
        if isinstance(value, int) and value < 0:
            raise BadInput(f"{name} cannot be {value}", where=where, cure="Give 0 or more.")
    rules = CollectionRules(**declared)  # type: ignore[arg-type]
    if rules.partials not in ("own", "add"):
        raise BadInput(f"partials cannot be {rules.partials!r}", where=where, cure='Use "own" or "add".')
    if rules.file_sequence:
        _check_expression(rules.file_sequence, where=where)
    return rules


def _check_expression(text: str, *, where: str) -> None:
    try:
        groups = re.compile(text).groups
    except re.error as fault:
        raise BadInput(f"file_sequence is no regular expression: {fault}", where=where, cure="Mend it.") from None
    if groups != 1:
        raise BadInput("file_sequence needs one group", where=where, cure=r"Write for example cdr_(\d+)\.csv.")


def file_sequence_of(name: str, rules: CollectionRules) -> int | None:
    """The running number in a file's name; None where the source declares none or the name has none."""
    if not rules.file_sequence:
        return None
    found = re.search(rules.file_sequence, name)
    return int(found.group(1)) if found and found.group(1).isdigit() else None
