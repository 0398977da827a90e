"""The published JSON Schema of a catalogue folder, made from code. `catalog.schema.json` here is a copy of it."""

from millicent.catalog.schema.documents import DOCUMENTS, catalogue_schema, published_schema

__all__ = ["DOCUMENTS", "catalogue_schema", "published_schema"]
