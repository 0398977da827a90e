"""Tables of mediation. Usage itself is in the lake; here is what is known about where it came from and what stopped."""

from django.db import models
from django.db.models import F, Q

from millicent.kit.tenancy import TenantTable
from millicent.mediation.states import BatchState, SuspenseState


class UsageSource(TenantTable):
    """A switch, a NAS, a charging gateway: where its files are and how they read."""

    name = models.TextField()
    format = models.TextField()
    family = models.TextField()  # sources of one family see each other's events: a second copy is a duplicate
    url = models.TextField(default="")  # a file, a folder or an fsspec URL; "" for pushed usage
    zone = models.TextField(default="UTC")
    dial_plan = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    collected = models.JSONField(default=dict)  # see rules.declaration.CollectionRules
    storage_options = models.JSONField(default=dict)  # option of the store -> environment variable that holds it
    push_token_sha256 = models.TextField(default="")  # of the token that may push usage; "" nobody may
    is_active = models.BooleanField(default=True)
    declared_at = models.DateTimeField()

    class Meta:
        db_table = "mediation_source"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "name"), name="a_source_is_declared_once"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(format=""), name="a_source_has_a_name_and_a_format"),
        )


class UsageBatch(TenantTable):
    """One file, one push, one sweep of lost sessions: its control totals hold after every commit."""

    source = models.ForeignKey(UsageSource, on_delete=models.PROTECT, related_name="batches")
    name = models.TextField()
    size_bytes = models.BigIntegerField()
    sha256 = models.TextField()  # "" for a sweep
    state = models.TextField(default=BatchState.COLLECTING.value)
    repeats = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="repetitions")
    file_sequence = models.BigIntegerField(null=True)  # from the file's name, as the source declares it
    received_at_ms = models.BigIntegerField()
    closed_at_ms = models.BigIntegerField(null=True)
    next_offset = models.BigIntegerField(default=0)
    next_chunk = models.IntegerField(default=0)
    last_sequence_number = models.BigIntegerField(null=True)  # the switch's running number, last one read
    declared = models.JSONField(default=dict)  # what the file's header says: records, lost_records
    source_records = models.BigIntegerField(default=0)  # as the source counts them, where its format has a header
    note = models.TextField(default="")

    records_in = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    suspended = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    usages = models.BigIntegerField(default=0)  # rows in the lake
    joined = models.BigIntegerField(default=0)  # parts that became part of a usage without being its last
    written_off = models.BigIntegerField(default=0)  # of the rejected: suspended first, then given up by a person

    class Meta:
        db_table = "mediation_batch"
        constraints = (
            models.CheckConstraint(
                condition=Q(records_in=F("accepted") + F("suspended") + F("rejected") + F("duplicate")),
                name="records_in_are_accepted_suspended_rejected_or_duplicate",
            ),
            models.CheckConstraint(
                condition=Q(accepted=F("usages") + F("joined")), name="accepted_records_are_usages_or_joined_parts"
            ),
            models.CheckConstraint(
                condition=Q(
                    accepted__gte=0, suspended__gte=0, rejected__gte=0, duplicate__gte=0, usages__gte=0, joined__gte=0
                )
                & Q(written_off__gte=0, written_off__lte=F("rejected")),
                name="control_totals_are_counts",
            ),
            models.UniqueConstraint(
                fields=("tenant_id", "source", "sha256"),
                condition=~Q(state=BatchState.REPEATED.value) & ~Q(sha256=""),
                name="a_content_is_collected_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in BatchState]), name="a_batch_is_in_a_known_state"
            ),
            models.CheckConstraint(
                condition=~Q(state=BatchState.REPEATED.value) | Q(records_in=0, repeats__isnull=False),
                name="a_repeated_content_counts_nothing",
            ),
            models.CheckConstraint(
                condition=~Q(state=BatchState.CLOSED.value) | Q(closed_at_ms__isnull=False),
                name="a_closed_batch_says_when",
            ),
        )
        indexes = (models.Index(fields=("tenant_id", "state"), name="batch_by_state"),)


class LakeCommit(TenantTable):
    """Files written to the lake that become visible exactly once: decided here, done there, repeated after a crash."""

    writer = models.TextField()
    sequence = models.BigIntegerField()
    tables = models.JSONField()  # table -> staged files
    is_settled = models.BooleanField(default=False)

    class Meta:
        db_table = "mediation_lake_commit"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "writer", "sequence"), name="a_lake_commit_is_decided_once"),
            models.UniqueConstraint(
                fields=("tenant_id", "writer"), condition=Q(is_settled=False), name="one_lake_commit_waits_at_a_time"
            ),
        )


class EventKeyRun(TenantTable):
    """One sorted file of event keys. A file that no row names does not exist."""

    family = models.TextField()
    month = models.TextField()  # "2026-10": the UTC month in which the events began
    file = models.TextField()
    key_count = models.BigIntegerField()

    class Meta:
        db_table = "mediation_event_key_run"
        constraints = (models.UniqueConstraint(fields=("tenant_id", "family", "file"), name="a_key_run_is_named_once"),)


class OpenSession(TenantTable):
    """A usage of which only parts have come. Closed ones stay for a while, so that a late part finds its whole.

    Columns as `rules.correlation.SESSION_COLUMNS`; `settled_*` is how much of it became usage already.
    """

    family = models.TextField()
    source = models.ForeignKey(UsageSource, on_delete=models.PROTECT, related_name="+")
    correlation_key = models.TextField()
    is_open = models.BooleanField()
    is_given_up = models.BooleanField(db_default=False)  # its NAS began anew: no end of it will come
    has_start = models.BooleanField()
    has_stop = models.BooleanField()
    started_at_ms = models.BigIntegerField()
    last_part_at_ms = models.BigIntegerField()  # by the network's clock
    duration_ms = models.BigIntegerField()
    uplink_bytes = models.BigIntegerField()
    downlink_bytes = models.BigIntegerField()
    settled_duration_ms = models.BigIntegerField()
    settled_uplink_bytes = models.BigIntegerField()
    settled_downlink_bytes = models.BigIntegerField()
    events = models.BigIntegerField()
    content_nanos = models.BigIntegerField()
    answered = models.BooleanField()
    service = models.TextField()
    direction = models.TextField()
    call_type = models.TextField()
    identifier_kind = models.TextField()
    identifier = models.TextField()
    other_party = models.TextField()
    origin_number = models.TextField()
    visited_network = models.TextField()
    attributes = models.TextField()
    supplier = models.TextField()

    class Meta:
        db_table = "mediation_open_session"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "family", "correlation_key"), name="a_session_is_kept_once"),
            models.CheckConstraint(
                condition=Q(duration_ms__gte=0, uplink_bytes__gte=0, downlink_bytes__gte=0),
                name="session_counters_are_not_negative",
            ),
        )
        indexes = (
            models.Index(fields=("tenant_id", "source", "is_open", "last_part_at_ms"), name="session_by_last_part"),
        )


class SuspendedRecord(TenantTable):
    """A record that could not go on: what it was, why it stopped, what became of it."""

    batch = models.ForeignKey(UsageBatch, on_delete=models.PROTECT, null=True, related_name="suspense")
    record_number = models.BigIntegerField()
    stage = models.TextField(default="mediation")  # "rating": the usage is in the lake, its price is not
    state = models.TextField(default=SuspenseState.SUSPENDED.value)
    reason = models.IntegerField()
    detail = models.TextField(default="")
    raw = models.BinaryField(default=b"")
    fields = models.JSONField(null=True)  # decoded columns; null where the bytes could not be read at all
    part = models.TextField(default="whole")
    event_key_high = models.BigIntegerField(null=True)
    event_key_low = models.BigIntegerField(null=True)
    occurred_at_ms = models.BigIntegerField(null=True)
    suspended_at_ms = models.BigIntegerField()
    settled_at_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "mediation_suspended_record"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant_id", "batch", "record_number"),
                condition=Q(stage="mediation"),
                name="a_record_is_suspended_once",
            ),
            models.UniqueConstraint(
                fields=("tenant_id", "event_key_high", "event_key_low"),
                condition=Q(stage="rating", state="suspended"),
                name="a_usage_waits_for_its_price_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in SuspenseState]), name="suspense_is_in_a_known_state"
            ),
            models.CheckConstraint(condition=Q(stage__in=("mediation", "rating")), name="suspense_is_of_a_known_stage"),
            models.CheckConstraint(
                condition=Q(stage="rating") | Q(batch__isnull=False), name="a_suspended_record_has_a_batch"
            ),
        )
        indexes = (models.Index(fields=("tenant_id", "state", "reason"), name="suspense_by_state_and_reason"),)


class SuspenseAction(TenantTable):
    """Who did what to a suspended record, and why. Never changed."""

    append_only = True

    record = models.ForeignKey(SuspendedRecord, on_delete=models.PROTECT, related_name="actions")
    action = models.TextField()  # "correct" | "retry" | "write_off"
    outcome = models.TextField()  # the state it led to
    who = models.TextField()
    why = models.TextField()
    acted_at_ms = models.BigIntegerField()
    patch = models.JSONField(default=list)

    class Meta:
        db_table = "mediation_suspense_action"
        constraints = (models.CheckConstraint(condition=~Q(who="") & ~Q(why=""), name="an_action_says_who_and_why"),)


class SequenceGap(TenantTable):
    """Running numbers that a switch skipped within one file."""

    append_only = True

    batch = models.ForeignKey(UsageBatch, on_delete=models.PROTECT, related_name="gaps")
    first_missing = models.BigIntegerField()
    last_missing = models.BigIntegerField()

    class Meta:
        db_table = "mediation_sequence_gap"
        constraints = (
            models.CheckConstraint(condition=Q(last_missing__gte=F("first_missing")), name="a_gap_misses_something"),
        )
