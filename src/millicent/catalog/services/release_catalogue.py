"""Release a catalogue: an immutable number and the date from which it holds."""

from collections.abc import Sequence

from django.db import connection, transaction

from millicent.catalog.archive import compress, digest_of, pack
from millicent.catalog.errors import Fault, ReleaseRefused
from millicent.catalog.loading import Examination, usable
from millicent.catalog.models import CatalogRelease
from millicent.catalog.selectors import catalogue_of, facts_of
from millicent.catalog.types import ReleaseFacts
from millicent.kit.errors import BadInput

# Any constant: two releases of one tenant wait for each other, so that numbers have no gap and no double.
_LOCK_SQL = (
    "SELECT pg_advisory_xact_lock(hashtextextended('catalog release ' || current_setting('millicent.tenant'), 0))"
)


@transaction.atomic
def release_catalogue(
    *,
    examination: Examination,
    effective_from_ms: int,
    author: str,
    recorded_at_ms: int,
    approved_by: str = "",
    reason: str = "",
    unmet: Sequence[Fault] = (),
) -> ReleaseFacts:
    """Store the examined files under the next number, to hold from `effective_from_ms` on.

    The same content as the latest release is no new release: that one is returned. Content with faults, or with
    expectations that are `unmet`, is refused; so is a date before the latest release's, for then nobody could say
    which of the two holds. With `second_approval` in the operator's file, now or in the latest release, somebody
    other than the author must approve.
    """
    catalogue = usable(examination)
    if unmet:
        raise ReleaseRefused(f"{len(unmet)} expected prices are not met: {unmet[0]}", unmet=len(unmet))
    if not author:
        raise BadInput("a release needs an author", where="author", cure="Say who releases it.")
    packed = pack(examination.files)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_SQL)
    latest = CatalogRelease.objects.defer("content").order_by("number").last()
    if latest is not None and latest.digest == digest_of(packed):
        return facts_of(latest)
    second = catalogue.operator.second_approval or (
        latest is not None and catalogue_of(latest.number).operator.second_approval
    )
    _check_approval(author=author, approved_by=approved_by, second=second)
    if latest is not None and effective_from_ms < latest.effective_from_ms:
        raise ReleaseRefused(
            f"release {latest.number} already holds from a later date",
            latest=latest.number,
            effective_from_ms=latest.effective_from_ms,
        )
    release = CatalogRelease.objects.create(
        number=latest.number + 1 if latest else 1,
        effective_from_ms=effective_from_ms,
        recorded_at_ms=recorded_at_ms,
        digest=digest_of(packed),
        content=compress(packed),
        author=author,
        approved_by=approved_by,
        reason=reason,
    )
    return facts_of(release)


def _check_approval(*, author: str, approved_by: str, second: bool) -> None:
    if approved_by == author:
        raise ReleaseRefused("nobody approves their own release", author=author)
    if second and not approved_by:
        raise ReleaseRefused("this operator wants a second person's approval for each release", author=author)
