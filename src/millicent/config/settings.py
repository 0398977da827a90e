"""Every setting in one table: name, type, default, help. Read once at start, frozen, documented from here.

Prices and taxes are catalogue content, never settings.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from millicent.kit.errors import BadInput


def _setting(environment: str, default: str | int, help_text: str, *, choices: Sequence[str] = ()) -> Any:
    """Declare one setting; the default also gives its type."""
    return field(default=default, metadata={"environment": environment, "help": help_text, "choices": tuple(choices)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may choose about an installation. See docs/reference/settings.md, made from this table."""

    home: str = _setting("MILLICENT_HOME", "~/.millicent", "Folder of everything local: database, lake, caches.")
    database_url: str = _setting(
        "MILLICENT_DATABASE_URL",
        "",
        "PostgreSQL 15+ URL of the application role. Empty: the PostgreSQL inside the wheel, under the home folder.",
    )
    owner_database_url: str = _setting(
        "MILLICENT_OWNER_DATABASE_URL",
        "",
        "URL of the role that owns the tables. Only `millicent migrate` and `millicent restore` need it, "
        "and only when MILLICENT_DATABASE_URL is set.",
    )
    backup_database_url: str = _setting(
        "MILLICENT_BACKUP_DATABASE_URL",
        "",
        "URL of a role that may read every tenant's rows (BYPASSRLS and pg_read_all_data). Only `millicent backup` "
        "needs it, and only when MILLICENT_DATABASE_URL is set.",
    )
    lake: str = _setting("MILLICENT_LAKE", "", "Delta Lake root: a folder or an object-store URL. Empty: HOME/lake.")
    lake_options: str = _setting(
        "MILLICENT_LAKE_OPTIONS",
        "",
        'Options of the object store as a JSON object, such as {"AWS_ENDPOINT_URL": "https://..."}. '
        "The store's own environment variables (AWS_REGION ...) count too.",
    )
    tenant: str = _setting("MILLICENT_TENANT", "main", "Code of the tenant that commands work for.")
    workers: int = _setting("MILLICENT_WORKERS", 0, "Local worker processes for batch work. 0: one for each core.")
    http_port: int = _setting("MILLICENT_HTTP_PORT", 9464, "Port of /metrics and /healthz, on 127.0.0.1 only.")
    notifications: str = _setting(
        "MILLICENT_NOTIFICATIONS",
        "log",
        "Where notifications to customers go: log, file:PATH (one JSON object a line) or the address of a webhook.",
    )
    log_format: str = _setting(
        "MILLICENT_LOG_FORMAT", "console", "Logs go to standard error.", choices=("console", "json")
    )
    log_level: str = _setting(
        "MILLICENT_LOG_LEVEL",
        "warning",
        "The least severe log line that is written.",
        choices=("debug", "info", "warning", "error"),
    )

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().resolve()

    @property
    def lake_root(self) -> str:
        return self.lake or str(self.home_path / "lake")

    @property
    def kernel_cache_path(self) -> Path:
        return self.home_path / "cache" / "kernels"

    @property
    def storage_options(self) -> dict[str, str]:
        return {str(key): str(option) for key, option in json.loads(self.lake_options or "{}").items()}

    @property
    def worker_count(self) -> int:
        return self.workers or os.cpu_count() or 1


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables; a wrong one is named with its variable."""
    chosen = {
        each.name: _parse(environment[name], name=name, default=each.default, choices=each.metadata["choices"])
        for each in fields(Settings)
        if (name := each.metadata["environment"]) in environment
    }
    _check_lake_options(str(chosen.get("lake_options", "")))
    return Settings(**chosen)  # type: ignore[arg-type] # each has the type of its default


def _parse(text: str, *, name: str, default: object, choices: Sequence[str]) -> str | int:
    if isinstance(default, int):
        if not (text.isascii() and text.isdigit()):
            raise BadInput(f"{text!r} is not a whole number", where=name, cure="Unset it to use the default.")
        return int(text)
    if choices and text not in choices:
        raise BadInput(f"{text!r} is not one of {', '.join(choices)}", where=name, cure="Unset it to use the default.")
    return text


def _check_lake_options(text: str) -> None:
    try:
        correct = isinstance(json.loads(text or "{}"), dict)
    except ValueError:
        correct = False
    if not correct:  # the text is not repeated: it may hold a secret
        raise BadInput("not a JSON object", where="MILLICENT_LAKE_OPTIONS", cure='Write {"NAME": "value", ...}.')


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and are not: most often a slip of the pen. `doctor` warns about them."""
    known = {each.metadata["environment"] for each in fields(Settings)}
    return sorted(
        name for name in environment if name.startswith("MILLICENT_") and name not in known and "_TEST_" not in name
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    return read_settings(os.environ)
