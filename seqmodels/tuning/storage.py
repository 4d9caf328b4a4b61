"""Where a study is kept: memory, an SQLite file, or a database that many machines share."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels.errors import UserError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

# A trial whose process has given no sign of life for so long is taken for dead, wherever it ran.
HEARTBEAT_SECONDS, GRACE_SECONDS = 30, 120

# What SQLAlchemy is to use, where a URL names the database alone: of these modules the first that is installed.
DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql",), "mariadb": ("pymysql",)}


def parse_url(text: str) -> URL:
    """Reads a storage's URL and chooses the driver.

    Raises:
        UserError: For what is no URL of a database; for a database whose driver is not installed. A password is never
            shown.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    valid = "sqlite:///study.db, postgresql://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE or null (memory)"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"storage: cannot be read as a URL; expected {valid}") from None
    name, _, driver = url.drivername.partition("+")
    name = "postgresql" if name == "postgres" else name
    if name not in ("sqlite", *DRIVERS):
        raise UserError(f"storage={shown(url)}: unknown database {name}; expected {valid}")
    if driver or name == "sqlite":
        return url.set(drivername=f"{name}+{driver}" if driver else name)
    installed = [module for module in DRIVERS[name] if importlib.util.find_spec(module)]
    if not installed:
        extra = "'seqmodels[postgresql]'" if name == "postgresql" else "pymysql"
        raise UserError(f"storage={shown(url)}: no driver for it is installed; pip install {extra}")
    return url.set(drivername=f"{name}+{installed[0]}")


def shown(url: URL) -> str:
    """Writes a URL without its password."""
    hidden = {key: "***" for key in url.query if "pass" in key.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def connect(text: str) -> RDBStorage:
    """Opens a storage; the tables and, for SQLite, the file are made where there are none.

    Raises:
        UserError: Where it cannot be reached.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    url = parse_url(text)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.drivername.startswith("sqlite"):
        options = {"connect_args": {"timeout": 60}}  # several processes write in turn
        if url.database and url.database != ":memory:":
            _make_folder(Path(url.database).parent, url)
    full = url.render_as_string(hide_password=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        for last in (False, True):
            try:
                return RDBStorage(
                    full, engine_kwargs=options, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS
                )
            except (SQLAlchemyError, RuntimeError, ImportError) as error:
                # Two machines that come first at once both make the tables; the one that fails finds them there.
                if last:
                    raise UserError(f"storage={shown(url)}: cannot be used: {_reason(error, url)}") from None
    raise AssertionError("returned or raised above")


def _make_folder(folder: Path, url: URL) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"storage={shown(url)}: cannot make {folder}: {error.strerror}") from error


def _reason(error: BaseException, url: URL) -> str:
    """Says what a database says, in a line, without the password."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
    secrets = [url.password, *(value for key, value in url.query.items() if "pass" in key.lower())]
    line = " ".join(lines[0].split())
    for secret in secrets:
        line = line.replace(str(secret), "***") if secret else line
    return line
