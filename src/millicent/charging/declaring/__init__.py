"""charging.yaml, from text to checked values."""

from millicent.charging.declaring.document import read_charging, read_policy_counters

__all__ = ["read_charging", "read_policy_counters"]
