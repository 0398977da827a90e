"""The part of Django's settings that needs no database: what type checkers and tools read without starting a server."""

STAGES = [
    "kit",
    "catalog",
    "customers",
    "subscriptions",
    "mediation",
    "rating",
    "charging",
    "billing",
    "ledger",
    "assurance",
]
INSTALLED_APPS = [f"millicent.{stage}" for stage in STAGES]
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None  # structlog owns the logs: see config/logs.py
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = ""  # nothing is signed: there is no web face yet
