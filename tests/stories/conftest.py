"""A story's stage: an operator of its own with nothing on its books."""

from collections.abc import Callable
from uuid import UUID

import pytest
from tests.billing.builders import KnownFacts
from tests.stories.operator import BillingOffice


@pytest.fixture
def open_office(tenant_id: UUID) -> Callable[[KnownFacts], BillingOffice]:
    return lambda known: BillingOffice(tenant_id=tenant_id, facts=known)
