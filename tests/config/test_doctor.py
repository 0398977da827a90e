"""`millicent doctor` says what is well, what is not, and what to do about it."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from millicent.config import doctor
from millicent.config.doctor import Finding, Level, examine
from millicent.config.settings import Settings
from millicent.kit.errors import Outage


def findings_of(check, settings=None) -> dict[str, Finding]:
    return {each.what: each for each in check(settings or Settings())}


def test_a_sound_installation_has_no_failure():
    done = subprocess.run(
        [sys.executable, "-m", "millicent", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    findings = {each["what"]: each for each in json.loads(done.stdout)}

    assert done.returncode == 0, done.stdout
    assert {name for name, each in findings.items() if each["level"] == "fail"} == set()
    for what in ("Python", "packages", "home folder", "database", "database role", "row security", "lake", "documents"):
        assert findings[what]["level"] == "ok"
    assert all(each["cure"] for each in findings.values() if each["level"] != "ok")


def test_a_failing_disk_setting_is_a_failure_with_its_cure(monkeypatch):
    monkeypatch.setattr(doctor, "_server_setting", lambda _, name: "off")

    found = findings_of(doctor.database)

    assert found["database fsync"].level is Level.FAIL
    assert found["database fsync"].cure == "Turn it on: without it a power cut loses issued bills."
    assert found["database data_checksums"].level is Level.WARN


def test_a_full_disk_is_a_failure_and_a_filling_one_a_warning(monkeypatch, tmp_path):
    settings = Settings(home=str(tmp_path))
    for free, level in ((doctor.LEAST_FREE_BYTES - 1, Level.FAIL), (doctor.LEAST_FREE_BYTES, Level.WARN)):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert findings_of(doctor.home, settings)["disk space"].level is level


def test_a_misspelt_setting_is_a_warning(monkeypatch):
    monkeypatch.setitem(os.environ, "MILLICENT_HOEM", "/x")

    found = findings_of(doctor.variables)["settings"]

    assert (found.level, found.found) == (Level.WARN, "unknown variables MILLICENT_HOEM")


def test_a_torn_lake_table_is_named(tmp_path):
    settings = Settings(home=str(tmp_path))
    log = tmp_path / "lake" / "tenant" / "usage" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text('{"commitInfo": {')

    found = findings_of(doctor.lake, settings)["lake tables"]

    assert (found.level, found.found) == (Level.FAIL, "cannot be read: tenant/usage")


@pytest.mark.parametrize("error", [Outage("nobody answers"), KeyError("odd")])
def test_a_check_that_breaks_is_itself_a_finding(monkeypatch, error):
    def broken(_):
        raise error

    monkeypatch.setattr(doctor, "CHECKS", (broken, doctor.python))

    found = list(examine(Settings()))

    assert [each.level for each in found] == [Level.FAIL, Level.OK]
    assert found[0].what == "broken"


def test_a_loop_that_is_not_compiled_is_a_warning_that_says_how_to_compile_it(tmp_path):
    found = findings_of(doctor.kernels, Settings(home=str(tmp_path)))["kernels"]

    assert (found.level, found.found) == (Level.WARN, "the pricing loop is not compiled yet")
    assert "`millicent doctor --warm`" in found.cure


def test_the_loop_of_another_version_does_not_count_as_compiled(tmp_path):
    other = tmp_path / "cache" / "kernels" / "0123456789abcdef" / "kernel"
    other.mkdir(parents=True)
    (other / "price.price_charges-290.py311.1.nbc").touch()

    assert findings_of(doctor.kernels, Settings(home=str(tmp_path)))["kernels"].level is Level.WARN
