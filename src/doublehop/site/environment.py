"""The environment, read once into one typed value, with a list of everything that is missing or wrong."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

WEB_THREADS = 4
"""In which one web process answers. Pages never wait for a machine, so four are many."""
LEAST_RAW_DAYS, MOST_RAW_DAYS = 400, 3660
"""A bill of a year ago can still be worked out anew, with a month to argue about it."""
SHORTEST_TOKEN = 20


class BadEnvironment(Exception):
    """``problems`` holds one sentence per wrong or missing setting."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Environment:
    """All that an operator sets outside the database. ``docs/how-to/go-real.md`` lists them."""

    data_dir: Path
    secret_key: str
    vault_keys: tuple[str, ...]
    database_url: str
    base_url: str
    shared_hosts: tuple[str, ...]
    behind_tls: bool
    log_level: str
    mail_url: str = ""
    mail_from: str = ""
    webhook_networks: tuple[str, ...] = ()
    upstream_networks: tuple[str, ...] = ()
    raw_days: int = LEAST_RAW_DAYS
    metrics_at: tuple[str, int] | None = None
    """Host and port of a worker's page for Prometheus; None: there is none."""
    metrics_token: str = ""

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _database(url: str, data_dir: Path, problems: list[str]) -> str:
    if not url:
        return f"sqlite:{data_dir / 'doublehop.sqlite3'}"
    if urlsplit(url).scheme not in {"sqlite", "postgres", "postgresql"}:
        problems.append("DATABASE_URL must begin with sqlite:, postgres:// or postgresql://")
    return url


def _base_url(url: str, problems: list[str]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        problems.append("DOUBLEHOP_BASE_URL must be an address such as https://panel.example.net")
    elif parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        problems.append("DOUBLEHOP_BASE_URL must be https:// unless it is on this machine (127.0.0.1)")
    return url.rstrip("/")


def _mail_url(url: str, problems: list[str]) -> str:
    """Where mails go; empty: nowhere, they are kept in the panel."""
    if not url:
        return ""
    parts = urlsplit(url)
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    to_server = parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and port_is_fine
    to_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not to_server and not to_folder:
        problems.append(
            "DOUBLEHOP_MAIL_URL must be an address such as smtp://user:password@mail.example.net:587, "
            "smtps://user:password@mail.example.net, or file:///folder"
        )
    return url


def _mail_from(address: str, base_host: str, problems: list[str]) -> str:
    if not address:
        return f"no-reply@{base_host if re.search('[a-z]', base_host) and '.' in base_host else 'localhost'}"
    if not re.fullmatch(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+", address):
        problems.append("DOUBLEHOP_MAIL_FROM must be a bare address such as no-reply@example.net")
    return address


def _networks(source: Mapping[str, str], name: str, problems: list[str]) -> tuple[str, ...]:
    """Where something may go besides the public internet."""
    networks = _words(source.get(name, ""))
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            problems.append(f"{name}: {network} is no network such as 10.20.0.0/16")
    return networks


def _raw_days(text: str, problems: list[str]) -> int:
    """Days for which every 5-minute value is kept."""
    if not text:
        return LEAST_RAW_DAYS
    if not text.isascii() or not text.isdecimal() or not LEAST_RAW_DAYS <= int(text) <= MOST_RAW_DAYS:
        problems.append(
            f"DOUBLEHOP_RAW_DAYS must be a number of days from {LEAST_RAW_DAYS} to {MOST_RAW_DAYS}"
        )
        return LEAST_RAW_DAYS
    return int(text)


def _metrics(source: Mapping[str, str], problems: list[str]) -> tuple[tuple[str, int] | None, str]:
    text, token = (
        source.get("DOUBLEHOP_METRICS", "").strip(),
        source.get("DOUBLEHOP_METRICS_TOKEN", "").strip(),
    )
    if not text:
        return None, token
    found = re.fullmatch(r"(?:(?P<host>[^:\s]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})", text)
    if found is None or not 0 < int(found["port"]) < 65536:
        problems.append("DOUBLEHOP_METRICS must be a port such as 9108, or an address and a port")
        return None, token
    host = (found["host"] or "127.0.0.1").strip("[]")
    if host not in {"127.0.0.1", "localhost", "::1"} and len(token) < SHORTEST_TOKEN:
        problems.append(
            f"DOUBLEHOP_METRICS_TOKEN needs {SHORTEST_TOKEN} signs or more, since DOUBLEHOP_METRICS can be reached from elsewhere"
        )
    return (host, int(found["port"])), token


def read_environment(source: Mapping[str, str] = os.environ) -> Environment:
    """Raises BadEnvironment with every problem at once, so that nobody mends them one by one."""
    problems: list[str] = []
    data_dir = Path(source.get("DOUBLEHOP_DATA_DIR", "var")).absolute()
    secret_key = source.get("DOUBLEHOP_SECRET_KEY", "")
    vault_keys = _words(source.get("DOUBLEHOP_VAULT_KEYS", ""))
    if len(secret_key) < 32:
        problems.append(
            "DOUBLEHOP_SECRET_KEY is missing or shorter than 32 signs; `doublehop init` makes one"
        )
    if not vault_keys:
        problems.append("DOUBLEHOP_VAULT_KEYS is missing; `doublehop init` makes one")
    for number, key in enumerate(vault_keys, 1):
        if len(key) != 44:
            problems.append(
                f"DOUBLEHOP_VAULT_KEYS: key {number} is not a Fernet key (44 signs of URL-safe base64)"
            )
    log_level = source.get("DOUBLEHOP_LOG_LEVEL", "INFO").upper()
    if log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        problems.append("DOUBLEHOP_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    base_url = _base_url(source.get("DOUBLEHOP_BASE_URL", "http://127.0.0.1:8000"), problems)
    base_host = urlsplit(base_url).hostname or "127.0.0.1"
    shared = _words(source.get("DOUBLEHOP_SHARED_HOSTS", "")) or (base_host,)
    metrics_at, metrics_token = _metrics(source, problems)
    environment = Environment(
        data_dir=data_dir,
        secret_key=secret_key,
        vault_keys=vault_keys,
        database_url=_database(source.get("DATABASE_URL", ""), data_dir, problems),
        base_url=base_url,
        shared_hosts=shared,
        behind_tls=base_url.startswith("https://"),
        log_level=log_level,
        mail_url=_mail_url(source.get("DOUBLEHOP_MAIL_URL", "").strip(), problems),
        raw_days=_raw_days(source.get("DOUBLEHOP_RAW_DAYS", "").strip(), problems),
        mail_from=_mail_from(source.get("DOUBLEHOP_MAIL_FROM", "").strip(), base_host, problems),
        webhook_networks=_networks(source, "DOUBLEHOP_WEBHOOK_NETWORKS", problems),
        upstream_networks=_networks(source, "DOUBLEHOP_UPSTREAM_NETWORKS", problems),
        metrics_at=metrics_at,
        metrics_token=metrics_token,
    )
    if problems:
        raise BadEnvironment(problems)
    return environment
