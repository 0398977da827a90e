"""The published JSON Schema of a catalogue folder, made from code."""

from millicent.catalog.schema.documents import DOCUMENTS, catalogue_schema

__all__ = ["DOCUMENTS", "catalogue_schema"]
