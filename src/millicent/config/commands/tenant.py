"""`millicent tenant`: one installation serves several operators, kept apart by PostgreSQL itself."""

import typer

from millicent.config.output import JSON_OPTION, show_record, show_table

app = typer.Typer(help="Add and list tenants.", no_args_is_help=True)


@app.command()
def add(
    code: str = typer.Argument(help="Short code: lower-case letters, digits and dashes."),
    name: str = typer.Option("", help="The operator's name."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a tenant. One that is already there is left as it is."""
    from millicent.config.setup import open_stores, tenant_id_of

    _check_code(code)
    open_stores()
    tenant_id = tenant_id_of(code, create=True)
    from millicent.kit.models import Tenant

    if name:
        Tenant.objects.filter(id=tenant_id).update(name=name)
    show_record("Tenant", {"code": code, "id": str(tenant_id)}, as_json=as_json)


@app.command("list")
def list_tenants(as_json: bool = JSON_OPTION) -> None:
    """Every tenant of this installation."""
    from millicent.config.setup import open_stores

    open_stores()
    from millicent.kit.models import Tenant

    rows = [(tenant.code, tenant.name, str(tenant.id)) for tenant in Tenant.objects.order_by("code")]
    show_table("Tenants", ("code", "name", "id"), rows, as_json=as_json)


def _check_code(code: str) -> None:
    import re

    from millicent.kit.errors import BadInput

    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", code) is None:
        raise BadInput(f"{code!r} is not a tenant code", where="code", cure="Use lower-case letters, digits, dashes.")
