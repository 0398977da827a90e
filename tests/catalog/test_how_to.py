"""The examples of docs/how-to/write-a-tariff.md are a catalogue: clean, and with the prices that the page says."""

import re
from pathlib import Path

from millicent.catalog.expectations import check_expectations
from millicent.catalog.loading import examine_files
from millicent.config.commands.catalog_prices import price_expectations

PAGE = Path(__file__).parents[2] / "docs/how-to/write-a-tariff.md"
EXAMPLE = re.compile(r"```yaml file=(\S+)\n(.*?)```", re.DOTALL)


def test_the_examples_of_the_page_are_a_clean_catalogue_with_the_prices_it_says():
    files = {path: text.encode() for path, text in EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))}

    examination = examine_files(files)

    assert len(files) == 9
    assert examination.faults == ()
    assert examination.catalogue is not None
    assert len(examination.catalogue.expectations) == 5
    assert check_expectations(examination.catalogue, pricer=price_expectations) == []
