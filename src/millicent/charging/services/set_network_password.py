"""Give a user name of the network its password, or take it away."""

from datetime import datetime

from millicent.charging.credentials import KeptCredential, hash_password, seal_password
from millicent.charging.models.access import NetworkCredential
from millicent.kit.clock import to_ms


def set_network_password(user_name: str, *, password: str, sealing_key: bytes | None, who: str, now: datetime) -> None:
    """Keep a password, in place of any before it. Runs in a tenant's scope.

    With `sealing_key` it can be opened again, which CHAP needs; without it only compared, which is enough for PAP.
    """
    secret = hash_password(password) if sealing_key is None else seal_password(password, key=sealing_key)
    NetworkCredential.objects.update_or_create(
        user_name=user_name.strip(),
        defaults={
            "scheme": "hashed" if sealing_key is None else "sealed",
            "secret": secret,
            "set_at_ms": to_ms(now),
            "who": who,
        },
    )


def forget_network_password(user_name: str) -> bool:
    """Whether there was one. Runs in a tenant's scope."""
    count, _ = NetworkCredential.objects.filter(user_name=user_name.strip()).delete()
    return count > 0


def kept_credential(user_name: str) -> KeptCredential | None:
    """What is kept of a user's password; None: nobody of that name may come on line. Runs in a tenant's scope."""
    row = NetworkCredential.objects.filter(user_name=user_name).values_list("scheme", "secret").first()
    return None if row is None else KeptCredential(sealed=row[0] == "sealed", secret=bytes(row[1]))
