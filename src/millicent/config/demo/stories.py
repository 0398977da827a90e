"""What happens to some of the demo's customers in October 2026: each a verb that an operator would use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from millicent.catalog.types import Catalogue
from millicent.config.demo.population import Population
from millicent.kit.clock import to_ms
from millicent.subscriptions import selectors
from millicent.subscriptions.services.activate import activate_new
from millicent.subscriptions.services.add_add_on import add_add_on
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.change_quantity import change_quantity
from millicent.subscriptions.services.override_price import override_price
from millicent.subscriptions.services.redeem_coupon import redeem_coupon
from millicent.subscriptions.services.resume import resume
from millicent.subscriptions.services.suspend import suspend
from millicent.subscriptions.services.terminate import terminate
from millicent.subscriptions.types import HeldIdentifier, IdentifierKind, Signature

_CARE = Signature(who="demo care desk", why="customer asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One customer's story: `told` in a few words, `act` asks the services for it. `account` is who it is about."""

    kind: str
    told: str
    account: str
    subscription: str
    act: Callable[[Catalogue], object]


def october(day: int) -> datetime:
    return datetime(2026, 10, day, 10, tzinfo=UTC)


def stories_of(made: Population) -> list[Story]:
    """Every story, in the order in which they are asked for; the same population has the same stories."""
    return [
        *_plan_changes(made),
        *_suspensions(made),
        *_cancellations(made),
        *_reused_numbers(made),
        *_back_dated_changes(made),
        *_add_ons_and_coupons(made),
        *_trunks(made),
    ]


def _some(made: Population, offering: str, *, turn: int, of: int, limit: int = 12) -> list[str]:
    """Some subscriptions of a plan: every `of`-th, so that two stories never meet."""
    return made.by_plan.get(offering, [])[turn::of][:limit]


def _story(made: Population, kind: str, subscription: str, told: str, act: Callable[[Catalogue], object]) -> Story:
    account = made.account_of(subscription)
    return Story(kind=kind, told=told, account=account, subscription=subscription, act=act)


def _plan_changes(made: Population) -> Iterator[Story]:
    for code in _some(made, "mobile-s", turn=0, of=7):
        act = partial(_move, code=code, to="mobile-m", at=october(12), now=october(12))
        yield _story(made, "plan up", code, "from Aurora S to M on 12 October", act)
    for code in _some(made, "mobile-m", turn=0, of=7):
        act = partial(_move, code=code, to="mobile-s", at=october(20), now=october(20))
        yield _story(made, "plan down", code, "from Aurora M to S on 20 October", act)


def _suspensions(made: Population) -> Iterator[Story]:
    for code in [*_some(made, "mobile-s", turn=1, of=7), *_some(made, "fibre-600", turn=1, of=7, limit=6)]:
        yield _story(made, "suspension", code, "suspended from 8 to 19 October", partial(_pause, code=code))


def _cancellations(made: Population) -> Iterator[Story]:
    for offering in ("mobile-m", "fibre-600"):
        for code in _some(made, offering, turn=2, of=7, limit=8):
            told = "cancelled on 17 October, within the minimum term"
            yield _story(made, "cancellation", code, told, partial(_end, code=code))


def _reused_numbers(made: Population) -> Iterator[Story]:
    """A prepaid number is given back on the 9th and belongs to somebody else from the 12th on."""
    leaving = _some(made, "pay-as-you-go", turn=0, of=5)
    coming = _some(made, "pay-as-you-go", turn=1, of=5)
    for earlier, later in zip(leaving, coming, strict=False):
        account = made.account_of(later)
        told = f"gave a number back on 9 October; {account} has had it since the 12th"
        yield _story(made, "reused number", earlier, told, partial(_pass_on, earlier=earlier, account=account))


def _back_dated_changes(made: Population) -> Iterator[Story]:
    """Recorded after the September bill, in force since September: the October bill puts it right."""
    since = datetime(2026, 9, 16, 10, tzinfo=UTC)
    for code in _some(made, "mobile-s", turn=3, of=7):
        act = partial(_move, code=code, to="mobile-m", at=since, now=october(5))
        yield _story(made, "back-dated change", code, "on 5 October moved to Aurora M as of 16 September", act)


def _add_ons_and_coupons(made: Population) -> Iterator[Story]:
    for code in _some(made, "mobile-s", turn=4, of=7):
        yield _story(made, "add-on", code, "took the Europe pass on 14 October", partial(_take_europe_pass, code=code))
    for code in _some(made, "mobile-s", turn=5, of=7):
        yield _story(made, "coupon", code, "redeemed a friend's coupon on 14 October", partial(_redeem, code=code))


def _trunks(made: Population) -> Iterator[Story]:
    for code in _some(made, "business-trunk", turn=0, of=2, limit=6):
        yield _story(made, "quantity", code, "40 channels from 14 October", partial(_widen, code=code))
    for code in _some(made, "business-trunk", turn=1, of=2, limit=6):
        yield _story(made, "agreed price", code, "channels at 3.90 EUR from 14 October", partial(_agree, code=code))


# ---------------------------------------------------------------- what is asked of the services


def _move(catalogue: Catalogue, *, code: str, to: str, at: datetime, now: datetime) -> None:
    change_plan(code=code, offering=to, at_ms=to_ms(at), catalogue=catalogue, now=now, signature=_CARE)


def _pause(_: Catalogue, *, code: str) -> None:
    suspend(code=code, at_ms=to_ms(october(8)), now=october(8), signature=_CARE)
    resume(code=code, at_ms=to_ms(october(19)), now=october(19), signature=_CARE)


def _end(_: Catalogue, *, code: str) -> None:
    terminate(code=code, at_ms=to_ms(october(17)), now=october(17), signature=_CARE)


def _take_europe_pass(catalogue: Catalogue, *, code: str) -> None:
    at = october(14)
    add_add_on(code=code, add_on="europe-calls", at_ms=to_ms(at), catalogue=catalogue, now=at, signature=_CARE)


def _redeem(catalogue: Catalogue, *, code: str) -> None:
    at, coupon = october(14), "friend-brings-friend"
    redeem_coupon(code=code, coupon=coupon, at_ms=to_ms(at), catalogue=catalogue, now=at, signature=_CARE)


def _widen(_: Catalogue, *, code: str) -> None:
    change_quantity(code=code, quantity=40, at_ms=to_ms(october(14)), now=october(14), signature=_CARE)


def _agree(_: Catalogue, *, code: str) -> None:
    at = october(14)
    override_price(
        code=code, price_code="channels", amount_nanos=3_900_000_000, at_ms=to_ms(at), now=at, signature=_CARE
    )


def _pass_on(catalogue: Catalogue, *, earlier: str, account: str) -> None:
    known = selectors.subscription_ids(codes=[earlier])[earlier]
    number = next(
        held.identifier for held in selectors.identifiers_of([known])[known] if held.kind is IdentifierKind.MSISDN
    )
    terminate(code=earlier, at_ms=to_ms(october(9)), now=october(9), signature=_CARE)
    taken_at_ms = to_ms(october(12))
    activate_new(
        code=f"{earlier}-next",
        account_code=account,
        offering="pay-as-you-go",
        at_ms=taken_at_ms,
        catalogue=catalogue,
        now=october(12),
        signature=_CARE,
        identifiers=(HeldIdentifier(kind=IdentifierKind.MSISDN, identifier=number, effective_from_ms=taken_at_ms),),
    )
