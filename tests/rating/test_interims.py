"""Interims of a running usage add up to exactly what it costs in one piece."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rating.builders import (
    CENT,
    EURO,
    a_call,
    a_card,
    a_program,
    a_rule,
    a_tariff,
    an_allowance,
    grants_of,
    holdings_of,
    usage_of,
)
from tests.rating.strategies import bucket_rows, catalogues, usages
from tests.rating.test_judge import as_row

from millicent.rating.services import compile_catalogue, price_interim


def slices_of(program, row: dict, cuts: list[int], **frames):
    """The rated row and the draws of each slice; `cuts` are the units at which the usage was reported."""
    results = []
    for start, end in zip([0, *cuts], cuts, strict=False):
        quantity = end - start
        piece = {**row, "duration_ms": quantity * 1000, "downlink_bytes": quantity, "events": quantity}
        results.append(price_interim(programs=[(0, 1, program)], usage=usage_of(piece), offset_units=start, **frames))
    return results


def test_the_connect_fee_and_the_rounding_are_in_the_slice_where_they_fall():
    program = a_program(a_tariff(a_rule(card=a_card(CENT // 3, connect_nanos=EURO)), decimals=2))

    amounts = [
        each.rated["amount_nanos"][0] for each in slices_of(program, a_call(), [1, 2, 3], holdings=holdings_of())
    ]

    assert amounts == [EURO, CENT, 0]
    assert sum(amounts) == EURO + CENT


def test_a_slice_takes_from_a_bucket_only_what_it_used():
    program = a_program(a_tariff(a_rule(card=a_card(CENT))), allowances=(an_allowance(),))

    results = slices_of(program, a_call(), [80, 130, 140], holdings=holdings_of(), grants=grants_of({}))

    assert [each.draws["taken"].sum() for each in results] == [80, 20, 0]
    assert [each.grants["remaining"][0] for each in results] == [20, 0, 0]
    assert [each.rated["amount_nanos"][0] for each in results] == [0, 30 * CENT, 10 * CENT]


@st.composite
def cases(draw):
    catalogue = draw(catalogues())
    codes = [f"plan/{each.code}" for each in catalogue.offerings["plan"].allowances]
    cuts = draw(st.sets(st.integers(1, 300), min_size=1, max_size=5))
    return catalogue, draw(usages()), sorted(cuts), draw(bucket_rows(codes))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_interims_add_up_to_the_whole_for_any_slicing(case):
    catalogue, usage, cuts, rows = case
    program = compile_catalogue(catalogue)
    frames = {"holdings": holdings_of(), "grants": grants_of(*rows)}

    parts = slices_of(program, as_row(usage), cuts, **frames)
    whole = slices_of(program, as_row(usage), cuts[-1:], **frames)[0]

    if any(part.rated["reason"][0] for part in parts):
        return  # a usage that stops being served has no whole
    for column in ("amount_nanos", "charged_units", "bucket_units"):
        assert sum(part.rated[column][0] for part in parts) == whole.rated[column][0]
    assert sum(part.draws["taken"].sum() for part in parts) == whole.draws["taken"].sum()
    assert parts[-1].grants.equals(whole.grants)
