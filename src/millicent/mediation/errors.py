"""What mediation refuses, and what it may find silent."""

from millicent.kit.errors import BadInput, Outage, Refusal


class UnknownSource(Refusal):
    """No source has this name."""

    code = "unknown_source"


class UnknownFormat(BadInput):
    """No installed package offers this usage format."""

    code = "unknown_usage_format"


class UnknownSuspense(Refusal):
    """No suspended record has this number."""

    code = "unknown_suspended_record"


class SuspenseSettled(Refusal):
    """The record went on or was written off before: it cannot be changed any more."""

    code = "suspended_record_is_settled"


class SourceChanged(Refusal):
    """A file changed between two parts of one collection."""

    code = "usage_file_changed"


class SourceSilent(Outage):
    """The place where a source keeps its files does not answer."""

    code = "usage_source_silent"
