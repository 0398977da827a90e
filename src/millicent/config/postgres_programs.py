"""pg_dump and pg_restore: the wheel's own, which serve servers up to 18. A password is never an argument."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg.conninfo import conninfo_to_dict

from millicent.kit.embedded import programs_folder
from millicent.kit.errors import Outage
from millicent.kit.postgres import without_password


class ProgramFailed(Outage):
    """pg_dump or pg_restore ended with an error."""

    code = "database_program_failed"


def dump_database(url: str, *, snapshot: str, target: Path) -> None:
    """Everything in the database as of an exported snapshot. Owners and grants stay out: a restore makes its own."""
    _run(
        "pg_dump",
        *("--format=custom", "--no-owner", "--no-privileges", "--schema=public"),
        *(f"--snapshot={snapshot}", f"--file={target}"),
        url=url,
    )


def restore_database(url: str, *, source: Path) -> None:
    """Bring a dump back into an empty database, all of it or nothing, on any server from version 15 on.

    pg_restore 18 sets a parameter that servers before 17 do not know, so its script goes through our hands.
    """
    with TemporaryDirectory(prefix="millicent-restore-") as folder:
        script, fitting = Path(folder) / "script.sql", Path(folder) / "fitting.sql"
        _run("pg_restore", f"--file={script}", *_RESTORING, str(source))
        with script.open("rb") as whole, fitting.open("wb") as kept:
            kept.writelines(
                line for number, line in enumerate(whole) if number >= _HEADER_LINES or line != _UNKNOWN_BEFORE_17
            )
        script.unlink()
        arguments = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
        _run("psql", *arguments, f"--file={fitting}", url=url)


_RESTORING = ("--no-owner", "--no-privileges", "--clean", "--if-exists")
_HEADER_LINES = 60  # settings stand before the first row of a table
_UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;\n"


def _run(program: str, *arguments: str, url: str = "") -> None:
    password = conninfo_to_dict(url).get("password")
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    server = [f"--dbname={without_password(url)}"] if url else []
    done = subprocess.run(
        [str(programs_folder() / program), *server, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"{program} ended with {done.returncode}: {done.stderr.strip()[:2000]}")
