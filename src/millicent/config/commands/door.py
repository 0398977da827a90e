"""`millicent door`: radius, http, password, token."""

import os
import signal
import sys
from threading import Event

import typer

from millicent.config.output import JSON_OPTION, say, show_record
from millicent.config.setup import tenant_work
from millicent.kit.clock import system_now
from millicent.kit.errors import BadInput

app = typer.Typer(no_args_is_help=True, help="Doors to the network: workers, passwords, tokens.")


@app.command("radius")
def radius() -> None:
    """Run the workers that HOME/doors/TENANT/radius.yaml declares, until SIGTERM or Ctrl-C."""
    from millicent.config.settings import settings
    from millicent.config.setup import prepare_django

    prepare_django()
    from millicent.network.radius.starting import declared_radius

    declared = declared_radius(settings().home_path, tenant=settings().tenant)
    _run("radius", count=declared.workers if declared else None)


@app.command("http")
def http() -> None:
    """Run the workers that HOME/doors/TENANT/http.yaml declares, until SIGTERM or Ctrl-C."""
    from millicent.config.settings import settings
    from millicent.config.setup import prepare_django

    prepare_django()
    from millicent.network.http.starting import declared_http

    declared = declared_http(settings().home_path, tenant=settings().tenant)
    _run("http", count=declared.workers if declared else None)


def _run(kind: str, *, count: int | None) -> None:
    from millicent.config.door_workers import run_workers
    from millicent.config.settings import settings

    place = f"{settings().home_path}/doors/{settings().tenant}/{kind}.yaml"
    if count is None:
        raise BadInput("is not there", where=place, cure="Declare the door first.")
    if count == 0:
        raise BadInput("declares no workers: the charging process opens the door", where=place, cure="workers: 2")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    say(f"{count} workers of {kind}")
    run_workers(kind, count=count, stop=stop)
    say("the door is closed")


@app.command("password")
def password(
    user_name: str = typer.Argument(help="The user name of the network: an identifier of kind radius_user."),
    chap: bool = typer.Option(False, "--chap", help="Keep it sealed, not hashed: CHAP needs the password itself."),
    forget: bool = typer.Option(False, "--forget", help="Take it away: nobody of that name comes in."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Set the password with which a subscriber comes on line; asked for, or read from standard input."""
    with tenant_work():
        from millicent.charging.credentials import credential_key
        from millicent.charging.services.set_network_password import forget_network_password, set_network_password
        from millicent.config.settings import settings

        if forget:
            known = forget_network_password(user_name)
            show_record("Password", {"user_name": user_name, "forgotten": known}, as_json=as_json)
            return
        set_network_password(
            user_name,
            password=_password(),
            sealing_key=credential_key(settings().home_path) if chap else None,
            who=os.environ.get("USER", "cli"),
            now=system_now(),
        )
    show_record("Password", {"user_name": user_name, "kept": "sealed" if chap else "hashed"}, as_json=as_json)


def _password() -> str:
    """Asked for where somebody sits, else the first line of standard input: never on the command line."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\n")


@app.command("token")
def token(
    name: str = typer.Argument(help="The application: small letters, digits, dots and dashes."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a token for an application of the charging API. Only its hash goes into http.yaml."""
    from millicent.network.http.applications import new_token

    made, digest = new_token()
    line = f"{name}: {{token_sha256: {digest}}}"
    show_record("Token", {"token": made, "line_of_http_yaml": line}, as_json=as_json)
