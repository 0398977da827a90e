"""Every setting in one table: name, type, default, help. Read once at start, frozen, documented from here.

Prices and taxes are catalogue content, never settings.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

from millicent.kit.errors import BadInput


def _setting(environment: str, default: str | int, help_text: str) -> str:
    """Declare one setting; the default also gives its type."""
    return field(default=default, metadata={"environment": environment, "help": help_text})  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may choose about an installation. See docs/reference/settings.md, made from this table."""

    home: str = _setting("MILLICENT_HOME", "~/.millicent", "Folder of everything local: database, lake, caches, logs.")
    database_url: str = _setting(
        "MILLICENT_DATABASE_URL",
        "",
        "PostgreSQL 15+ URL of the application role. Empty: the PostgreSQL inside the wheel, under the home folder.",
    )
    owner_database_url: str = _setting(
        "MILLICENT_OWNER_DATABASE_URL",
        "",
        "URL of the role that owns the tables and runs migrations. Needed when MILLICENT_DATABASE_URL is set.",
    )
    lake: str = _setting("MILLICENT_LAKE", "", "Delta Lake root: a folder or an object-store URL. Empty: HOME/lake.")
    tenant: str = _setting("MILLICENT_TENANT", "main", "Code of the tenant that commands work for.")
    workers: int = _setting("MILLICENT_WORKERS", 0, "Local worker processes for batch work. 0: one for each core.")  # type: ignore[assignment]
    log_format: str = _setting("MILLICENT_LOG_FORMAT", "console", "console or json; logs go to standard error.")
    log_level: str = _setting("MILLICENT_LOG_LEVEL", "warning", "debug, info, warning or error.")

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().resolve()

    @property
    def lake_root(self) -> str:
        return self.lake or str(self.home_path / "lake")

    @property
    def worker_count(self) -> int:
        return self.workers or os.cpu_count() or 1


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables; a wrong type is named with its variable."""
    chosen: dict[str, str | int] = {}
    for each in fields(Settings):
        name = each.metadata["environment"]
        if name not in environment:
            continue
        text = environment[name]
        if isinstance(each.default, int):
            if not text.isdigit():
                raise BadInput(f"{text!r} is not a whole number", where=name, cure="Unset it to use the default.")
            chosen[each.name] = int(text)
        else:
            chosen[each.name] = text
    if chosen.get("database_url") and not chosen.get("owner_database_url"):
        raise BadInput(
            "MILLICENT_DATABASE_URL is set, MILLICENT_OWNER_DATABASE_URL is not",
            where="settings",
            cure="Give the owner role's URL too: the application role must not own its tables.",
        )
    return Settings(**chosen)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def settings() -> Settings:
    return read_settings(os.environ)
