"""Sessions open once, answer resends from the stored answer, and end whatever happens."""

from tests.charging.shard.builders import HOUR, MINUTE, World, a_flat_program, result
from tests.rating.builders import CENT, EURO, NOON

from millicent.charging.types import NOT_SAID, Door, Flag, NoticeKind, Status, Verb
from millicent.charging.types import commands as empty_commands


def bytes_without_stored(answer) -> bytes:
    copy = answer.copy()
    copy["stored"] = 0
    return copy.tobytes()


def test_a_resent_report_is_answered_from_the_stored_answer_and_does_nothing():
    world = World()
    world.top_up(EURO)
    world.open()
    row = world.unit_row(request=1, used=10, asked=30)
    first = world.do(row)
    before = world.state()

    again = world.do(row)

    assert again["stored"] == 1
    assert bytes_without_stored(again) == first.tobytes()
    assert world.state() == before
    assert len(world.batches[-1].images) == 0


def test_a_resend_in_the_same_batch_is_a_resend_too():
    world = World()
    world.top_up(EURO)
    world.open()
    row = world.unit_row(request=1, used=10, asked=30)

    world.do(row, row)

    assert world.batches[-1].answers["stored"].tolist() == [0, 1]
    assert world.remaining(100) == 90 * CENT


def test_several_rating_groups_of_one_request_are_each_answered():
    world = World()
    world.top_up(EURO)
    world.open()
    rows = [world.unit_row(request=1, asked=10, group=group) for group in (1, 2)]

    world.do(*rows)
    world.do(*rows)

    assert [batch.answers["stored"].tolist() for batch in world.batches[-2:]] == [[0, 0], [1, 1]]
    assert world.reserved(100) == 20 * CENT


def test_an_older_request_that_is_not_remembered_is_out_of_order():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=5, asked=10)

    answer = world.units(request=3, used=10, asked=10)

    assert result(answer) == "OUT_OF_ORDER"
    assert world.remaining(100) == EURO


def test_opening_twice_is_a_resend_or_already_open():
    world = World()

    answers = [world.open(request=0), world.open(request=0), world.open(request=1)]

    assert [(result(answer), int(answer["stored"])) for answer in answers] == [
        ("DONE", 0), ("DONE", 1), ("ALREADY", 0)]  # fmt: skip


def test_the_end_is_answered_again_after_the_session_is_gone():
    world = World()
    world.top_up(EURO)
    world.open()
    report = world.unit_row(request=1, used=10, asked=5)
    world.do(report)
    first = world.end(request=2)

    again, late = world.end(request=2), world.do(report)

    assert (again["stored"], again["session_nanos"]) == (1, first["session_nanos"])
    assert (late["stored"], late["charged_nanos"]) == (1, 10 * CENT)
    assert len(world.charges()) == 1


def test_what_is_not_known_is_said():
    world = World()

    assert result(world.open("x", subscription=77)) == "UNKNOWN_SUBSCRIBER"
    assert result(world.units("x", request=1, asked=5)) == "UNKNOWN_SESSION"
    assert result(world.end("x")) == "UNKNOWN_SESSION"
    assert result(world.top_up(account_id=77)) == "UNKNOWN_ACCOUNT"
    assert result(world.do(world.row(Verb.EXPIRE, bucket_id=77))) == "UNKNOWN_BUCKET"
    assert result(world.do(empty_commands(1))) == "INVALID"


def test_a_session_that_was_handed_over_may_begin_with_a_report():
    world = World()
    world.top_up(EURO)
    row = world.unit_row(request=4, used=10, asked=10, flags=Flag.HANDED_OVER)
    row["subscription_id"] = 1

    answer = world.do(row)

    assert (result(answer), answer["charged_nanos"]) == ("DONE", 10 * CENT)
    assert result(world.units(request=5, used=1, asked=1)) == "DONE"


def test_negative_usage_makes_no_sense():
    world = World()
    world.top_up(EURO)
    world.open()

    assert result(world.units(request=1, used=-5, asked=1)) == "INVALID"


def test_who_is_barred_gets_no_session_and_no_slice_but_is_charged():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=30)
    world.subscriber(1, amount=Status.BARRED)

    refused, report = world.open("other"), world.units(request=2, used=20, asked=10)

    assert (result(refused), result(report)) == ("NOT_SERVED", "NOT_SERVED")
    assert report["charged_nanos"] == 20 * CENT
    assert world.notices() == [NoticeKind.ABORT]
    notice = next(batch.notices[0] for batch in world.batches if len(batch.notices))
    assert (notice["door"], notice["subscription_id"]) == (Door.DIAMETER, 1)


def test_whoever_was_refused_is_told_to_ask_again_when_money_comes():
    world = World()
    world.open("poor")
    world.open("idle")
    world.units("poor", request=1, asked=10)

    world.top_up(EURO)

    assert world.notices() == [NoticeKind.REAUTHORISE]
    world.top_up(EURO)
    assert world.notices() == [NoticeKind.REAUTHORISE]


def test_a_session_without_a_sign_of_life_is_closed_and_what_it_held_goes_back():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, used=5, asked=30)

    world.tick(at=NOON + 3_899_999)
    alive = int(world.shard.tables()["meta"]["open_sessions"][0])
    world.tick(at=NOON + 3_900_000)

    assert alive == 1
    assert int(world.shard.tables()["meta"]["open_sessions"][0]) == 0
    assert (world.reserved(100), world.remaining(100)) == (0, 95 * CENT)
    assert [(row["units"], row["amount_nanos"]) for row in world.charges()] == [(5, 5 * CENT)]
    assert world.notices() == [NoticeKind.SWEPT]
    assert result(world.units(request=2, used=1)) == "UNKNOWN_SESSION"
    world.check_conservation()


def test_a_session_of_which_nothing_was_asked_is_swept_too():
    world = World()
    world.open()

    world.tick(at=NOON + 2 * HOUR)

    assert int(world.shard.tables()["meta"]["open_sessions"][0]) == 0


def test_a_report_keeps_a_session_alive():
    world = World()
    world.top_up(EURO)
    world.open()
    world.units(request=1, asked=10)
    world.later(HOUR)
    world.units(request=2, used=5, asked=10)

    world.tick(at=NOON + HOUR + 5 * MINUTE)

    assert int(world.shard.tables()["meta"]["open_sessions"][0]) == 1


def test_a_clock_that_goes_back_does_not_bring_time_back():
    world = World()
    world.top_up(EURO, until_ms=NOON + HOUR)
    world.later(HOUR)
    world.tick()
    world.open("late", at=NOON)

    answer = world.units("late", request=1, asked=10, at=NOON)

    assert result(answer) == "INSUFFICIENT"
    assert int(world.shard.tables()["meta"]["now_ms"][0]) == NOON + HOUR


def test_a_full_table_refuses_and_the_next_command_is_served():
    world = World(bounds={"session": 64, "session_text": 64})
    world.top_up(EURO)
    answers = [result(world.open(f"s{number}")) for number in range(65)]

    world.end("s0")

    assert answers == ["DONE"] * 63 + ["FULL"] * 2
    assert result(world.open("again")) == "DONE"


def test_more_buckets_than_there_are_slots_make_room():
    from tests.rating.builders import an_allowance

    world = World(a_flat_program(CENT, allowances=(an_allowance(),)))
    for bucket in range(1, 8):
        world.grant(10, bucket=bucket, until_ms=NOON + HOUR - bucket)
    world.open()

    answer = world.units(request=1, used=25, asked=0)

    assert answer["charged_nanos"] == 0
    assert [(int(row["bucket_id"]), int(row["change"])) for row in world.batches[-1].movements] == [
        (7, -10), (6, -10), (5, -5)]  # fmt: skip
    world.check_conservation()


def test_balances_are_changed_moved_and_ended_with_their_reasons():
    world = World()
    world.account(11)
    world.top_up(EURO, key="once")
    again = world.top_up(EURO, key="once")
    goodwill = world.number("cause", "goodwill")
    adjusted = world.do(world.row(Verb.ADJUST, bucket_id=100, amount=-30 * CENT, other_name=goodwill))
    refused = world.do(world.row(Verb.ADJUST, bucket_id=100, amount=-71 * CENT))
    moved = world.do(world.row(Verb.TRANSFER, account_id=10, other_account_id=11, amount=20 * CENT, bucket_id=200))
    too_much = world.do(world.row(Verb.TRANSFER, account_id=10, other_account_id=11, amount=EURO, bucket_id=200))
    ended = world.do(world.row(Verb.EXPIRE, bucket_id=200))

    assert [result(each) for each in (again, adjusted, refused, moved, too_much, ended)] == [
        "DONE", "DONE", "INSUFFICIENT", "DONE", "INSUFFICIENT", "DONE"]  # fmt: skip
    assert again["stored"] == 1
    assert world.remaining(100) == 50 * CENT
    causes = [world.shard.text_of("cause", int(row["cause"])) for batch in world.batches for row in batch.movements]
    assert causes == ["top-up", "goodwill", "transfer", "transfer", "expired"]
    world.check_conservation()


def test_a_low_balance_is_told_once_and_again_after_a_top_up():
    world = World()
    world.account(10, limit=50 * CENT)
    world.top_up(EURO)
    world.open()
    world.units(request=1, used=60, asked=0)
    world.units(request=2, used=10, asked=0)
    world.top_up(EURO)

    world.units(request=3, used=110, asked=0)

    assert world.notices() == [NoticeKind.LOW_BALANCE, NoticeKind.LOW_BALANCE]


def test_an_identifier_leads_to_its_subscription():
    world = World()
    world.subscriber(2)
    world.do(world.row(Verb.IDENTIFIER, subscriber_key=5_000, subscription_id=2))

    answer = world.do(world.row(Verb.OPEN, key="i", subscriber_key=5_000))
    world.do(world.row(Verb.IDENTIFIER, subscriber_key=5_000, subscription_id=NOT_SAID))

    assert world.shard.tables()["subscriber"]["subscription_id"][answer["subscriber"]] == 2
    assert result(world.do(world.row(Verb.OPEN, key="j", subscriber_key=5_000))) == "UNKNOWN_SUBSCRIBER"
