"""A packet gateway and a call server, played by python-diameter: somebody else's Diameter, not ours."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from diameter.message import constants
from diameter.message.avp import grouped
from diameter.message.commands import CreditControlRequest, ReAuthRequest
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

HOST, REALM, SERVER = "pgw.aurora.example", "aurora.example", "ocs.aurora.example"
PACKETS, CALLS = "32251@3gpp.org", "32260@3gpp.org"
SUCCESS, LIMIT_REACHED = 2001, 4012
INITIAL, UPDATE, TERMINATION = 1, 2, 3
_PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What an answer granted: `units` are octets or seconds."""

    result: int
    units: int
    is_last: bool


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One connection to the charging server."""

    application: Any
    asked_again: threading.Event = field(default_factory=threading.Event)  # a Re-Auth-Request came

    def ask(
        self,
        kind: int,
        number: int,
        *,
        session: str,
        msisdn: str,
        at: datetime,
        used: int | None = None,
        called: str = "",
    ) -> Slice:
        """One Credit-Control-Request and its answer; `called` makes it a call, counted in seconds."""
        request = CreditControlRequest()
        request.session_id = f"{HOST};{session}"
        request.origin_host, request.origin_realm = HOST.encode(), REALM.encode()
        request.destination_realm = REALM.encode()
        request.auth_application_id = constants.APP_DIAMETER_CREDIT_CONTROL_APPLICATION
        request.service_context_id = CALLS if called else PACKETS
        request.cc_request_type, request.cc_request_number = kind, number
        request.event_timestamp = at
        request.add_subscription_id(constants.E_SUBSCRIPTION_ID_TYPE_END_USER_E164, msisdn)
        unit = "cc_time" if called else "cc_total_octets"
        request.add_multiple_services_credit_control(
            rating_group=1,
            used_service_unit=None if used is None else grouped.UsedServiceUnit(**{unit: used}),
            requested_service_unit=None if kind == TERMINATION else grouped.RequestedServiceUnit(),
        )
        if called:
            call = grouped.ImsInformation(called_party_address=f"tel:+{called}", node_functionality=0)
            request.service_information = grouped.ServiceInformation(ims_information=call)
        return _slice(self.application.send_request(request, timeout=_PATIENCE_SECONDS))

    def is_asked_again(self) -> bool:
        """Wait for a Re-Auth-Request."""
        return self.asked_again.wait(_PATIENCE_SECONDS)

    def answer(self, application: Any, request: Any) -> Any:
        """Say yes to whatever the server asks of us."""
        answer = application.generate_answer(request, result_code=SUCCESS)
        if isinstance(request, ReAuthRequest):
            self.asked_again.set()
        return answer


def _slice(answer: Any) -> Slice:
    for service in answer.multiple_services_credit_control:
        granted = service.granted_service_unit
        units = (granted.cc_time or granted.cc_total_octets or 0) if granted else 0
        last = service.final_unit_indication is not None
        return Slice(result=service.result_code or answer.result_code, units=units, is_last=last)
    return Slice(result=answer.result_code, units=0, is_last=False)


@contextmanager
def connected_gateway(port: int) -> Iterator[Gateway]:
    """Capabilities exchanged with the server on this machine; good-bye said at the end."""
    node = Node(HOST, REALM)
    peer = node.add_peer(f"aaa://{SERVER}:{port}", REALM, ip_addresses=["127.0.0.1"], is_persistent=True)
    gateway = Gateway(application=None)
    gateway.application = SimpleThreadingApplication(
        constants.APP_DIAMETER_CREDIT_CONTROL_APPLICATION, is_auth_application=True, request_handler=gateway.answer
    )
    node.add_application(gateway.application, [peer])
    node.start()
    try:
        gateway.application.wait_for_ready(_PATIENCE_SECONDS)
        yield gateway
    finally:
        node.stop(wait_timeout=2)
