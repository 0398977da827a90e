"""Logs: one line each on standard error, nothing forged, nobody named."""

import json
import logging
import sys

import pytest
import structlog

from millicent.config.logs import HIDDEN, configure_logs


@pytest.fixture(autouse=True)
def logs_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines_of(capsys) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_json_logs_are_one_object_a_line(capsys):
    configure_logs(log_format="json", log_level="info")

    structlog.get_logger("millicent.mediation").info("file collected", accepted=98, suspended=2)

    (line,) = lines_of(capsys)
    logged = json.loads(line)
    assert logged.pop("timestamp").endswith("Z")
    assert logged == {
        "event": "file collected",
        "accepted": 98,
        "suspended": 2,
        "level": "info",
        "logger": "millicent.mediation",
    }


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_record_cannot_forge_a_line(capsys, log_format):
    configure_logs(log_format=log_format, log_level="info")

    structlog.get_logger("millicent.mediation").warning("bad record", where="x\n2026 level=error event=x\r\x1b[31m")

    (line,) = lines_of(capsys)
    assert "\x1b" not in line
    assert r"x\n2026 level=error" in line.replace("\\\\", "\\")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_persons_are_not_named(capsys, log_format):
    configure_logs(log_format=log_format, log_level="info")

    structlog.get_logger("millicent.customers").info("moved", msisdn="33612345678", email="a@b.example", count=1)

    (line,) = lines_of(capsys)
    assert "33612345678" not in line
    assert "a@b.example" not in line
    assert line.count(HIDDEN) == 2


def test_a_traceback_is_one_line_too(capsys):
    configure_logs(log_format="json", log_level="info")

    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger("millicent.works").exception("work failed")

    (line,) = lines_of(capsys)
    assert "ValueError: odd" in json.loads(line)["exception"]


def test_libraries_go_the_same_road_and_the_level_counts_for_all(capsys):
    configure_logs(log_format="json", log_level="warning")

    logging.getLogger("django").info("quiet")
    logging.getLogger("django").warning("loud\nline")
    structlog.get_logger("millicent.x").info("quiet")

    (line,) = lines_of(capsys)
    assert json.loads(line)["event"] == r"loud\nline"


def test_logs_never_touch_standard_output(capsys):
    configure_logs(log_format="console", log_level="debug")
    structlog.get_logger("millicent.x").debug("hello")

    assert sys.stdout is not None
    assert len(lines_of(capsys)) == 1
