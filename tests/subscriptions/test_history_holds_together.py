"""Whatever changes come in whatever order, a history has one answer for every instant and forgets nothing."""

from contextlib import suppress
from itertools import pairwise
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.subscriptions.builders import PLANS, SALES, at, subscribed

from millicent.kit.errors import Refusal
from millicent.kit.timeline import Span, rewrite, span_at
from millicent.subscriptions import selectors
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.change_quantity import change_quantity
from millicent.subscriptions.services.resume import resume
from millicent.subscriptions.services.suspend import suspend
from millicent.subscriptions.services.terminate import terminate

INSTANTS = st.integers(0, 12)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["large", "small", "suspend", "resume", "quantity", "terminate"]), INSTANTS), max_size=8
)


def ask(verb: str, *, code: str, at_ms: int, now_ms: int) -> None:
    told = {"code": code, "at_ms": at_ms, "now": at(now_ms), "signature": SALES}
    match verb:
        case "large" | "small":
            change_plan(offering=verb, catalogue=PLANS, **told)
        case "quantity":
            change_quantity(quantity=2 + now_ms % 3, **told)
        case "suspend":
            suspend(**told)
        case "resume":
            resume(**told)
        case "terminate":
            terminate(**told)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_versions_meet_without_gap_or_overlap_and_every_past_belief_can_be_read_again(tenant, changes):
    code = uuid4().hex
    subscribed(code, account=code)
    beliefs = []
    for step, (verb, at_ms) in enumerate(changes, start=1):
        with suppress(Refusal):
            ask(verb, code=code, at_ms=at_ms, now_ms=step * 100)
        beliefs.append((step * 100, _content(code)))

    versions = selectors.subscriptions_by_code([code])[0].versions

    assert versions[0].effective_from_ms == 0
    assert versions[-1].effective_until_ms is None
    for earlier, later in pairwise(versions):
        assert earlier.effective_until_ms == later.effective_from_ms
        assert earlier.effective_from_ms < later.effective_from_ms
    for known_at_ms, content in beliefs:
        assert _content(code, known_at_ms=known_at_ms) == content


def _content(code, known_at_ms=None):
    return [
        (version.effective_from_ms, version.effective_until_ms, version.offering, version.status, version.quantity)
        for version in selectors.subscriptions_by_code([code], known_at_ms=known_at_ms)[0].versions
    ]


@given(edits=st.lists(st.tuples(st.integers(-2, 14), st.integers(0, 3)), max_size=12))
def test_a_rewritten_history_answers_every_instant_as_an_array_of_instants_would(edits):
    history = (Span(from_ms=0, until_ms=None, content=0, learned_at_ms=0),)
    judge = dict.fromkeys(range(16), 0)
    for now_ms, (at_ms, value) in enumerate(edits, start=1):
        if at_ms >= 0:
            aspect = judge[at_ms]
            for instant in range(at_ms, 16):
                if judge[instant] != aspect:
                    break
                judge[instant] = value
        aspect_then = span_at(history, at_ms)
        if aspect_then is None:
            continue
        history = rewrite(
            history,
            at_ms=at_ms,
            change=lambda content, value=value: value,
            goes_on=lambda content, aspect=aspect_then.content: content == aspect,
            now_ms=now_ms,
        ).after

    assert {instant: span_at(history, instant).content for instant in range(16)} == judge
