"""URLs, and the guard that keeps a process with too many rights from starting."""

import secrets

import psycopg
import pytest
from psycopg import sql
from tests.kit.builders import admin_url

from millicent.config.django import DATABASE_URLS
from millicent.kit.postgres import (
    DatabaseSilent,
    PrivilegedRole,
    connect,
    refuse_privileged_role,
    url_for,
    without_password,
)

CURE = "Millicent will not start with it. Use a role made with: CREATE ROLE millicent_app LOGIN NOSUPERUSER NOBYPASSRLS"


@pytest.fixture
def make_role():
    """Make a role with the given rights; gives its name and URL."""
    made = []

    def make(rights: str) -> tuple[str, str]:
        name, password = f"test_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(admin_url(), autocommit=True) as admin:
            parts = (sql.Identifier(name), sql.Literal(password))
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} " + rights).format(*parts))
        made.append(name)
        return name, url_for(admin_url(), user=name, password=password)

    yield make
    with psycopg.connect(admin_url(), autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("rights", "fault"),
    [
        ("SUPERUSER NOBYPASSRLS", "is a superuser"),
        ("SUPERUSER BYPASSRLS", "is a superuser and bypasses row security"),
        ("NOSUPERUSER BYPASSRLS", "bypasses row security"),
        ("NOSUPERUSER CREATEROLE", "may create roles"),
        ("NOSUPERUSER REPLICATION", "may replicate"),
    ],
)
def test_a_role_that_could_see_other_tenants_is_refused(make_role, rights, fault):
    name, url = make_role(rights)

    with pytest.raises(PrivilegedRole) as refusal:
        refuse_privileged_role(url)

    assert str(refusal.value) == f"the application role {name} {fault}; {CURE}"
    assert refusal.value.facts["role"] == name


def test_the_owner_of_the_tables_and_its_members_are_refused(make_role):
    with connect(DATABASE_URLS.owner) as connection:
        owner = connection.info.user
    name, url = make_role(f'IN ROLE "{owner}"')

    for role, role_url in ((owner, DATABASE_URLS.owner), (name, url)):
        with pytest.raises(PrivilegedRole) as refusal:
            refuse_privileged_role(role_url)
        assert str(refusal.value) == f"the application role {role} owns tables; {CURE}"


def test_the_application_role_is_accepted():
    refuse_privileged_role(DATABASE_URLS.application)


def test_a_silent_server_is_an_outage_that_can_be_tried_again(tmp_path):
    with pytest.raises(DatabaseSilent), connect(f"postgresql://nobody@/none?host={tmp_path}"):
        pass


def test_a_url_keeps_its_host_and_parameters_for_another_role_and_database():
    url = "postgresql://boss:secret@db.example:5433/main?sslmode=require"

    assert url_for(url, database="b/c", user="a@b", password="p/w") == (
        "postgresql://a%40b:p%2Fw@db.example:5433/b%2Fc?sslmode=require"
    )
    assert url_for(url, database="other") == "postgresql://boss:secret@db.example:5433/other?sslmode=require"
    assert url_for("postgresql:///main?host=/run/pg", user="app") == "postgresql://app@/main?host=/run/pg"


def test_a_url_is_shown_without_its_password():
    assert without_password("postgresql://app:secret@h:5/db?sslmode=require&password=x") == (
        "postgresql://app@h:5/db?sslmode=require"
    )
    assert without_password("postgresql://app@/db?host=/run/pg") == "postgresql://app@/db?host=/run/pg"
