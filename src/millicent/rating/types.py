"""What rating is told and what it answers, as columns. The usage schema of the whole road is defined here.

A *usage* is what the network reported, normalised; mediation writes it, and it never changes. One row of the lake
table `usage` has the columns of `USAGE_COLUMNS`. A *rated usage* is one leg of it, `RATED_COLUMNS`.
"""

from enum import IntEnum, unique

# name -> polars type name. Instants are UTC milliseconds, money is nanos, numbers are E.164 digits without "+".
USAGE_COLUMNS = {
    "event_key_high": "UInt64",  # 128-bit key of the event: the same event reported twice has the same key
    "event_key_low": "UInt64",
    "batch_id": "Int64",  # the mediation batch (one file, one push)
    "record_number": "Int64",  # 1-based position of the record in its file
    "source": "String",  # name of the mediation source
    "received_at_ms": "Int64",
    "occurred_at_ms": "Int64",  # when it began (answer time of a call, start of a session)
    "service": "String",  # ServiceSpecification.code
    "direction": "String",  # "originating" | "terminating" | "forwarded"
    "call_type": "String",  # "" where nothing is known
    "answered": "Boolean",
    "identifier_kind": "String",  # "msisdn" | "imsi" | "sip_user" | "radius_user" | "ip" | "device"
    "identifier": "String",  # who used it, as the network knows them, normalised
    "other_party": "String",  # destination or origin number, E.164 digits, "short:112", or "" (data)
    "origin_number": "String",  # calling number where it differs from the identifier, else ""
    "visited_network": "String",  # MCC+MNC, "" at home
    "duration_ms": "Int64",
    "uplink_bytes": "Int64",
    "downlink_bytes": "Int64",
    "events": "Int64",
    "content_nanos": "Int64",  # pass-through amount of content, 0 where none
    "attributes": "String",  # JSON object of declared attributes, "" where none
    "supplier": "String",  # carrier or trunk that will send us a bill for it, "" where none
    "subscription_id": "Int64",  # found by enrichment; -1 nobody
    "billing_account_id": "Int64",
}

RATED_COLUMNS = {
    "event_key_high": "UInt64",
    "event_key_low": "UInt64",
    "leg": "Int8",  # Leg
    "leg_party": "String",  # "" retail, reseller code, supplier code
    "occurred_at_ms": "Int64",
    "subscription_id": "Int64",
    "billing_account_id": "Int64",
    "service": "String",
    "tariff": "String",
    "rule": "String",
    "zone": "String",
    "currency": "String",
    "amount_nanos": "Int64",
    "charged_units": "Int64",  # units priced by the tariff, whole increments
    "bucket_units": "Int64",  # units served by allowances
    "unserved_units": "Int64",  # units not authorised: a maximum charge limited the quantity
    "throttled": "Boolean",  # beyond the fair use of an allowance: free, but slow from here on
    "margin_nanos": "Int64",  # less the next leg's amount (reseller, reseller's reseller, supplier); null if none
    "reason": "Int16",  # Reason; 0 is priced
    "catalog_release": "Int32",
}


@unique
class Leg(IntEnum):
    """Whose price it is. Resellers count from the customer upwards: RESELLER, RESELLER + 1, ..."""

    RETAIL = 0
    SUPPLIER = 1
    RESELLER = 2


@unique
class Reason(IntEnum):
    """Why a usage could not be priced. Numbers are for ever; 100 and above belong to mediation."""

    PRICED = 0
    NO_TARIFF = 1  # the subscription has no usage tariff at that time
    NO_DESTINATION = 2  # no prefix of any zone of the tariff matches
    NO_RULE = 3  # a zone matched, but no rule for this service, band, attributes
    BLOCKED = 4  # the rule or the deck says: not served
    BUCKET_BLOCKED = 5  # a blocker bucket is used up
    AMOUNT_OVERFLOW = 6
    QUANTITY_NEGATIVE = 7
    UNKNOWN_SERVICE = 8
    NO_RELEASE = 9  # no catalogue release was in force
    NO_SUBSCRIPTION = 10  # nobody held the identifier at that time
    LIMIT_REACHED = 11  # maximum charge limits the quantity, and it is used up


# What a pricing call is told beside the usage: who holds what, which buckets are open, where counters stand.
# One row of HOLDING_COLUMNS says which tariff prices a subscription's usage over a half-open interval.
HOLDING_COLUMNS = {
    "subscription_id": "Int64",
    "billing_account_id": "Int64",
    "pool": "String",  # "" none
    "effective_from_ms": "Int64",
    "effective_until_ms": "Int64",  # largest int64 where open
    "tariff": "String",  # "" when usage cannot be priced
    "segment": "String",
    "reseller": "String",  # "" direct; "r1/r2" from the customer upwards
}

# One row is one bucket: an allowance granted to an owner for a time. `remaining` is in units, or nanos for money.
GRANT_COLUMNS = {
    "bucket_id": "Int64",  # unique within the call
    "allowance": "String",  # "offering/allowance" code
    "scope": "String",  # CounterScope
    "owner_id": "Int64",  # subscription_id or billing_account_id by scope; -1 for a pool
    "pool": "String",
    "remaining": "Int64",
    "valid_from_ms": "Int64",
    "valid_until_ms": "Int64",
    "granted_at_ms": "Int64",
}

# Accumulated-tier counters: units used so far in the cycle.
COUNTER_COLUMNS = {
    "counter": "String",
    "scope": "String",
    "owner_id": "Int64",
    "pool": "String",
    "units": "Int64",
}

# What each usage took from which bucket: explain and refund reverse exactly this.
DRAW_COLUMNS = {
    "event_key_high": "UInt64",
    "event_key_low": "UInt64",
    "leg": "Int8",
    "bucket_id": "Int64",
    "units": "Int64",  # units of usage served (0 for a money bucket)
    "taken": "Int64",  # taken from the bucket: units times its factor, or nanos
    "amount_nanos": "Int64",  # the bucket's own price for them
}
