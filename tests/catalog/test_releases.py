"""Releases: immutable, numbered, dated, and read back from what was stored."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import IntegrityError, ProgrammingError, transaction
from tests.catalog.builders import OPERATOR, TARIFF, examined, some_files

from millicent.catalog.archive import ArchiveDamaged, compress, decompress, digest_of, pack, unpack
from millicent.catalog.errors import CatalogueFaults, ReleaseRefused, ReleaseUnknown
from millicent.catalog.loading import examine_files
from millicent.catalog.models import CatalogRelease
from millicent.catalog.selectors import (
    catalogue_of,
    files_of,
    latest_release,
    release_in_force,
    releases,
    releases_in_force,
)
from millicent.catalog.services import release_catalogue
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope

JANUARY, FEBRUARY, MARCH = 1_767_225_600_000, 1_769_904_000_000, 1_772_323_200_000
DEARER = {"tariffs/basic.yaml": TARIFF.replace("0.10/min", "0.12/min")}
TWO_PEOPLE = {"operator.yaml": OPERATOR + "second_approval: true\n"}


def release(changes=None, *, from_ms=JANUARY, author="ana", approved_by=""):
    return release_catalogue(
        examination=examined(changes),
        effective_from_ms=from_ms,
        author=author,
        approved_by=approved_by,
        recorded_at_ms=FEBRUARY,
        reason="new prices",
    )


def home_price(number):
    return catalogue_of(number).tariffs["basic"].rules[0].card.slots[0].amount_nanos


def test_a_release_is_read_back_from_what_was_stored(tenant: UUID):
    facts = release()

    assert (facts.number, facts.effective_from_ms, facts.author, facts.reason) == (1, JANUARY, "ana", "new prices")
    assert {path: content for path, content in files_of(1).items() if path != "derived.json"} == some_files()
    assert catalogue_of(1) == examined().catalogue
    assert releases() == [facts] == [latest_release()]


def test_numbers_rise_by_one_and_older_releases_stay_as_they_were(tenant: UUID):
    release()

    assert release(DEARER, from_ms=FEBRUARY).number == 2
    assert (home_price(1), home_price(2)) == (100_000_000, 120_000_000)


def test_the_same_content_twice_is_one_release(tenant: UUID):
    first = release()

    assert release(from_ms=MARCH, author="luis") == first
    assert CatalogRelease.objects.count() == 1


def test_an_older_content_may_come_back_under_a_new_number(tenant: UUID):
    release()
    release(DEARER, from_ms=FEBRUARY)

    assert release(from_ms=MARCH).number == 3


def test_the_release_in_force_is_the_last_that_has_begun(tenant: UUID):
    release()
    release(DEARER, from_ms=MARCH)

    assert release_in_force(JANUARY - 1) is None
    assert [release_in_force(at).number for at in (JANUARY, MARCH - 1, MARCH)] == [1, 1, 2]
    assert [each.number for each in releases_in_force(from_ms=FEBRUARY, until_ms=MARCH)] == [1]
    assert [each.number for each in releases_in_force(from_ms=FEBRUARY, until_ms=MARCH + 1)] == [1, 2]
    assert [each.number for each in releases_in_force(from_ms=MARCH, until_ms=MARCH + 1)] == [2]


def test_of_two_releases_from_the_same_instant_the_later_number_holds(tenant: UUID):
    release()
    release(DEARER)

    assert release_in_force(JANUARY).number == 2
    assert [each.number for each in releases_in_force(from_ms=JANUARY, until_ms=MARCH)] == [2]


def test_a_date_before_the_latest_release_is_refused_and_nothing_is_stored(tenant: UUID):
    release(from_ms=MARCH)

    with pytest.raises(ReleaseRefused) as refusal:
        release(DEARER, from_ms=FEBRUARY)

    assert refusal.value.facts == {"latest": 1, "effective_from_ms": MARCH}
    assert CatalogRelease.objects.count() == 1


def test_a_catalogue_with_faults_is_refused_and_nothing_is_stored(tenant: UUID):
    with pytest.raises(CatalogueFaults):
        release({"tariffs/basic.yaml": TARIFF.replace("0.10/min", "cheap")})

    assert not CatalogRelease.objects.exists()


def test_an_operator_who_wants_two_people_gets_two(tenant: UUID):
    with pytest.raises(ReleaseRefused):
        release(TWO_PEOPLE)
    assert not CatalogRelease.objects.exists()

    assert release(TWO_PEOPLE, approved_by="luis").approved_by == "luis"


def test_one_person_cannot_drop_the_rule_of_two_people(tenant: UUID):
    release(TWO_PEOPLE, approved_by="luis")

    with pytest.raises(ReleaseRefused):
        release({"operator.yaml": OPERATOR}, from_ms=MARCH)

    assert [each.number for each in releases()] == [1]


def test_nobody_approves_their_own_release(tenant: UUID):
    with pytest.raises(ReleaseRefused):
        release(author="ana", approved_by="ana")
    with pytest.raises(IntegrityError), transaction.atomic():
        CatalogRelease.objects.create(
            number=1,
            effective_from_ms=0,
            recorded_at_ms=0,
            digest="0" * 64,
            content=b"",
            author="ana",
            approved_by="ana",
        )

    assert not CatalogRelease.objects.exists()


def test_a_release_cannot_be_changed_or_taken_back(tenant: UUID):
    release()

    for change in (lambda: CatalogRelease.objects.update(author="eve"), lambda: CatalogRelease.objects.all().delete()):
        with pytest.raises(ProgrammingError), transaction.atomic():
            change()

    assert [each.author for each in releases()] == ["ana"]


def test_another_tenants_release_is_not_there(tenant_id: UUID):
    with tenant_scope(tenant_id):
        release()

    other = Tenant.objects.create(code=f"other-{tenant_id.hex[:12]}", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    with tenant_scope(other.id):
        assert releases() == []
        with pytest.raises(ReleaseUnknown):
            catalogue_of(1)


def test_holidays_and_prefixes_of_a_release_are_those_of_its_day():
    """A later numbering plan or holiday must not change what was released."""
    zones = {
        "zones/world.yaml": "code: world\nzones:\n  - {code: home, countries: ES}\n  - {code: away, prefixes: 33}\n"
    }
    released = dict(examined(zones).files)
    released["derived.json"] = released["derived.json"].replace(b'"34"', b'"3499"')

    again = examine_files(released)

    assert again.catalogue is not None
    assert again.catalogue.zone_maps["world"].zones[0].prefixes == ("3499",)
    assert again.files["derived.json"] == released["derived.json"]


def test_the_same_files_give_the_same_bytes_in_any_order():
    files = {"b.yaml": b"2", "a.yaml": b"1\n\n", "c/d.csv": b""}

    packed = pack(files)

    assert packed == pack(dict(reversed(files.items())))
    assert unpack(decompress(compress(packed), digest=digest_of(packed))) == files


def test_stored_content_that_was_changed_is_not_used():
    packed = pack({"a.yaml": b"1"})

    with pytest.raises(ArchiveDamaged):
        decompress(compress(packed + b"!"), digest=digest_of(packed))
    with pytest.raises(ArchiveDamaged):
        unpack(packed[:-1] + b"2")
