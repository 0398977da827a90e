"""The command line: one file in `commands/` for each group. Groups load only when called, so `--help` is quick."""

from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

from millicent import __version__
from millicent.kit.errors import MillicentError

# command -> (module under millicent.config.commands, one line of help). The module has `app`, a typer.Typer.
COMMANDS = {
    "demo": ("demo", "A month of network records becomes bills, on this machine."),
    "up": ("up", "Start the stores and keep them running; serve metrics."),
    "doctor": ("doctor", "Check this installation and say what to mend."),
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
    "ledger": ("ledger", "Trial balance, entries, and proof of the hash chain."),
    "bench": ("bench", "Measure rating, mediation and billing on this machine."),
    "docs": ("docs", "Write the reference pages from the code."),
}


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
            module, help_text = COMMANDS[str(name)]
            command = typer.main.get_command(import_module(f"millicent.config.commands.{module}").app)
            command.name, command.help = name, command.help or help_text
        return name, command, rest


class _Placeholder(typer.core.TyperCommand):
    """Stands for a command in the help listing without importing it."""

    def __init__(self, name: str, help_text: str) -> None:
        super().__init__(name=name, help=help_text, callback=lambda: None)


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help="Convergent telecom billing, exact to the last digit.")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        typer.echo(f"millicent {__version__}")
        raise typer.Exit


def main() -> None:
    """Run one command. A MillicentError becomes one clear line and its exit status; see docs/reference/errors.md."""
    try:
        app(standalone_mode=True)
    except MillicentError as error:
        typer.echo(f"millicent: {error} [{error.code}]", err=True)
        raise SystemExit(error.exit_status) from None
