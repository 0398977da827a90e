"""`millicent catalog`: what people and programs get from it."""

import json
from pathlib import Path

import pytest
from tests.catalog.builders import TARIFF, some_files, with_deck
from typer.testing import CliRunner

from millicent.config.commands.catalog import app

RUN = CliRunner()


@pytest.fixture
def folder(tmp_path: Path):
    def write(changes=None):
        for path, content in some_files(changes).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        return str(tmp_path)

    return write


def test_a_clean_folder_ends_well(folder):
    answer = RUN.invoke(app, ["check", folder()])

    assert answer.exit_code == 0
    assert "0 faults, 0 warnings; 1 tariffs, 1 offerings, 0 expected prices (0 not met)" in answer.stdout


def test_a_fault_is_one_line_with_its_place_and_ends_with_status_2(folder):
    answer = RUN.invoke(app, ["check", folder({"tariffs/basic.yaml": TARIFF.replace("0.10/min", "cheap")})])

    assert answer.exit_code == 2
    assert answer.stdout.splitlines()[0] == "tariffs/basic.yaml:4:67: fault: 'cheap' is not a price [value]"


def test_a_warning_blocks_under_strict_only(folder):
    path = folder({"tariffs/basic.yaml": TARIFF.replace("{code: away", "{cost: 1/min, code: away")})

    assert RUN.invoke(app, ["check", path]).exit_code == 0
    assert RUN.invoke(app, ["check", path, "--strict"]).exit_code == 2


def test_an_expected_price_that_does_not_come_out_blocks(folder):
    row = "- {expect: A call, tariff: basic, at: 2026-01-05, service: sms, usage: 1, costs: 7}\n"

    answer = RUN.invoke(app, ["check", folder({"expectations/e.yaml": row}), "--json"])

    assert answer.exit_code == 2
    assert [fault["code"] for fault in json.loads(answer.stdout)["faults"]] == ["expectation"]


def test_refused_rows_of_decks_are_counted_and_written_out(folder, tmp_path):
    path, out = folder(with_deck("33,France,0.10,,", "34,Spain,,,")), tmp_path / "refused.csv"

    answer = RUN.invoke(app, ["check", path, "--json", "--refused", str(out)])

    (deck,) = json.loads(answer.stdout)["decks"]
    assert (deck["rows_in"], deck["accepted"], deck["refused"], deck["reasons"]) == (2, 1, 1, {"missing rate": 1})
    assert out.read_text() == 'deck,row,prefix,reason,detail\ndeck,3,34,missing rate,""\n'


def test_the_schema_is_one_json_document():
    answer = RUN.invoke(app, ["schema"])

    assert "tariff" in json.loads(answer.stdout)["$defs"]


def test_release_plan_list_and_show_agree(folder, tenant_id, monkeypatch):
    from millicent.config.settings import settings
    from millicent.kit.models import Tenant

    monkeypatch.setenv("MILLICENT_TENANT", Tenant.objects.get(id=tenant_id).code)
    settings.cache_clear()
    path = folder()
    try:
        made = RUN.invoke(app, ["release", path, "--effective", "2026-01-01", "--author", "ana", "--json"])
        assert json.loads(made.stdout)["number"] == 1
        assert json.loads(RUN.invoke(app, ["plan", path, "--json"]).stdout) == {"against": 1, "changes": []}
        (listed,) = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)
        assert listed["effective_from"] == "2025-12-31T23:00:00+00:00"
        assert json.loads(RUN.invoke(app, ["show", "1", "--json"]).stdout)["tariffs"] == "basic"
    finally:
        monkeypatch.undo()
        settings.cache_clear()
