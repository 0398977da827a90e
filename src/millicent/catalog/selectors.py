"""Reads: which release holds when, and the catalogue that it is. Never from the folder, always from what was stored."""

from collections.abc import Mapping

from millicent.catalog.archive import decompress, unpack
from millicent.catalog.errors import ReleaseUnknown
from millicent.catalog.loading import examine_files, usable
from millicent.catalog.models import CatalogRelease
from millicent.catalog.types import Catalogue, ReleaseFacts

_KEPT_CATALOGUES = 8
_loaded: dict[str, Catalogue] = {}


def facts_of(release: CatalogRelease) -> ReleaseFacts:
    return ReleaseFacts(
        number=release.number,
        effective_from_ms=release.effective_from_ms,
        recorded_at_ms=release.recorded_at_ms,
        digest=release.digest,
        author=release.author,
        approved_by=release.approved_by,
        reason=release.reason,
    )


def releases() -> list[ReleaseFacts]:
    """Every release of the tenant, oldest first."""
    return [facts_of(each) for each in CatalogRelease.objects.defer("content").order_by("number")]


def latest_release() -> ReleaseFacts | None:
    release = CatalogRelease.objects.defer("content").order_by("number").last()
    return facts_of(release) if release else None


def release_in_force(at_ms: int) -> ReleaseFacts | None:
    """The release that holds at an instant: of those that have begun, the last. None before the first one."""
    begun = CatalogRelease.objects.defer("content").filter(effective_from_ms__lte=at_ms)
    release = begun.order_by("effective_from_ms", "number").last()
    return facts_of(release) if release else None


def releases_in_force(*, from_ms: int, until_ms: int) -> list[ReleaseFacts]:
    """Every release that holds at some instant of [from_ms, until_ms), oldest first."""
    ordered = [each for each in releases() if each.effective_from_ms < until_ms]
    ends = [each.effective_from_ms for each in ordered[1:]] + [until_ms]
    return [each for each, end in zip(ordered, ends, strict=True) if end > max(from_ms, each.effective_from_ms)]


def files_of(number: int) -> Mapping[str, bytes]:
    """The files of a release as they were stored, with what was taken from libraries at the time."""
    release = CatalogRelease.objects.filter(number=number).first()
    if release is None:
        raise ReleaseUnknown(f"there is no release {number}", number=number)
    return unpack(decompress(bytes(release.content), digest=release.digest))


def catalogue_of(number: int) -> Catalogue:
    """The catalogue of a release. Kept by content: the same files are read once in a process."""
    known = CatalogRelease.objects.filter(number=number).values_list("digest", flat=True).first()
    if known is None:
        raise ReleaseUnknown(f"there is no release {number}", number=number)
    if known not in _loaded:
        while len(_loaded) >= _KEPT_CATALOGUES:
            _loaded.pop(next(iter(_loaded)))
        _loaded[known] = usable(examine_files(files_of(number), with_lints=False))
    return _loaded[known]


__all__ = [
    "catalogue_of",
    "facts_of",
    "files_of",
    "latest_release",
    "release_in_force",
    "releases",
    "releases_in_force",
]
