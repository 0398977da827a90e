"""What `millicent doctor` looks at. Each check ends in findings: ok, warn or fail, with a cure for the last two.

A check never raises and never changes anything but starting the embedded server.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from importlib import metadata

from millicent.config.settings import Settings, unknown_variables
from millicent.kit.errors import MillicentError

LEAST_FREE_BYTES = 2 * 1024**3
COMFORTABLE_FREE_BYTES = 20 * 1024**3


@unique
class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check saw. `cure` is what to do about it, "" when all is well."""

    level: Level
    what: str
    found: str
    cure: str = ""


Check = Callable[[Settings], Iterable[Finding]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check in order; one that breaks is itself a finding."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except MillicentError as error:
            yield Finding(
                level=Level.FAIL, what=check.__name__, found=error.message, cure=f"See {error.code} in the docs."
            )
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            yield Finding(level=Level.FAIL, what=check.__name__, found=found, cure="Please report this as a defect.")


def _finding(well: bool, what: str, found: str, cure: str, *, otherwise: Level = Level.FAIL) -> Finding:
    return Finding(level=Level.OK if well else otherwise, what=what, found=found, cure="" if well else cure)


def python(_: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield _finding(
        (3, 11) <= sys.version_info[:2] < (3, 14),
        "Python",
        found,
        "Use Python 3.11, 3.12 or 3.13: make setup PYTHON=...",
    )


def packages(_: Settings) -> Iterator[Finding]:
    """The versions that decide about amounts and stores."""
    names = ("django", "psycopg", "numba", "numpy", "polars", "deltalake", "pyarrow", "typst", "tzdata")
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if not version]
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    yield _finding(not missing, "packages", found, "Run `make setup` again: it installs what requirements.lock names.")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def variables(_: Settings) -> Iterator[Finding]:
    unknown = unknown_variables(os.environ)
    yield _finding(
        not unknown,
        "settings",
        f"unknown variables {', '.join(unknown)}" if unknown else "every MILLICENT_ variable is known",
        "Correct their names: docs/reference/settings.md lists them all.",
        otherwise=Level.WARN,
    )


def home(settings: Settings) -> Iterator[Finding]:
    folder = settings.home_path
    folder.mkdir(parents=True, exist_ok=True)
    writable = os.access(folder, os.W_OK)
    yield _finding(writable, "home folder", str(folder), "Make it writable, or choose another with MILLICENT_HOME.")
    free = shutil.disk_usage(folder).free
    level = Level.FAIL if free < LEAST_FREE_BYTES else Level.WARN
    well = free >= COMFORTABLE_FREE_BYTES
    yield _finding(well, "disk space", f"{free // 1024**2:,} MiB free", "Free some, or move the home.", otherwise=level)


def database(settings: Settings) -> Iterator[Finding]:
    from millicent.config import setup

    setup.prepare_django()
    from millicent.config.django import DATABASE_URLS
    from millicent.kit.postgres import connect, refuse_privileged_role, without_password

    url = DATABASE_URLS.application
    with connect(url) as connection:
        version = connection.info.server_version
        shown = {name: _server_setting(connection, name) for name in _SERVER_SETTINGS}
    found = f"PostgreSQL {version // 10_000}.{version % 10_000} at {without_password(url)}"
    yield _finding(version >= 150_000, "database", found, "Use PostgreSQL 15 or newer.")
    refuse_privileged_role(url)
    yield Finding(level=Level.OK, what="database role", found="owns nothing and cannot bypass row security")
    for name, (wanted, cure, level) in _SERVER_SETTINGS.items():
        yield _finding(shown[name] == wanted, f"database {name}", shown[name], cure, otherwise=level)
    pending = setup.pending_changes()
    yield _finding(
        not pending,
        "tables",
        f"{len(pending)} changes pending" if pending else "current",
        "Run `millicent migrate`." if settings.database_url else "Nothing to do: the next command applies them.",
        otherwise=Level.FAIL if settings.database_url else Level.WARN,
    )
    if not pending:
        yield from row_security()


_SERVER_SETTINGS = {
    "fsync": ("on", "Turn it on: without it a power cut loses issued bills.", Level.FAIL),
    "full_page_writes": ("on", "Turn it on: without it a power cut can tear pages.", Level.FAIL),
    "synchronous_commit": ("on", "Turn it on: a confirmed payment must not be lost.", Level.WARN),
    "data_checksums": ("on", "Enable them with pg_checksums: they find a failing disk.", Level.WARN),
}


def _server_setting(connection: object, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()  # type: ignore[attr-defined]
    return str(row[0])


def row_security() -> Iterator[Finding]:
    """Every tenant table keeps tenants apart, and no view undermines it."""
    from django.apps import apps
    from django.db import connection

    from millicent.kit.tenancy import TenantTable, leaking_views, unprotected_tables

    count = sum(issubclass(model, TenantTable) for model in apps.get_models())
    faults = unprotected_tables() + leaking_views()
    connection.close()
    found = f"not protected: {', '.join(faults)}" if faults else f"forced on all {count} tenant tables"
    yield _finding(not faults, "row security", found, "Run `millicent migrate`; report views as a defect.")


def lake(settings: Settings) -> Iterator[Finding]:
    from millicent.config.stores import lake_files, lake_state, lake_tables

    state = lake_state(settings)
    yield _finding(state == "ok", "lake", f"{settings.lake_root}: {state}", "Check MILLICENT_LAKE and its credentials.")
    if state != "ok":
        return
    from deltalake import DeltaTable

    torn = []
    tables = list(lake_tables(lake_files(settings)))
    for table in tables:
        try:
            DeltaTable(f"{settings.lake_root}/{table}", storage_options=settings.storage_options or None)
        except Exception:
            torn.append(table)
    found = f"cannot be read: {', '.join(torn)}" if torn else f"{len(tables)} tables can be read"
    yield _finding(not torn, "lake tables", found, "Restore them from a backup.")


def kernels(settings: Settings) -> Iterator[Finding]:
    from millicent.config.warming import pricing_loop_is_compiled

    well = pricing_loop_is_compiled(settings.kernel_cache_path)
    yield _finding(
        well,
        "kernels",
        f"compiled and kept in {settings.kernel_cache_path}" if well else "the pricing loop is not compiled yet",
        "Run `millicent doctor --warm`, or let the first pricing wait for it: a minute, once for each version.",
        otherwise=Level.WARN,
    )


def time_zones(_: Settings) -> Iterator[Finding]:
    from zoneinfo import available_timezones

    count = len(available_timezones())
    yield _finding(count > 400, "time zones", f"{count} zones, tzdata {_version('tzdata')}", "Install tzdata.")


def fonts(_: Settings) -> Iterator[Finding]:
    """Bills are set in fonts that the wheel of typst brings: no font of the machine is needed."""
    import typst

    document = typst.compile(b'#set text(font: "Libertinus Serif")\nMillicent')
    well = isinstance(document, bytes) and document.startswith(b"%PDF")
    yield _finding(well, "documents", "typst sets a page with its own fonts", "Install typst again: make setup.")


CHECKS: tuple[Check, ...] = (python, packages, variables, home, database, lake, kernels, time_zones, fonts)
