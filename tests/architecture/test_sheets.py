"""Every CSV file that a person may open is written where texts are kept from being run."""

import ast

from tests.architecture.source import name_of, source_files, tree_of

# Who writes CSV by another road, and why no spreadsheet will run what is in it.
OTHER_WRITERS = {
    "kit/sheets.py": "the place itself",
    "kit/bulk.py": "rows on their way into PostgreSQL",
    "mediation/sessions.py": "rows on their way into PostgreSQL",
    "mediation/bench.py": "records of a switch that the benchmark makes up",
    "config/demo/population.py": "customers that the demo makes up",
}


def test_csv_for_people_is_written_in_one_place():
    writers = {
        name_of(path)
        for path in source_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in ("write_csv", "sink_csv", "DictWriter")
    }

    assert writers == OTHER_WRITERS.keys()
