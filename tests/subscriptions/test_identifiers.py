"""A number has one holder at a time, and who held it when is never lost."""

import polars as pl
import pytest
from tests.subscriptions.builders import a_number, at, subscribed

from millicent.kit.errors import BadInput
from millicent.subscriptions import selectors
from millicent.subscriptions.errors import IdentifierHeld
from millicent.subscriptions.models import ServiceIdentifier
from millicent.subscriptions.rules import normalise_identifier
from millicent.subscriptions.services.hold_identifier import hold_identifier
from millicent.subscriptions.services.release_identifier import release_identifier
from millicent.subscriptions.types import HeldIdentifier, IdentifierKind

OPEN = 2**63 - 1


def test_a_reused_number_names_the_right_person_at_each_time(tenant):
    first = subscribed("S", identifiers=(a_number(until=100),))
    second = subscribed("T", account="B", identifiers=(a_number(since=100),))

    frame = selectors.identifier_frame().sort("effective_from_ms")

    assert frame.select(
        "identifier_kind", "identifier", "effective_from_ms", "effective_until_ms", "subscription_id"
    ).rows() == [
        ("msisdn", "34600000001", 0, 100, first),
        ("msisdn", "34600000001", 100, OPEN, second),
    ]
    assert frame.schema["billing_account_id"] == pl.Int64


@pytest.mark.parametrize(("since", "until"), [(0, None), (50, 60), (99, None)])
def test_an_identifier_that_somebody_holds_is_refused_and_leaves_no_trace(tenant, since, until):
    subscribed("S", identifiers=(a_number(until=100),))
    subscribed("T", account="B")

    with pytest.raises(IdentifierHeld):
        hold_identifier(code="T", held=a_number(since=since, until=until), now=at(5))

    assert ServiceIdentifier.objects.count() == 1


def test_the_same_text_of_another_kind_is_another_identifier(tenant):
    subscribed("S", identifiers=(a_number(),))
    subscribed("T", account="B")

    user = HeldIdentifier(kind=IdentifierKind.SIP_USER, identifier="34600000001", effective_from_ms=0)
    hold_identifier(code="T", held=user, now=at(5))

    assert ServiceIdentifier.objects.count() == 2


def test_holding_again_and_releasing_again_change_nothing(tenant):
    subscribed("S")
    hold_identifier(code="S", held=a_number("+34 600 000 001"), now=at(5))
    hold_identifier(code="S", held=a_number(), now=at(6))

    released = [
        release_identifier(code="S", kind=IdentifierKind.MSISDN, identifier="34600000001", at_ms=50, now=at(time))
        for time in (7, 8)
    ]

    assert released == [True, False]
    assert selectors.identifier_frame().select("effective_from_ms", "effective_until_ms").rows() == [(0, 50)]


def test_text_that_is_no_identifier_is_refused(tenant):
    subscribed("S")

    with pytest.raises(BadInput, match="'hello' is no msisdn"):
        hold_identifier(code="S", held=a_number("hello"), now=at(5))


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        (IdentifierKind.MSISDN, "+34 600-000.001", "34600000001"),
        (IdentifierKind.MSISDN, "0034600000001", "34600000001"),
        (IdentifierKind.MSISDN, "0600000001", None),
        (IdentifierKind.MSISDN, "12ab", None),
        (IdentifierKind.IMSI, "214070000000001", "214070000000001"),
        (IdentifierKind.IMSI, "21407", None),
        (IdentifierKind.SIP_USER, "sip:Ana@Example.ORG", "ana@example.org"),
        (IdentifierKind.RADIUS_USER, " Ana@isp ", "Ana@isp"),
        (IdentifierKind.IP, "2001:DB8:0:0::1", "2001:db8::1"),
        (IdentifierKind.IP, "10.0.0.256", None),
        (IdentifierKind.DEVICE, "a1b2", "A1B2"),
        (IdentifierKind.DEVICE, "  ", None),
    ],
)
def test_an_identifier_has_one_way_to_be_written(kind, text, normal):
    assert normalise_identifier(kind, text) == normal
