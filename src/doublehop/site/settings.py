"""Django's settings. Everything an operator may change comes from the environment (site.environment)."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog

from doublehop.driver_kit.forms import is_loopback
from doublehop.site.environment import WEB_THREADS as WEB_THREADS
from doublehop.site.environment import Environment, read_environment

ENVIRONMENT = read_environment()
PACKAGE = Path(__file__).resolve().parent.parent


# A host that vanishes without a word is noticed in half a minute, on either side: what it had locked is free then.
_SILENT_PEERS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


def _database(environment: Environment) -> dict[str, Any]:
    if environment.is_sqlite:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": environment.database_url.removeprefix("sqlite:"),
            "OPTIONS": {
                # A write transaction takes its lock at once, so two writers queue instead of failing half-way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # FULL: a lost "sent" mark after power loss would allow a second reboot.
                # A file that is made now gets pages which hold three chunks of bandwidth, not one; old files keep theirs.
                "init_command": "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
                " PRAGMA temp_store=MEMORY;",
            },
            "CONN_MAX_AGE": None,
        }
    parts = urlsplit(environment.database_url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {**_SILENT_PEERS, **dict(parse_qsl(parts.query))},
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }


def _mail(environment: Environment) -> dict[str, Any]:
    """Django's settings for one of: nobody, a folder of files, a mail server over TLS (plain only on this machine)."""
    parts = urlsplit(environment.mail_url)
    if parts.scheme == "file":
        backend = "django.core.mail.backends.filebased.EmailBackend"
        return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": unquote(parts.path)}
    if not parts.hostname:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    at_once = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if at_once else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": at_once,
        "EMAIL_USE_TLS": not at_once and not is_loopback(parts.hostname),
    }


SECRET_KEY = ENVIRONMENT.secret_key
DOUBLEHOP_VAULT_KEYS = ENVIRONMENT.vault_keys
DOUBLEHOP_SHARED_HOSTS = ENVIRONMENT.shared_hosts
DOUBLEHOP_DATA_DIR = ENVIRONMENT.data_dir
DOUBLEHOP_BASE_URL = ENVIRONMENT.base_url
DOUBLEHOP_SENDS_MAIL = bool(ENVIRONMENT.mail_url)
DOUBLEHOP_MAIL_FROM = ENVIRONMENT.mail_from
DOUBLEHOP_WEBHOOK_NETWORKS = ENVIRONMENT.webhook_networks
DOUBLEHOP_UPSTREAM_NETWORKS = ENVIRONMENT.upstream_networks
DOUBLEHOP_RAW_DAYS = ENVIRONMENT.raw_days
globals().update(_mail(ENVIRONMENT))
EMAIL_TIMEOUT = 30
DEBUG = False
# Brand hosts live in the database: organisations.hosts answers 404 to every host that is neither shared nor a brand's.
ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = [ENVIRONMENT.base_url]
CSRF_FAILURE_VIEW = "doublehop.panels.errors.csrf_failure"

DATABASES = {"default": _database(ENVIRONMENT)}
# Jobs are rung for in our own table with one worker, or through Procrastinate, which knows only PostgreSQL, with any number.
DOUBLEHOP_DOORBELL = "doublehop.jobs.table" if ENVIRONMENT.is_sqlite else "doublehop.jobs.postgresql"
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = ""
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "organisations.User"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "django_htmx",
    "doublehop.jobs",
    "doublehop.journal",
    "doublehop.organisations",
    "doublehop.notices",
    "doublehop.fleet",
    "doublehop.bandwidth",
    "doublehop.services",
    "doublehop.panels",
    # For its tables.
    *(() if ENVIRONMENT.is_sqlite else ("procrastinate.contrib.django",)),
]
MIDDLEWARE = [
    "doublehop.site.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "doublehop.api.around.ApiMiddleware",
    "doublehop.organisations.hosts.HostMiddleware",
    "doublehop.leap.gate.MachineFaceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "doublehop.organisations.sign_in.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "doublehop.panels.middleware.PanelMiddleware",
]
ROOT_URLCONF = "doublehop.site.urls"
WSGI_APPLICATION = "doublehop.site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "panels" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "doublehop.panels.context.panel",
            ],
        },
    }
]

# Failed sign-ins are counted here, per process: a storm of names must not push out the counts of the others.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["doublehop.organisations.sign_in.BrandBackend"]
ACCOUNT_ADAPTER = "doublehop.organisations.sign_in.Adapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/sign-in/"
# Behind TLS there is one proxy of ours, so the last address that it noted is the visitor's: failed sign-ins count for that one.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if ENVIRONMENT.behind_tls else 0
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.data_dir / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.behind_tls
if not ENVIRONMENT.behind_tls:
    # Browsers keep one jar for all ports of a host: two installations on this machine must not sign each other out.
    SESSION_COOKIE_NAME = f"sessionid_{urlsplit(ENVIRONMENT.base_url).port or 80}"
    CSRF_COOKIE_NAME = f"csrftoken_{urlsplit(ENVIRONMENT.base_url).port or 80}"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 86400
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.behind_tls else None
SECURE_SSL_REDIRECT = ENVIRONMENT.behind_tls
SECURE_HSTS_SECONDS = 365 * 86400 if ENVIRONMENT.behind_tls else 0
# A reseller's other names are not ours to speak for: neither their subdomains nor browsers' preload lists.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.LogfmtRenderer(),
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.log_level},
    "loggers": {
        # They print whole addresses of upstreams at INFO.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        # It tells of every job, twice.
        "procrastinate": {"level": "WARNING"},
    },
}
