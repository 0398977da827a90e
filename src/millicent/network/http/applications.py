"""http.yaml: where we listen, and which applications may charge, each known by the hash of its token.

listen: {address: 127.0.0.1, port: 8081}
applications:
  freeswitch-1: {token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, services: [voice]}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from re import compile as pattern
from secrets import token_urlsafe
from typing import Any, Final

from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput

_HASH: Final = pattern("[0-9a-f]{64}")
_MOST_WORKERS: Final = 64
_NAME: Final = pattern("[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Who charges. `services` (): all of them."""

    name: str
    services: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Everything that an operator declares about the charging API."""

    applications: Mapping[bytes, Application] = field(repr=False)  # by the SHA-256 of the token
    address: str = "127.0.0.1"
    port: int = 8081
    certificate: str = ""  # PEM files; "" both: plain HTTP, for this machine or behind a proxy
    key: str = ""
    workers: int = 0  # processes beside that of the shard; 0: the door is opened in it

    def application_of(self, authorization: str) -> Application | None:
        """Whose token an Authorization header has. It is looked up by its hash: the time that takes tells nothing."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return self.applications.get(sha256(token.strip().encode("utf-8", "replace")).digest())


def new_token() -> tuple[str, str]:
    """A token for an application, and the hash that stands in http.yaml."""
    token = token_urlsafe(32)
    return token, sha256(token.encode()).hexdigest()


def read_http_settings(text: str, *, where: str = "http.yaml") -> HttpSettings:
    """What an http.yaml declares. Raises BadInput."""
    declared = _mapping(read_declaration(text, where=where), {"listen", "workers", "applications"}, where=where)
    listen = _mapping(declared.get("listen", {}), {"address", "port", "certificate", "key"}, where=f"{where}: listen")
    applications = declared.get("applications")
    if not isinstance(applications, dict) or not applications:
        raise BadInput("declares no application", where=where, cure="Make one with: millicent door token NAME")
    port = listen.get("port", 8081)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65_535:
        raise BadInput(f"{port!r} is no port", where=f"{where}: listen")
    workers = declared.get("workers", 0)
    if not isinstance(workers, int) or isinstance(workers, bool) or not 0 <= workers <= _MOST_WORKERS:
        raise BadInput(f"workers is 0 to {_MOST_WORKERS}", where=where)
    if bool(listen.get("certificate")) != bool(listen.get("key")):
        raise BadInput("TLS needs a certificate and a key", where=f"{where}: listen")
    return HttpSettings(
        applications=dict(_application(str(name), each, where=where) for name, each in applications.items()),
        address=str(listen.get("address", "127.0.0.1")),
        port=port,
        certificate=str(listen.get("certificate", "")),
        key=str(listen.get("key", "")),
        workers=workers,
    )


def _application(name: str, declared: object, *, where: str) -> tuple[bytes, Application]:
    place = f"{where}: applications.{name}"
    chosen = _mapping(declared, {"token_sha256", "services"}, where=place)
    if not _NAME.fullmatch(name):
        raise BadInput("a name is small letters, digits, dots and dashes", where=place)
    digest = str(chosen.get("token_sha256", ""))
    if not _HASH.fullmatch(digest):
        raise BadInput("token_sha256 is not 64 hexadecimal digits", where=place, cure=f"millicent door token {name}")
    services = chosen.get("services", [])
    if not isinstance(services, list):
        raise BadInput("services is not a list", where=place)
    return bytes.fromhex(digest), Application(name=name, services=frozenset(map(str, services)))


def _mapping(value: object, known: set[str], *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInput("is not a table of names", where=where)
    unknown = sorted({str(name) for name in value} - known)
    if unknown:
        raise BadInput(f"does not know {unknown[0]!r}", where=where, cure=f"It knows {', '.join(sorted(known))}.")
    return value
