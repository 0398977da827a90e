"""Give a source a token with which usage may be pushed to it."""

import secrets
from hashlib import sha256

from millicent.kit.errors import BadInput
from millicent.mediation.models import UsageSource
from millicent.mediation.road import source_named
from millicent.mediation.usage_events import UsageEvents


def renew_push_token(source: str) -> str:
    """Make a token of 256 random bits and keep its SHA-256; the token before is void. Inside a tenant's scope."""
    facts = source_named(source)
    if facts.format != UsageEvents.code:
        raise BadInput(f"source {source!r} takes no events", where="push", cure=f"Its format: {UsageEvents.code}.")
    token = secrets.token_urlsafe(32)
    UsageSource.objects.filter(pk=facts.source_id).update(push_token_sha256=sha256(token.encode()).hexdigest())
    return token
