"""The same usage through the Diameter door and by a file costs the same to the last digit, and the bill agrees."""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.billing.builders import a_moment
from tests.charging.people.builders import a_customer, an_operator
from tests.charging.people.live import LiveShard
from tests.mediation.builders import a_source, collect, stores_in, write_events
from tests.network.diameter.builders import INITIAL, SETTINGS, TERMINATION, UPDATE, a_peer, a_request, an_mscc

from millicent.assurance.live import live_against_bill
from millicent.assurance.types import LiveReason
from millicent.billing.services.price_open_cycles import price_open_cycles
from millicent.charging.balance_facts import stored_facts
from millicent.charging.live_charges import charges_between
from millicent.charging.services.declare_services import service_map
from millicent.charging.services.export_charges import export_charges
from millicent.customers.selectors import billing_accounts
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.network.diameter.server import DiameterServer
from millicent.network.diameter.settings import read_settings

NUMBER, HOME, AWAY = "34600000001", "34910000001", "33140000001"
MEGABYTE = 1_000_000
OPENS = a_moment(2026, 11, 1)
TOLD = a_moment(2026, 11, 10, 6)
MONTH_END = a_moment(2026, 11, 30, 23)
PLAN = """\
code: plan
services: [voice, data, sms]
tariff: basic
recurring:
  - {code: monthly, price: 10.00}
allowances:
"""
MINUTES = "  - {code: minutes, when: {service: voice, zone: world/home}, amount: 12 min}\n"
ENDLESS = (
    "  - {code: minutes, when: {service: voice, zone: world/home}, amount: unlimited, "
    "fair_use: {after: 12 min, then: charge}}\n"
)
GIGABYTE = "  - {code: data, when: {service: data}, amount: 500 MB}\n"
RULES = {
    "a connection fee and increments": (
        "{code: home, when: {service: voice}, price: 0.07/min, connect: 0.11, increments: 60/7}"
    ),
    "bands": (
        "{code: day, when: {service: voice, band: day}, price: 0.13/min}\n"
        "  - {code: rest, when: {service: voice, band: rest}, price: 0.0333/min}"
    ),
    "slots within a call": (
        "{code: long, when: {service: voice}, slots: [{from: 0, every: 60 s, price: 0.15/min}, "
        "{from: 5 min, every: 60 s, price: 0.05/min}]}"
    ),
    "tiers of a month": (
        "{code: tiers, when: {service: voice}, ladder: {model: graduated, counter: talk, steps: "
        "[{above: 0, price: 0.20/min}, {above: 10 min, price: 0.03/min}]}}"
    ),
}
DATA = "{code: data, when: {service: data}, price: 2.00/GB, increments: 100 kB/100 kB}"
PACKAGES = "{code: data, when: {service: data}, ladder: {model: package, counter: extra, package: 250 MB, price: 1.50}}"


def tariff(*rules: str) -> str:
    return "code: basic\ncalendar: week\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)


@dataclass(frozen=True)
class Use:
    """One usage: a call with the lengths of its reports, or data with their megabytes."""

    day: int
    hour: int
    parts: tuple[int, ...]
    minute: int = 0
    service: str = "voice"
    other_party: str = HOME

    @property
    def begins(self):
        return a_moment(2026, 11, self.day, self.hour, self.minute)


CALLS = (
    Use(10, 9, (30, 60, 61)),
    Use(10, 19, (1800, 1800, 900), minute=30),  # from the day's band into the other
    Use(11, 12, (7,), other_party=AWAY),
    Use(12, 7, (299, 1, 301), minute=58, other_party=AWAY),
)
SESSIONS = (
    Use(10, 9, (90, 120, 33), service="data"),
    Use(11, 9, (400, 1), service="data"),
    Use(12, 9, (3, 3, 3, 700), service="data"),
)


@dataclass
class Network:
    """A postpaid customer whose usage goes through a gateway of Diameter, and into a switch's file."""

    tenant_id: object
    stores: object
    shard: LiveShard
    now_ms: int = to_ms(TOLD)
    asked: int = field(default=0)

    async def submit(self, rows, texts=b""):
        rows = rows.copy()
        rows["received_ms"] = self.now_ms
        return self.shard.submit(rows, texts)

    async def number_of(self, kind, text):
        return self.shard.number_of(kind, text)

    def listen(self, door, told):
        pass

    def on_restart(self, forget):
        pass

    # two ways of the same usage

    def through_diameter(self, *uses: Use) -> None:
        with tenant_scope(self.tenant_id):
            services = service_map()

        async def scene():
            settings = read_settings(SETTINGS, where="test")
            server = DiameterServer(self, settings=settings, services=services, now_ms=lambda: self.now_ms)
            await server.start()
            try:
                async with a_peer(server) as gateway:
                    for use in uses:
                        await self._session(gateway, use)
            finally:
                await server.stop()

        asyncio.run(scene())
        while export_charges(tenant_id=self.tenant_id, lake=self.stores.lake):
            pass

    async def _session(self, gateway, use: Use) -> None:
        self.asked += 1
        session, began = f"pgw01.example.net;{self.asked}", use.begins
        passed = 0
        for number in range(len(use.parts) + 1):
            last = number == len(use.parts)
            kind = INITIAL if number == 0 else TERMINATION if last else UPDATE
            used = use.parts[number - 1] if number else None
            passed += (used or 0) if use.service == "voice" else 60 * (number > 0)
            self.now_ms = to_ms(began + timedelta(seconds=passed))
            answer = await gateway.ask(self._request(kind, number, use, used=used, last=last, session=session))
            assert answer.number("Result-Code") == 2001

    def _request(self, kind, number, use, *, used, last, session) -> bytes:
        seconds = use.service == "voice"
        name = "CC-Time" if seconds else "CC-Total-Octets"
        amounts = {
            "requested": None if last else [],
            "used": None if used is None else [(name, used if seconds else used * MEGABYTE)],
        }
        ims = ("Service-Information", [("IMS-Information", [("Called-Party-Address", f"tel:+{use.other_party}")])])
        return a_request(
            kind, number, ("Event-Timestamp", self.now_ms // 1000 + 2_208_988_800), an_mscc(10, **amounts),
            *([ims] if seconds else []), session=session, context="32260@3gpp.org" if seconds else "32251@3gpp.org",
        )  # fmt: skip

    def by_file(self, *uses: Use, name: str = "calls.jsonl", received=MONTH_END) -> None:
        path = write_events(
            self.stores.folder.parent / name,
            [
                {
                    "event_id": f"{name}-{place}", "service": use.service, "identifier_kind": "msisdn",
                    "identifier": NUMBER, "other_party": f"+{use.other_party}" if use.service == "voice" else "",
                    "occurred_at_ms": to_ms(use.begins),
                    **({"duration_ms": sum(use.parts) * 1000} if use.service == "voice"
                       else {"downlink_bytes": sum(use.parts) * MEGABYTE}),
                }
                for place, use in enumerate(uses)
            ],
        )  # fmt: skip
        report = collect(self.tenant_id, self.stores, path, now=received)
        assert report.accepted == len(uses)

    # what they cost

    def live_prices(self) -> list[int]:
        found = charges_between(self.stores.lake, since_ms=to_ms(OPENS), until_ms=to_ms(MONTH_END))
        return found.sort("occurred_at_ms")["amount_nanos"].to_list()

    def bill_prices(self) -> list[int]:
        with tenant_scope(self.tenant_id):
            found = price_open_cycles(
                self.payers(), facts=stored_facts(self.stores.lake), at_ms=to_ms(MONTH_END),
                known_until_ms=to_ms(MONTH_END) + 1,
            )  # fmt: skip
        return found.sort("occurred_at_ms")["amount_nanos"].to_list()

    def payers(self) -> list[int]:
        return [each.billing_account_id for each in billing_accounts()]

    def compared(self, *, now=MONTH_END):
        with tenant_scope(self.tenant_id):
            return live_against_bill(self.stores.lake, now=now)


@contextmanager
def a_network(tenant_id, folder, *, rules: str, allowances: str = ""):
    files = {"offerings": PLAN + allowances if allowances else PLAN.replace("allowances:\n", ""), "tariff": rules}
    with tenant_scope(tenant_id):
        an_operator(offerings=files["offerings"], tariff=files["tariff"])
        a_customer("C-1", offering="plan", number=NUMBER)
    a_source(tenant_id)
    live = LiveShard(tenant_id, now=TOLD)
    try:
        live.provisioned(now=TOLD)
        yield Network(tenant_id=tenant_id, stores=stores_in(folder), shard=live)
    finally:
        live.close()


@pytest.mark.parametrize("allowances", ["", MINUTES, ENDLESS], ids=["without allowance", "twelve minutes", "fair use"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_call_costs_by_diameter_what_it_costs_by_file(tenant_id, tmp_path, rule, allowances):
    with a_network(tenant_id, tmp_path, rules=tariff(rule), allowances=allowances) as network:
        network.through_diameter(*CALLS)
        network.by_file(*CALLS)

        assert network.live_prices() == network.bill_prices()
        assert sum(network.live_prices()) > 0
        found = network.compared()
        assert (found.holds, found.compared, found.accounts) == (True, 4, 1)


@pytest.mark.parametrize("allowances", ["", GIGABYTE], ids=["without allowance", "with allowance"])
@pytest.mark.parametrize("rule", [DATA, PACKAGES], ids=["by volume", "by packages of a month"])
def test_a_data_session_costs_by_diameter_what_it_costs_by_file(tenant_id, tmp_path, rule, allowances):
    with a_network(tenant_id, tmp_path, rules=tariff(rule), allowances=allowances) as network:
        network.through_diameter(*SESSIONS)
        network.by_file(*SESSIONS)

        assert network.live_prices() == network.bill_prices()
        assert sum(network.live_prices()) > 0
        found = network.compared()
        assert (found.holds, found.compared) == (True, 3)
        (total,) = found.totals
        assert total.difference_nanos == 0


def test_every_difference_between_live_and_bill_has_its_reason(tenant_id, tmp_path):
    lost, unseen, corrected = (Use(10, hour, (60,)) for hour in (10, 11, 12))
    with a_network(
        tenant_id, tmp_path, rules=tariff("{code: home, when: {service: voice}, price: 0.06/min}")
    ) as network:
        network.through_diameter(lost, corrected, Use(10, 13, (60,)))
        network.by_file(unseen, Use(10, 12, (90,)), Use(10, 13, (60,)))

        found = network.compared()

        told = [(each.reason, each.live_nanos, each.bill_nanos) for each in found.differences]
        assert told == [
            (LiveReason.ONLY_ONLINE, 60_000_000, 0),
            (LiveReason.ONLY_FILE, 0, 60_000_000),
            (LiveReason.CORRECTED, 60_000_000, 90_000_000),
        ]
        (total,) = found.totals
        assert (total.live_nanos, total.bill_nanos) == (180_000_000, 210_000_000)
        assert found.compared == 2
