"""pg_dump and pg_restore: the wheel's own, which serve servers up to 18. A password is never an argument."""

import os
import subprocess
from pathlib import Path

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
        url,
        *("--format=custom", "--no-owner", "--no-privileges", "--schema=public"),
        *(f"--snapshot={snapshot}", f"--file={target}"),
    )


def restore_database(url: str, *, source: Path) -> None:
    """Bring a dump back into an empty database, all of it or nothing."""
    _run(
        "pg_restore",
        url,
        *("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", "--clean", "--if-exists"),
        str(source),
    )


def _run(program: str, url: str, *arguments: str) -> None:
    password = conninfo_to_dict(url).get("password")
    environment = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
    done = subprocess.run(
        [str(programs_folder() / program), f"--dbname={without_password(url)}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"{program} ended with {done.returncode}: {done.stderr.strip()[:2000]}")
