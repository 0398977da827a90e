"""The command line: one file in `commands/` for each group. Groups load only when called, so `--help` is quick.

Exit statuses are stable: 0 done · 1 ended early (aborted, or the reader of our output went away) · 2 what was given is
wrong · 3 the business says no · 4 something we need is silent: try again · 70 a defect of ours · 130 interrupted.
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

from millicent import __version__
from millicent.kit.errors import Defect, MillicentError, Outage

# command -> (module under millicent.config.commands, one line of help). The module has `app`, a typer.Typer.
COMMANDS = {
    "demo": ("demo", "A month of network records becomes bills, on this machine."),
    "up": ("up", "Start the stores and keep them running; watch folders; serve metrics."),
    "doctor": ("doctor", "Check this installation and say what to mend."),
    "migrate": ("migrate", "Bring the tables of the database up to date."),
    "tenant": ("tenant", "Add and list tenants."),
    "backup": ("backup", "Copy both stores to a folder, consistent and checked."),
    "restore": ("restore", "Bring both stores back from a backup folder."),
    "catalog": ("catalog", "Check, plan and release the catalogue."),
    "customers": ("customers", "Import and list parties, billing accounts and subscriptions."),
    "collect": ("collect", "Collect usage records from files, folders or object stores."),
    "suspense": ("suspense", "List, correct, retry and write off records that could not go on."),
    "rate": ("rate", "Price a file of usage with a catalogue folder: no database needed."),
    "quote": ("quote", "Say what one usage would cost."),
    "explain": ("explain", "Say why a charge is what it is, step by step."),
    "bill": ("bill", "Rehearse, release and show bills."),
    "charging": ("charging", "Serve, watch and verify the charging shard: live balances and sessions."),
    "balance": ("balance", "Prepaid balances: show, top up, adjust, transfer, statement."),
    "voucher": ("voucher", "Vouchers: create and print a batch, redeem, block, list."),
    "session": ("session", "Sessions of live charging: list, show, trace, end."),
    "ledger": ("ledger", "Trial balance, entries, and proof of the hash chain."),
    "assurance": ("assurance", "Follow every record and every cent through the stages."),
    "door": ("door", "RADIUS and HTTP workers, passwords of the network, tokens of applications."),
    "bench": ("bench", "Measure rating, mediation and billing on this machine."),
    "docs": ("docs", "Write the reference pages from the code."),
}
_chosen = {"debug": False}


class LazyGroup(typer.core.TyperGroup):
    """Knows every command's name and help; imports its module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """For listings: name and help only, nothing imported."""
        return _Placeholder(cmd_name, COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """For calls: the module is imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, _Placeholder):
            command = load_command(str(name))
        return name, command, rest


class _Placeholder(typer.core.TyperCommand):
    """Stands for a command in the help listing without importing it."""

    def __init__(self, name: str, help_text: str) -> None:
        super().__init__(name=name, help=help_text, callback=lambda: None)


def load_command(name: str) -> Any:
    """Import the module of one command and give its typer command."""
    module, help_text = COMMANDS[name]
    group: typer.Typer = import_module(f"millicent.config.commands.{module}").app
    group._add_completion = False  # completion is installed for `millicent`, not for a part of it
    command: Any = typer.main.get_command(group)
    command.name, command.help = name, command.help or help_text
    return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Convergent telecom billing, exact to the last digit.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an unexpected error."),
) -> None:
    _chosen["debug"] = debug
    if version:
        typer.echo(f"millicent {__version__}")
        raise typer.Exit


def main() -> None:
    """Run one command. An error becomes one clear line and its exit status; see docs/reference/errors.md."""
    try:
        _prepare_process()
        app(standalone_mode=True)
    except MillicentError as error:
        _end_with(error)
    except Exception as error:
        if _chosen["debug"]:
            raise
        _end_with(_as_millicent_error(error))


def _prepare_process() -> None:
    """What must be set before a stage is imported: where kernels are cached, how logs look."""
    from millicent.config.settings import settings

    chosen = settings()
    # numba reads this when it is imported; worker processes inherit it.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(chosen.kernel_cache_path))
    from millicent.kit import notices

    notices.on_kernel_compiling.append(_tell_about_compiling)
    if "logging" in sys.modules or chosen.log_level != "warning":
        from millicent.config.logs import configure_logs

        configure_logs(log_format=chosen.log_format, log_level=chosen.log_level)


def _tell_about_compiling(kernel: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"compiling {kernel} (this machine's first time only) ...\n")


def _as_millicent_error(error: Exception) -> MillicentError:
    """A database that went away is an Outage; whatever else was not expected is a defect of ours."""
    kind = type(error)
    if kind.__name__ in ("OperationalError", "InterfaceError") and kind.__module__.split(".")[0] in (
        "django",
        "psycopg",
    ):
        return Outage(f"PostgreSQL does not answer: {error}")
    return Defect(
        f"unexpected {kind.__name__}: {error}. What was being done was rolled back; `millicent --debug ...` shows where"
    )


def _end_with(error: MillicentError) -> None:
    """One line on standard error (one JSON object where --json was asked for) and the error's exit status."""
    if "--json" in sys.argv:
        facts = {"code": error.code, "message": error.message, "facts": dict(error.facts)}
        typer.echo(json.dumps({"error": facts}, ensure_ascii=False, default=str), err=True)
    else:
        typer.echo(f"millicent: {error} [{error.code}]", err=True)
    raise SystemExit(error.exit_status) from None
