"""The tables of charging: what makes a shard durable, and what people see of balances."""

from millicent.charging.models import durability, people

__all__ = ["durability", "people"]
