"""Django's own settings, derived from ours: its ORM, migrations and transactions are what we use.

Importing this starts the embedded server when no URL is given.
"""

from psycopg.conninfo import conninfo_to_dict

from millicent.config.django_frame import (  # noqa: F401 - Django reads them from here
    DEFAULT_AUTO_FIELD,
    INSTALLED_APPS,
    LOGGING_CONFIG,
    SECRET_KEY,
    TIME_ZONE,
    USE_TZ,
)
from millicent.config.settings import settings
from millicent.kit.postgres import DatabaseUrls, start_embedded

_SERVER_KEYS = {"dbname", "user", "password", "host", "port"}


def _database(url: str) -> dict[str, object]:
    """Every parameter of the URL counts: sslmode, sslrootcert, target_session_attrs and their like go to libpq."""
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname") or "",
        "USER": parts.get("user") or "",
        "PASSWORD": parts.get("password") or "",
        "HOST": parts.get("host") or "",
        "PORT": str(parts.get("port") or ""),
        "OPTIONS": {key: part for key, part in parts.items() if key not in _SERVER_KEYS},
    }


def _urls() -> DatabaseUrls:
    chosen = settings()
    if chosen.database_url:
        return DatabaseUrls(
            application=chosen.database_url, owner=chosen.owner_database_url, admin=chosen.backup_database_url
        )
    return start_embedded(chosen.home_path / "postgres")


DATABASE_URLS = _urls()
DATABASES = {"default": _database(DATABASE_URLS.application)}
if DATABASE_URLS.owner:
    DATABASES["owner"] = _database(DATABASE_URLS.owner)
