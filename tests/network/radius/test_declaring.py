"""radius.yaml: what it may say, and that it never tells a secret."""

from ipaddress import ip_network

import pytest

from millicent.kit.errors import BadInput
from millicent.network.radius.clients import Clients, Profile, Vendor
from millicent.network.radius.declaring import read_radius_settings

ENVIRONMENT = {"TOWER": "a-long-enough-secret", "SHORT": "tooshort"}


def test_clients_profiles_and_ports_are_read(tmp_path):
    (tmp_path / "bras").write_text("another-long-secret\n")
    settings = read_radius_settings(
        f"""
        listen: {{address: 127.0.0.2, authentication_port: 11812}}
        interim_seconds: 120
        clients:
          tower: {{address: 10.1.0.0/24, vendor: mikrotik, secret: {{environment: TOWER}}, coa_port: 1700}}
          bras: {{address: 10.1.0.7, vendor: cisco, message_authenticator: optional,
                 secret: {{file: {tmp_path / "bras"}}}}}
        profiles:
          fibre: {{rate_limit: 50M/600M, throttled_rate_limit: 1M/2M 2M/4M, pool: homes}}
        """,
        environment=ENVIRONMENT,
    )

    assert settings.listen_address == "127.0.0.2"
    assert (settings.authentication_port, settings.accounting_port) == (11812, 1813)
    assert settings.interim_seconds == 120
    assert settings.profiles == {
        "fibre": Profile(rate_limit="50M/600M", throttled_rate_limit="1M/2M 2M/4M", pool="homes")
    }
    clients = Clients(settings.clients)
    tower, bras = clients.at("10.1.0.6"), clients.at("10.1.0.7")
    assert (tower.name, tower.vendor, tower.coa_port, tower.signed_only) == ("tower", Vendor.MIKROTIK, 1700, True)
    assert (bras.name, bras.secret, bras.signed_only) == ("bras", b"another-long-secret", False)
    assert tower.network == ip_network("10.1.0.0/24")
    assert clients.at("10.2.0.1") is None
    assert clients.at("::ffff:10.1.0.7") is bras


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients: {}", "declares no client"),
        ("clients: {a: {address: 10.0.0.1}}", "is not a table"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: NOWHERE}}}", "missing or shorter"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: SHORT}}}", "missing or shorter"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: SHORT, file: x}}}", "says not where"),
        ("clients: {a: {address: ten, secret: {environment: TOWER}}}", "is no address"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: TOWER}, vendor: acme}}", "is no vendor"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: TOWER}, coa_port: 70000}}", "is no port"),
        ("clients: {a: {address: 10.0.0.1, secret: {environment: TOWER}, vender: cisco}}", "does not know 'vender'"),
        ("interim_seconds: 5\nclients: {a: {address: 10.0.0.1, secret: {environment: TOWER}}}", "interim_seconds"),
        (
            "clients: {a: {address: 10.0.0.1, secret: {environment: TOWER}}}\nprofiles: {x: {rate_limit: fast}}",
            "is no rate",
        ),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_with_it(text, said):
    with pytest.raises(BadInput, match=said) as refused:
        read_radius_settings(text, environment=ENVIRONMENT)

    assert not any(secret in str(refused.value) for secret in ENVIRONMENT.values())


def test_a_client_makes_up_so_many_names_and_no_more():
    settings = read_radius_settings(
        "clients: {a: {address: 10.0.0.1, secret: {environment: TOWER}}}", environment=ENVIRONMENT
    )
    clients = Clients(settings.clients)
    names = {clients.peer_text(settings.clients[0], address="10.0.0.1", nas=f"n{number}") for number in range(5_000)}

    assert len(names) == 1_025
    assert "10.0.0.1/" in names
