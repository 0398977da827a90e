"""Django's own settings, derived from ours. The ORM, its migrations and its transactions are what we use of it."""

from psycopg.conninfo import conninfo_to_dict

from millicent.config.settings import settings
from millicent.kit.postgres import DatabaseUrls, start_embedded

STAGES = ["kit", "catalog", "customers", "subscriptions", "mediation", "rating", "billing", "ledger", "assurance"]
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
INSTALLED_APPS = [f"millicent.{stage}" for stage in STAGES]
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None  # structlog owns the logs: see config/logs.py
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = ""  # nothing is signed: there is no web face yet
