"""charging.yaml, from text to checked values."""

from millicent.charging.declaring.document import read_charging

__all__ = ["read_charging"]
