"""Pure decisions about subscriptions: normal forms of identifiers, sound histories."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from millicent.catalog.types import Discount, Offering
from millicent.subscriptions.errors import CouponUsedUp, HistoryBroken, NotEligible, TransitionRefused
from millicent.subscriptions.types import (
    TRANSITIONS,
    CustomerHoldings,
    IdentifierKind,
    SubscriptionStatus,
    SubscriptionVersion,
)

_DIGITS = re.compile(r"[0-9]{5,15}")
_IMSI = re.compile(r"[0-9]{14,15}")
_PUNCTUATION = str.maketrans("", "", "+ -.()/\u00a0")


def normalise_identifier(kind: IdentifierKind, text: str) -> str | None:
    """The one way an identifier is written inside, or None when the text is not one.

    An MSISDN is E.164 digits without "+" (ITU-T E.164), an IMSI its 14 or 15 digits (TS 23.003), a SIP user is
    written without "sip:" and in lower case, an address in its shortest form (RFC 5952), a device in upper case.
    """
    text = text.strip()
    match kind:
        case IdentifierKind.MSISDN:
            digits = text.translate(_PUNCTUATION)
            digits = digits.removeprefix("00") if text.startswith("00") else digits
            return digits if _DIGITS.fullmatch(digits) and not digits.startswith("0") else None
        case IdentifierKind.IMSI:
            return text if _IMSI.fullmatch(text) else None
        case IdentifierKind.SIP_USER:
            return text.lower().removeprefix("sips:").removeprefix("sip:") or None
        case IdentifierKind.IP:
            return _address(text)
        case IdentifierKind.DEVICE:
            return text.upper() or None
        case IdentifierKind.RADIUS_USER:
            return text or None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def refuse_broken_history(code: str, versions: Sequence[SubscriptionVersion]) -> None:
    """Versions follow each other without gap or overlap, and only the last may be open."""
    if not versions:
        raise HistoryBroken(f"subscription {code} has no version", subscription_code=code)
    for earlier, later in pairwise(versions):
        if earlier.effective_until_ms != later.effective_from_ms:
            raise HistoryBroken(
                f"subscription {code}: a version ends at {earlier.effective_until_ms} ms and the next begins at "
                f"{later.effective_from_ms} ms; they must meet",
                subscription_code=code,
            )


def refuse_bad_transitions(code: str, statuses: Sequence[SubscriptionStatus]) -> None:
    """A life cycle may only go where TRANSITIONS goes; staying is always allowed."""
    for earlier, later in pairwise(statuses):
        if earlier != later and later not in TRANSITIONS[earlier]:
            raise TransitionRefused(
                f"subscription {code} cannot go from {earlier} to {later}",
                subscription_code=code,
                status=earlier.value,
                wanted=later.value,
            )


def refuse_ineligible(offering: Offering, *, customer: CustomerHoldings, offerings: Mapping[str, Offering]) -> None:
    """The catalogue sells this offering to this customer, beside what the customer has."""
    rule = offering.eligibility
    refusals = []
    if rule.segments and customer.segment not in rule.segments:
        refusals.append(f"it is sold to segments {', '.join(rule.segments)}, not to {customer.segment or 'none'}")
    if rule.countries and customer.country not in rule.countries:
        refusals.append(f"it is sold in {', '.join(rule.countries)}, not in {customer.country or 'no country'}")
    refusals += [f"it needs {code}" for code in rule.requires if code not in customer.held]
    refusals += [f"it cannot be had beside {code}" for code in rule.excludes if code in customer.held]
    refusals += [
        f"{code} cannot be had beside it"
        for code in sorted(customer.held)
        if code in offerings and offering.code in offerings[code].eligibility.excludes
    ]
    if refusals:
        raise NotEligible(
            f"{offering.code} cannot be sold to {customer.account_code}: {'; '.join(refusals)}",
            offering=offering.code,
            account_code=customer.account_code,
        )


def refuse_invalid_coupon(coupon: str, *, at_ms: int, discounts: Mapping[str, Discount]) -> None:
    """The catalogue knows the coupon, and it is valid at that time."""
    found = discounts.get(coupon)
    if found is None or not found.coupon:
        raise NotEligible(f"the catalogue has no coupon {coupon}", coupon=coupon)
    begun = found.valid_from_ms is None or found.valid_from_ms <= at_ms
    ended = found.valid_until_ms is not None and found.valid_until_ms <= at_ms
    if not begun or ended:
        raise NotEligible(f"coupon {coupon} is not valid at {at_ms} ms", coupon=coupon, at_ms=at_ms)


def refuse_used_up_coupon(coupon: Discount, *, redeemed: int) -> None:
    """One more may redeem the coupon, when `redeemed` have."""
    if coupon.redemptions_limit is not None and redeemed >= coupon.redemptions_limit:
        raise CouponUsedUp(
            f"coupon {coupon.code} was redeemed {redeemed} times, as often as it may be",
            coupon=coupon.code,
            redemptions_limit=coupon.redemptions_limit,
        )
