"""Lift a tax from a billing account, on a certificate; and end that again."""

from datetime import datetime

from django.db import transaction

from millicent.customers.errors import UnknownExemption
from millicent.customers.models import TaxExemptionCertificate
from millicent.customers.services.record_terms import lock_account, note_change, refuse_too_early
from millicent.customers.types import Signature, TaxExemption
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput


@transaction.atomic
def grant_exemption(
    *, code: str, exemption: TaxExemption, billed_until_ms: int, now: datetime, signature: Signature
) -> None:
    """Taxes of its kind and place are not charged to the account while the certificate holds. Granted again it stands.

    A tax that a bill has charged stays charged: a certificate that holds from before `billed_until_ms` is refused,
    and is granted from there on instead.
    """
    if not (exemption.kind and exemption.jurisdiction and exemption.certificate):
        raise BadInput(
            "an exemption has a kind, a jurisdiction and a certificate", where="exemption", cure="Name them."
        )
    if exemption.effective_until_ms is not None and exemption.effective_until_ms <= exemption.effective_from_ms:
        raise BadInput("the exemption ends before it begins", where="until", cure="Give a later day.")
    account = lock_account(code)
    terms = {
        "kind": exemption.kind,
        "jurisdiction": exemption.jurisdiction,
        "certificate": exemption.certificate,
        "effective_from_ms": exemption.effective_from_ms,
        "effective_until_ms": exemption.effective_until_ms,
    }
    if TaxExemptionCertificate.objects.filter(billing_account=account, superseded_at_ms=None, **terms).exists():
        return
    refuse_too_early(account, at_ms=exemption.effective_from_ms, billed_until_ms=billed_until_ms)
    TaxExemptionCertificate.objects.create(billing_account=account, recorded_at_ms=to_ms(now), **terms)
    note_change(
        account,
        verb="grant_exemption",
        at_ms=exemption.effective_from_ms,
        now=now,
        signature=signature,
        details={"certificate": exemption.certificate, "kind": exemption.kind},
    )


@transaction.atomic
def end_exemption(
    *, code: str, certificate: str, at_ms: int, billed_until_ms: int, now: datetime, signature: Signature
) -> None:
    """From `at_ms` on the certificate lifts nothing any more. One that ends there already stays as it is.

    Refuses a certificate that does not hold at that time, and what `record_terms` refuses.
    """
    account = lock_account(code)
    believed = TaxExemptionCertificate.objects.filter(
        billing_account=account, certificate=certificate, superseded_at_ms=None
    )
    if believed.filter(effective_until_ms=at_ms).exists():
        return
    found = [
        each
        for each in believed.order_by("effective_from_ms", "id")
        if each.effective_from_ms <= at_ms and (each.effective_until_ms is None or at_ms < each.effective_until_ms)
    ]
    if not found:
        raise UnknownExemption(
            f"billing account {code} has no certificate {certificate} at that time",
            account_code=code,
            certificate=certificate,
        )
    refuse_too_early(account, at_ms=at_ms, billed_until_ms=billed_until_ms)
    for each in found:
        TaxExemptionCertificate.objects.filter(pk=each.pk).update(superseded_at_ms=to_ms(now))
        if each.effective_from_ms < at_ms:
            TaxExemptionCertificate.objects.create(
                billing_account=account,
                kind=each.kind,
                jurisdiction=each.jurisdiction,
                certificate=certificate,
                effective_from_ms=each.effective_from_ms,
                effective_until_ms=at_ms,
                recorded_at_ms=to_ms(now),
            )
    note_change(
        account,
        verb="end_exemption",
        at_ms=at_ms,
        now=now,
        signature=signature,
        details={"certificate": certificate},
    )
