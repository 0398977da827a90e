"""The numbers that Millicent shows to Prometheus. Every one of them is declared here, and nowhere else.

Labels are words of the trade with few values (a stage, an outcome, a source); never a subscriber or an amount.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

RECORDS = Counter(
    "millicent_records", "Records that left a stage, by outcome.", ["stage", "outcome"], registry=REGISTRY
)
FILES = Counter("millicent_files", "Files that were collected, by outcome.", ["outcome"], registry=REGISTRY)
SUSPENSE = Gauge("millicent_suspense_records", "Records waiting in suspense.", ["reason"], registry=REGISTRY)
BILLS = Counter("millicent_bills", "Bills by what became of them.", ["outcome"], registry=REGISTRY)
ENTRIES = Counter("millicent_ledger_entries", "Ledger entries posted, by business event.", ["event"], registry=REGISTRY)
LAKE_COMMITS = Counter(
    "millicent_lake_commits", "Commits to the lake by table and outcome.", ["table", "outcome"], registry=REGISTRY
)
WORK_SECONDS = Histogram(
    "millicent_work_seconds",
    "How long one piece of work took.",
    ["work"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
PACKETS = Counter(
    "millicent_network_packets",
    "Packets that came to a door of the network, by protocol and outcome.",
    ["protocol", "outcome"],
    registry=REGISTRY,
)
FAULTS = Counter("millicent_faults", "Errors that reached a door, by code.", ["code"], registry=REGISTRY)


def count_records(stage: str, **outcomes: int) -> None:
    """Count what left a stage: `count_records("mediation", accepted=98, suspended=2)`."""
    for outcome, count in outcomes.items():
        RECORDS.labels(stage=stage, outcome=outcome).inc(count)


@contextmanager
def timed(work: str) -> Iterator[None]:
    """Measure one piece of work, whether it ends well or not."""
    with WORK_SECONDS.labels(work=work).time():
        yield


def exposition() -> bytes:
    """Everything counted so far in Prometheus' text format."""
    return bytes(generate_latest(REGISTRY))
