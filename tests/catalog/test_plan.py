"""The difference between two catalogues, old price to new price."""

from tests.catalog.builders import OFFERING, TARIFF, a_catalogue, with_deck

from millicent.catalog.plan import ChangeKind, compare_catalogues


def words(before, after):
    return [change.in_words() for change in compare_catalogues(before=a_catalogue(before), after=a_catalogue(after))]


def test_nothing_changed_is_no_difference():
    assert words(None, None) == []


def test_a_changed_price_shows_what_it_was_and_what_it_will_be():
    assert words(None, {"tariffs/basic.yaml": TARIFF.replace("0.30/min", "0.35/min")}) == [
        "~ tariffs / basic / rules / away / card / slots / 1: "
        "from 0: 0.30 EUR per 60, in steps of 1 -> from 0: 0.35 EUR per 60, in steps of 1"
    ]


def test_a_changed_fee_shows_money():
    assert words(None, {"offerings/plan.yaml": OFFERING.replace("10.00", "12.50")}) == [
        "~ offerings / plan / recurring / monthly / amount_nanos: 10.00 EUR -> 12.50 EUR"
    ]


def test_a_changed_tax_shows_per_cent():
    changed = {"taxes.yaml": "vat: {jurisdiction: ES, categories: standard, rate: 5.5%}\n"}

    assert words(None, changed) == ["~ taxes / vat / rate: 21% -> 5.5%"]


def test_a_new_offering_is_one_line():
    more = {"offerings/more.yaml": "code: more\nrecurring: [{code: fee, price: 1}]\n"}

    changes = compare_catalogues(before=a_catalogue(), after=a_catalogue(more))

    assert [(change.kind, change.place) for change in changes] == [(ChangeKind.ADDED, ("offerings", "more"))]
    assert words(more, None) == [f"- offerings / more: {changes[0].after.removeprefix('new, ')}"]


def test_moving_a_rule_to_another_line_changes_nothing():
    assert words(None, {"tariffs/basic.yaml": "# a comment\n\n" + TARIFF}) == []


def test_deck_rates_are_compared_by_prefix():
    before = with_deck("33,France,0.10,,", "34,Spain,0.01,,")
    after = with_deck("33,France,0.12,,", "351,Portugal,0.02,,")

    assert words(before, after) == [
        "~ decks / deck / 33: 0.10 EUR per 60, 1/1 -> 0.12 EUR per 60, 1/1",
        "- decks / deck / 34: 0.01 EUR per 60, 1/1",
        "+ decks / deck / 351: 0.02 EUR per 60, 1/1",
    ]


def test_many_changed_rows_of_a_deck_are_counted():
    before = with_deck(*(f"33{number},x,0.10,," for number in range(30)))
    after = with_deck(*(f"33{number},x,0.11,," for number in range(30)))

    found = words(before, after)

    assert len(found) == 21
    assert found[-1] == "~ decks / deck:  -> 10 more rows differ"


def test_against_nothing_everything_is_added():
    changes = compare_catalogues(before=None, after=a_catalogue())

    assert {change.kind for change in changes} == {ChangeKind.ADDED}
    assert ("tariffs", "basic") in {change.place for change in changes}
