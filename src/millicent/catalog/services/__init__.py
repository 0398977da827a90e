"""What can be done with a catalogue: it is released. One verb a file."""

from millicent.catalog.services.release_catalogue import release_catalogue

__all__ = ["release_catalogue"]
