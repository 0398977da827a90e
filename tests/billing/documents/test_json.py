"""The JSON bill: valid against the schema that we publish, exact, complete."""

import json
from pathlib import Path

import jsonschema
import pytest
from tests.billing.documents.builders import a_bill, a_company_bill, a_household_bill, some_details

from millicent.billing.documents import json_document
from millicent.billing.documents.json_document import bill_schema
from millicent.billing.documents.render import render_json


@pytest.mark.parametrize("bill", [a_bill(), a_household_bill(), a_company_bill(), a_bill(number="")])
def test_every_bill_is_valid_against_the_published_schema(bill):
    jsonschema.Draft202012Validator.check_schema(bill_schema())

    jsonschema.validate(json.loads(render_json(bill, some_details(4))), bill_schema())


def test_amounts_are_exact_decimals():
    document = json.loads(render_json(a_household_bill(), some_details(4)))

    assert (document["net"], document["tax"], document["total"]) == ("66.66", "14.00", "80.66")
    assert document["lines"][7]["net"] == "-3.90"
    assert document["details"][3]["amount"] == "0.00339"
    assert document["taxes"][0]["rate"] == {"numerator": 21, "denominator": 100}
    assert document["cycle"] == {"from": "2026-09-30T22:00:00.000Z", "until": "2026-10-31T23:00:00.000Z"}


def test_the_schema_refuses_a_key_that_it_does_not_know():
    document = {**json.loads(render_json(a_bill())), "surprise": 1}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, bill_schema())


def test_the_schema_stands_beside_the_code_that_ships():
    assert json_document.SCHEMA_FILE.is_relative_to(Path(json_document.__file__).parent)
