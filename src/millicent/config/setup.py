"""What a command does before it touches a store: Django, migrations, the role guard, the tenant, the lake."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from millicent.config.settings import settings
from millicent.kit.errors import BadInput, Outage, Refusal

if TYPE_CHECKING:
    from millicent.kit.lake import Lake

_MIGRATIONS_LOCK = 7_261_002
_opened = False


class MigrationsPending(Refusal):
    """The tables are older than this program. Only the owner role may change them: run `millicent migrate`."""

    code = "migrations_pending"


class OwnerNeeded(Refusal):
    """This command changes tables and MILLICENT_OWNER_DATABASE_URL is not set."""

    code = "owner_database_url_needed"


class UnknownTenant(Refusal):
    """No tenant has this code."""

    code = "unknown_tenant"


def open_stores(*, migrate: bool = False) -> None:
    """Start or find PostgreSQL, see that its tables are current, refuse a role that could bypass row security.

    With the embedded server the tables are brought up to date by themselves. With a server of yours that needs the
    owner role, which an ordinary process should not have: it is refused until `millicent migrate` has run. `migrate`
    asks for it here. When nothing is pending this costs two queries.
    """
    global _opened
    if _opened:
        return
    prepare_django()
    from millicent.config.django import DATABASE_URLS as urls
    from millicent.kit.postgres import refuse_privileged_role

    refuse_privileged_role(urls.application)
    pending = pending_changes()
    if pending and not migrate and settings().database_url:
        raise MigrationsPending(
            f"the tables in the database are not current ({len(pending)} changes, first {pending[0]}). "
            "Run `millicent migrate` with MILLICENT_OWNER_DATABASE_URL set",
            pending=pending,
        )
    if pending:
        migrate_tables()
        refuse_privileged_role(urls.application)
    _opened = True


def prepare_django() -> None:
    """Load Django and the tables' models; starts the embedded server when no URL is given."""
    _make_private_home(settings().home_path)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "millicent.config.django")
    import django

    django.setup()


def _make_private_home(home: Path) -> None:
    """Customers' records will lie here: until a store stands in it, others may pass the folder, not list it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        cure = "Choose a folder that you may write to."
        raise BadInput(f"{home} cannot be made: {wrong.strerror}", where="MILLICENT_HOME", cure=cure) from None
    if not any((home / store).exists() for store in ("postgres", "lake")) and home.stat().st_uid == os.geteuid():
        home.chmod(home.stat().st_mode & ~0o066)


def pending_changes() -> list[str]:
    """Migrations not yet applied, and tables without their protection; asked as the application role."""
    from django.db import OperationalError, ProgrammingError, connection
    from django.db.migrations.loader import MigrationLoader

    from millicent.kit.tenancy import unprotected_tables

    names = sorted(f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app || '.' || name FROM django_migrations")
            applied = {name for (name,) in cursor.fetchall()}
        return [name for name in names if name not in applied] or unprotected_tables()
    except ProgrammingError:  # a new database: no such table, or not granted yet
        return names
    except OperationalError as silence:
        raise Outage(f"PostgreSQL does not answer: {silence}") from silence


def migrate_tables() -> None:
    """Apply what is pending as the owner role and protect every table. Two processes at once: one waits."""
    prepare_django()
    from django.core.management import call_command
    from django.db import connections

    from millicent.kit.tenancy import protect_tables

    if "owner" not in connections:
        raise OwnerNeeded("changing tables needs the owner role: set MILLICENT_OWNER_DATABASE_URL")
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATIONS_LOCK])
        try:
            call_command("migrate", database="owner", verbosity=0, interactive=False)
            protect_tables(application_role=connections["default"].settings_dict["USER"])
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATIONS_LOCK])
    connections["owner"].close()


def tenant_id_of(code: str, *, create: bool = False) -> UUID:
    """Find the tenant. The default one is made on first use; any other only when asked to, so a slip makes none."""
    from millicent.config.settings import Settings
    from millicent.kit.clock import system_now
    from millicent.kit.models import Tenant

    if create or code == Settings().tenant:
        tenant, _ = Tenant.objects.get_or_create(code=code, defaults={"created_at": system_now()})
        return UUID(str(tenant.id))
    found = Tenant.objects.filter(code=code).values_list("id", flat=True).first()
    if found is None:
        raise UnknownTenant(f"there is no tenant {code!r}. `millicent tenant add {code}` makes it", tenant=code)
    return UUID(str(found))


@contextmanager
def tenant_work(*, create: bool = False) -> Iterator[UUID]:
    """One transaction for the configured tenant, with the stores open."""
    open_stores()
    from millicent.kit.tenancy import tenant_scope

    tenant_id = tenant_id_of(settings().tenant, create=create)
    with tenant_scope(tenant_id):
        yield tenant_id


def tenant_lake(tenant_id: UUID) -> "Lake":
    """The lake of one tenant: its own folder under the root, so no scan can cross tenants."""
    from millicent.kit.lake import Lake

    chosen = settings()
    return Lake(root=f"{chosen.lake_root.rstrip('/')}/{tenant_id}", storage_options=chosen.storage_options)
