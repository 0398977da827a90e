"""How every command ends: its exit status, one clear line, nothing on standard output that is not asked for."""

import json
import os
import signal
import subprocess
import sys

import pytest

from millicent import __version__

RAISE = """
import sys
from millicent.config import cli
from millicent.kit import errors
def fail(*_, **__):
    raise {error}
cli.app = fail
sys.argv = ["millicent", *{arguments!r}]
cli.main()
"""


def millicent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "millicent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def raising(error: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RAISE.format(error=error, arguments=list(arguments))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_version_is_printed():
    done = millicent("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"millicent {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["doctor", "--no-such-option"], ["backup"], ["up", "--port", "many"]]
)
def test_a_wrong_command_line_ends_with_2_and_says_so_on_standard_error(arguments):
    done = millicent(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Error" in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            "errors.BadInput('no such zone', where='a.yaml:3', cure='Use EU.')",
            2,
            "a.yaml:3: no such zone. Use EU. [bad_input]",
        ),
        ("errors.Refusal('not today')", 3, "not today [refused]"),
        ("errors.Outage('no answer')", 4, "no answer [outage]"),
        ("errors.Defect('two sums differ')", 70, "two sums differ [defect]"),
    ],
)
def test_each_family_of_errors_has_its_status_and_one_line(error, status, said):
    done = raising(error)

    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"millicent: {said}\n")


def test_with_json_an_error_is_one_document():
    done = raising("errors.Refusal('not today', day=3)", "bill", "--json")

    assert done.returncode == 3
    assert json.loads(done.stderr) == {"error": {"code": "refused", "message": "not today", "facts": {"day": 3}}}


def test_an_unexpected_error_is_a_defect_without_a_traceback():
    done = raising("KeyError('x')")

    assert done.returncode == 70
    assert "unexpected KeyError: 'x'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_went_away_is_an_outage():
    assert raising("__import__('psycopg').OperationalError('gone')").returncode == 4


def test_debug_shows_where_it_happened():
    program = (
        "import sys\n"
        "from millicent.config import cli, setup\n"
        "setup.open_stores = lambda: {}['x']\n"
        "sys.argv = ['millicent', '--debug', 'tenant', 'list']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'x'" in done.stderr


def test_a_home_that_cannot_be_made_is_named_with_its_setting(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be")

    done = millicent("tenant", "list", MILLICENT_HOME=str(tmp_path / "home"))

    assert done.returncode == 2
    assert done.stderr == (
        f"millicent: MILLICENT_HOME: {tmp_path}/home cannot be made: File exists. "
        "Choose a folder that you may write to. [bad_input]\n"
    )


def test_a_wrong_setting_ends_with_2():
    done = millicent("doctor", MILLICENT_WORKERS="two")

    assert done.returncode == 2
    assert done.stderr.startswith("millicent: MILLICENT_WORKERS: 'two' is not a whole number")


def test_an_unknown_tenant_is_refused_and_not_made(tmp_path):
    from millicent.config.setup import UnknownTenant, tenant_id_of
    from millicent.kit.models import Tenant

    with pytest.raises(UnknownTenant) as refusal:
        tenant_id_of("nobody-here")

    assert refusal.value.facts == {"tenant": "nobody-here"}
    assert not Tenant.objects.filter(code="nobody-here").exists()
    assert tenant_id_of("somebody-here", create=True) == tenant_id_of("somebody-here")


def test_a_reader_that_goes_away_leaves_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "millicent", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


WAIT = """
import sys, time
from millicent.config import cli
cli.load_command = lambda *_: print("ready", flush=True) or time.sleep(60)
sys.argv = ["millicent", "doctor"]
cli.main()
"""


def test_ctrl_c_ends_with_130():
    command = [sys.executable, "-c", WAIT]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)

    assert running.returncode == 130


def test_no_colour_is_sent_where_none_is_wanted():
    assert "\x1b" not in millicent("--help", NO_COLOR="1").stdout
    assert "\x1b" not in millicent("tenant", "--help").stdout


def test_without_a_terminal_nobody_is_asked():
    from millicent.config.output import confirm
    from millicent.kit.errors import BadInput

    with pytest.raises(BadInput, match="Add --yes"):
        confirm("Really?", yes=False)
    confirm("Really?", yes=True)


def test_texts_of_customers_are_never_read_as_markup(capsys):
    from millicent.config import output

    output.show_table("T", ("name",), [("[red]x[/red]",)], as_json=False)

    assert "[red]x[/red]" in capsys.readouterr().out
