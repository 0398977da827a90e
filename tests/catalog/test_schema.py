"""The published schema is the one that the code checks with, and it fits what we ship."""

from pathlib import Path

import jsonschema
import pytest

from millicent.catalog.loading.folder import kind_of
from millicent.catalog.loading.nodes import read_documents
from millicent.catalog.schema import DOCUMENTS, catalogue_schema, published_schema

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "src/millicent/config/demo/catalogue"
COPIES = ("docs/reference/catalog.schema.json", "src/millicent/catalog/schema/catalog.schema.json")


@pytest.mark.parametrize("copy", COPIES)
def test_the_published_schema_is_up_to_date(copy):
    """Mend with: millicent catalog schema --out <file>"""
    assert (ROOT / copy).read_text(encoding="utf-8") == published_schema()


def test_the_schema_is_itself_sound():
    jsonschema.Draft202012Validator.check_schema(catalogue_schema())


def test_every_kind_of_document_explains_every_field():
    def silent(schema, path):
        for name, part in schema.get("properties", {}).items():
            if not part.get("description") and "properties" not in part:
                yield f"{path}.{name}"
            yield from silent(part, f"{path}.{name}")
            yield from silent(part.get("items", {}), f"{path}.{name}[]")

    assert [place for kind, schema in DOCUMENTS.items() for place in silent(schema, kind)] == []


def test_an_editor_with_the_published_schema_accepts_the_demo_catalogue():
    schema = catalogue_schema()
    for path in sorted(DEMO.rglob("*.yaml")):
        kind = kind_of(path.relative_to(DEMO).as_posix())
        validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})
        for document in read_documents(path.name, path.read_bytes())[0]:
            assert list(validator.iter_errors(document.plain())) == [], path
