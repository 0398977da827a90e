"""The stores as an AccessBook: subscriptions, their characteristics, and the passwords that charging keeps."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from millicent.charging.services.set_network_password import kept_credential
from millicent.kit.tenancy import tenant_scope
from millicent.network.radius.access import Access
from millicent.network.radius.clients import NO_PROFILE, Profile
from millicent.subscriptions.selectors import identifiers_as_recorded, subscriptions_by_code
from millicent.subscriptions.types import IdentifierKind, SubscriptionStatus, SubscriptionVersion


class StoredAccess:
    """The subscriptions of one tenant and their passwords. A profile is that of the offering held now.

    Characteristics of a subscription say more than its offering: addresses, prefixes, `framed_pool`, `rate_limit`.
    """

    def __init__(self, *, tenant_id: UUID, profiles: Mapping[str, Profile]) -> None:
        self._tenant_id = tenant_id
        self._profiles = profiles

    def find(self, user_name: str, *, now_ms: int) -> Access | None:
        with tenant_scope(self._tenant_id):
            code = _holder(user_name, now_ms=now_ms)
            facts = subscriptions_by_code([code]) if code else []
            if not facts:
                return None
            credential = kept_credential(user_name)
        version = next((each for each in facts[0].versions if _holds(each, now_ms=now_ms)), None)
        if version is None:
            return None
        return Access(
            user_name=user_name,
            subscription_id=facts[0].subscription_id,
            is_active=version.status is SubscriptionStatus.ACTIVE,
            offering=version.offering,
            profile=self._profile(version),
            framed_address=version.characteristics.get("framed_address", ""),
            framed_ipv6_prefix=version.characteristics.get("framed_ipv6_prefix", ""),
            delegated_ipv6_prefix=version.characteristics.get("delegated_ipv6_prefix", ""),
            credential=credential,
        )

    def _profile(self, version: SubscriptionVersion) -> Profile:
        offerings = (version.offering, *version.add_ons)
        profile = next((self._profiles[each] for each in reversed(offerings) if each in self._profiles), NO_PROFILE)
        own = version.characteristics
        return replace(
            profile, rate_limit=own.get("rate_limit", profile.rate_limit), pool=own.get("framed_pool", profile.pool)
        )


def _holder(user_name: str, *, now_ms: int) -> str | None:
    """Code of the subscription that holds a user name now."""
    for code, kind, identifier, from_ms, until_ms, believed in identifiers_as_recorded(identifiers=[user_name]).rows():
        held = believed and from_ms <= now_ms and (until_ms is None or now_ms < until_ms)
        if held and kind == IdentifierKind.RADIUS_USER and identifier == user_name:
            return str(code)
    return None


def _holds(version: SubscriptionVersion, *, now_ms: int) -> bool:
    until_ms = version.effective_until_ms
    return version.effective_from_ms <= now_ms and (until_ms is None or now_ms < until_ms)
