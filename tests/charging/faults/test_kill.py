"""Kill -9 of the charging process at random instants under load: what was acknowledged is there, applied once."""

import pytest
from tests.charging.faults.harness import kill_again_and_again
from tests.charging.journal.builders import a_place
from tests.charging.journal.fake_shard import FakeShard

from millicent.charging.journal.verify import verify_journal


def loops_survive(tenant_id, folder, *, loops, seed):
    acknowledged = kill_again_and_again(tenant_id, folder, loops=loops, seed=seed, snapshots=True)
    place = a_place(tenant_id, folder)
    found = verify_journal(place.store, folder=place.snapshots, new_shard=FakeShard)

    assert found.faults == []
    assert acknowledged >= loops


def test_twenty_kills_lose_nothing_and_apply_nothing_twice(tenant_id, tmp_path):
    loops_survive(tenant_id, tmp_path, loops=20, seed=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_five_hundred_kills_lose_nothing_and_apply_nothing_twice(tenant_id, tmp_path, seed):
    loops_survive(tenant_id, tmp_path, loops=50, seed=seed)
