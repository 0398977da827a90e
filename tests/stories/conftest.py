"""A story's stage: an operator of its own with nothing on its books."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from tests.stories.operator import BillingOffice

    from millicent.billing.ports import BillingFacts


@pytest.fixture
def open_office(tenant_id: UUID) -> "Callable[[BillingFacts], BillingOffice]":
    from tests.stories.operator import BillingOffice

    return lambda known: BillingOffice(tenant_id=tenant_id, facts=known)
