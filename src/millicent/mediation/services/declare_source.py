"""Declare where usage comes from and how it reads."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from millicent.kit.clock import zone_named
from millicent.kit.errors import BadInput
from millicent.mediation.formats import format_named
from millicent.mediation.models import UsageSource
from millicent.mediation.road import SourceFacts, source_named
from millicent.mediation.rules.declaration import collection_rules_from
from millicent.mediation.rules.numbering import dial_plan_from

_KNOWN = (
    "name", "format", "family", "url", "zone", "dial_plan", "options", "collected", "storage_options",
    "push_token_sha256",
)  # fmt: skip
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def declare_source(declared: Mapping[str, object], *, now: datetime, where: str = "") -> SourceFacts:
    """Keep a checked declaration under its name; declaring it again changes it for files collected from then on.

    Keys: name, format, and if wanted family (default: the name), url, zone, dial_plan, options, collected,
    storage_options (names of environment variables: no secret is ever stored), push_token_sha256 (left out: stays as it
    is). Runs inside a tenant's scope. A family never changes: its event keys are what duplicates are found by.
    """
    unknown = sorted(set(declared) - set(_KNOWN))
    if unknown:
        raise BadInput(f"{unknown[0]!r} is no part of a source", where=where, cure=f"Use {', '.join(_KNOWN)}.")
    name, format_code = _text(declared, "name", where=where), _text(declared, "format", where=where)
    format_named(format_code)
    zone = str(declared.get("zone", "UTC"))
    zone_named(zone, where=where)
    dial_plan = _mapping(declared, "dial_plan", where=where)
    collected = _mapping(declared, "collected", where=where)
    dial_plan_from(dial_plan, where=where)
    collection_rules_from(collected, where=where)
    options = {key: str(value) for key, value in _mapping(declared, "options", where=where).items()}
    known = UsageSource.objects.filter(name=name).first()
    family = str(declared.get("family") or (known.family if known else name))
    if known is not None and known.family != family:
        raise BadInput(
            f"source {name!r} is of family {known.family!r} and cannot change to {family!r}",
            where=where,
            cure="Declare a new source: the event keys of the old family find its duplicates.",
        )
    kept: dict[str, object] = {
        "format": format_code,
        "family": family,
        "url": _url(declared, where=where),
        "zone": zone,
        "dial_plan": dial_plan,
        "options": options,
        "collected": collected,
        "storage_options": _variables(declared, where=where),
    }
    if "push_token_sha256" in declared:
        kept["push_token_sha256"] = _digest(declared, where=where)
    UsageSource.objects.update_or_create(name=name, defaults=kept, create_defaults={**kept, "declared_at": now})
    return source_named(name)


def _url(declared: Mapping[str, object], *, where: str) -> str:
    url = str(declared.get("url", ""))
    if urlsplit(url).password is not None:
        raise BadInput(
            "the url holds a password",
            where=where,
            cure="Take it out; under storage_options name the variable with it.",
        )
    return url


def _variables(declared: Mapping[str, object], *, where: str) -> dict[str, str]:
    """Option of the store -> environment variable; whatever cannot be a variable's name may be the secret itself."""
    named = _mapping(declared, "storage_options", where=where)
    for option, variable in named.items():
        if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            raise BadInput(
                f"storage option {option} does not name an environment variable",
                where=where,
                cure="Write for example secret: CDR_BUCKET_SECRET, and set CDR_BUCKET_SECRET where Millicent runs.",
            )
    return {option: str(variable) for option, variable in named.items()}


def _digest(declared: Mapping[str, object], *, where: str) -> str:
    digest = declared["push_token_sha256"]
    if not isinstance(digest, str) or (digest and not _DIGEST.fullmatch(digest)):
        raise BadInput(
            "push_token_sha256 is no SHA-256",
            where=where,
            cure="`millicent collect push-token` makes token and digest.",
        )
    return digest


def _text(declared: Mapping[str, object], key: str, *, where: str) -> str:
    value = declared.get(key)
    if not isinstance(value, str) or not value:
        raise BadInput(f"a source needs {key}", where=where, cure=f"Add {key}: ... to the declaration.")
    return value


def _mapping(declared: Mapping[str, object], key: str, *, where: str) -> dict[str, object]:
    value = declared.get(key) or {}
    if not isinstance(value, dict):
        raise BadInput(f"{key} cannot be {value!r}", where=where, cure=f"Write names and values under {key}.")
    return value
