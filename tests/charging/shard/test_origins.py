"""Where the calling number lies: a live usage finds the rule that its record will find."""

import pytest
from tests.charging.shard.builders import World
from tests.rating.builders import CENT, EURO, NOON, a_call, a_card, a_program, a_rule, a_tariff, amounts, priced

from millicent.catalog.types import Match
from millicent.charging.keys import identifier_key
from millicent.charging.types import Unit, Verb
from millicent.rating.services import TariffProgram
from millicent.subscriptions.types import IdentifierKind

FIXED, MOBILE = "34911234567", "34655123456"


def from_mobiles() -> TariffProgram:
    """A second from a mobile number costs 1 cent, from elsewhere 2."""
    asking = Match(origin_zones=("world/mobile",))
    return a_program(
        a_tariff(a_rule("mobile", a_card(CENT), match=asking, priority=1), a_rule("else", a_card(2 * CENT)))
    )


@pytest.mark.parametrize(
    ("direction", "own", "other", "cents"),
    [
        ("originating", MOBILE, FIXED, 1),
        ("originating", FIXED, MOBILE, 2),
        ("originating", MOBILE + "99999", FIXED, 1),  # seventeen digits
        ("terminating", FIXED, MOBILE, 1),
        ("terminating", MOBILE, FIXED, 2),
    ],
)
def test_a_live_usage_finds_the_rule_of_its_record(direction, own, other, cents):
    program = from_mobiles()
    world = World(program)
    world.top_up(EURO)
    key = identifier_key(IdentifierKind.MSISDN, own)
    world.open(subscriber_key=key)

    asked = world.units(request=1, asked=5, number=other, parts={"direction": direction})
    used = world.units(request=2, used=7, number=other, parts={"direction": direction}, final=True)
    traffic = world.traffic("sms", direction=direction)
    row = world.row(Verb.DEBIT, key="e", subscription_id=1, subscriber_key=key, traffic=traffic)
    world._number(row, other)
    row["asked"][0, Unit.SERVICE_UNITS] = 1
    text = world.do(row)

    record = priced(
        program,
        a_call(7, to=other, when=NOON, direction=direction, identifier=own, identifier_kind="msisdn"),
    )
    assert amounts(record) == [7 * cents * CENT]
    assert (int(asked["price_nanos"]), int(used["charged_nanos"])) == (5 * cents * CENT, 7 * cents * CENT)
    assert int(text["charged_nanos"]) == cents * CENT


def test_who_is_known_by_another_name_than_a_number_calls_from_nowhere():
    world = World(from_mobiles())
    world.top_up(EURO)
    world.open(subscriber_key=identifier_key(IdentifierKind.IMSI, "214071234567890"))

    answer = world.units(request=1, asked=5, number=FIXED)

    assert int(answer["price_nanos"]) == 10 * CENT
