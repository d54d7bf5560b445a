"""Databases such as operators have them: other defaults, another schema, another locale."""

from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Connection = psycopg.AsyncConnection[psycopg.rows.TupleRow]


@dataclass(frozen=True)
class Kind:
    """A kind of database.

    Args:
        settings: `ALTER DATABASE … SET`.
        options: what follows CREATE DATABASE, where it is not copied from the default.
        own_schema: it belongs to a role without other rights, which has a schema of its name:
            Postgres's default search path begins with that.
    """

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    options: str = ""
    own_schema: bool = False

    @property
    def template(self) -> str:
        """The database of this kind that is migrated and seeded, to be copied by tests."""
        return f"selfheal_template_{self.name}"


PLAIN: Final = Kind("plain")
# Each setting is one that changes what a statement means, what it returns, or how it can fail.
STRICT: Final = Kind(
    "serializable",
    {
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "idle_session_timeout": "200ms",
    },
)
FOREIGN: Final = Kind(
    "foreign",
    {
        "default_transaction_isolation": "repeatable read",
        "array_nulls": "off",
        "bytea_output": "escape",
        "client_encoding": "LATIN1",
        "datestyle": "German, DMY",
        "extra_float_digits": "-10",
        "intervalstyle": "sql_standard",
        "standard_conforming_strings": "off",
        "timezone": "Pacific/Chatham",
        "transform_null_equals": "on",
    },
)
OWNED: Final = Kind(
    "owned",
    options="ENCODING 'UTF8' LOCALE 'C.utf8' {provider} TEMPLATE template0",
    own_schema=True,
)
KINDS: Final = (PLAIN, STRICT, FOREIGN, OWNED)

_ROLE: Final = "test_owner"


async def create(admin: Connection, name: str, kind: Kind, *, empty: bool) -> str:
    """Make a database of a kind, empty or a copy of the kind's template; return its address."""
    if empty:  # 14 has one provider and no option for it
        provider = "LOCALE_PROVIDER libc" if admin.info.server_version >= 150000 else ""
        options: sql.Composable = sql.SQL(kind.options.format(provider=provider))
    else:
        options = sql.SQL("TEMPLATE {}").format(sql.Identifier(kind.template))
    database = sql.Identifier(name)
    if kind.own_schema:
        await _make_role(admin)
    await admin.execute(sql.SQL("CREATE DATABASE {} {}").format(database, options))
    for setting, value in kind.settings.items():
        change = sql.SQL("ALTER DATABASE {} SET {} = {}")
        await admin.execute(change.format(database, sql.Identifier(setting), value))
    place = make_conninfo(admin.info.dsn, dbname=name, password=admin.info.password)
    if not kind.own_schema:
        return place
    await admin.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(_ROLE))
    )
    if empty:
        async with await psycopg.AsyncConnection.connect(place, autocommit=True) as inside:
            await inside.execute(
                sql.SQL("CREATE SCHEMA {r} AUTHORIZATION {r}").format(r=sql.Identifier(_ROLE))
            )
    return make_conninfo(place, user=_ROLE, password=_ROLE)


async def _make_role(admin: Connection) -> None:
    """Make a role that may do nothing but come in; another process may be making it too."""
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(_ROLE), _ROLE)
    try:
        await admin.execute(statement)
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return


async def drop(admin: Connection, name: str) -> None:
    """Drop a database, its connections with it."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    await admin.execute(statement.format(sql.Identifier(name)))


def fresh_name() -> str:
    """Return a name that no other database has."""
    return f"test_{uuid4().hex}"


def database_of(url: str) -> str:
    """Return the name of a database."""
    return str(conninfo_to_dict(url)["dbname"])


def same_role(url: str, database: str) -> str:
    """Return the address of another database for the role of an address."""
    return make_conninfo(url, dbname=database)
