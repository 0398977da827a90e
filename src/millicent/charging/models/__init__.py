"""The tables of charging: what makes a shard durable, and what people see of balances."""

from millicent.charging.models import access, durability, people, plans, status

__all__ = ["access", "durability", "people", "plans", "status"]
