"""The tables of charging: what makes a shard durable, and what people see of balances."""

from millicent.charging.models import access, durability, people, status

__all__ = ["access", "durability", "people", "status"]
