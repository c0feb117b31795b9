"""The accepted API keys, and the tenant of each."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .._data.masked import Secret, kind_of, masked
from .store import Tenant

if TYPE_CHECKING:
    import sqlite3

#: Type of `api_keys`: a mapping of key to tenant, or keys that each have a separate tenant.
APIKeys = Mapping[str, str] | Iterable[str]

_DEFAULT_TENANT: Final = "default"


class Keyring:
    """The tenant of each accepted key. No repr shows a key."""

    __slots__ = ("_tenants",)

    def __init__(self, tenants: dict[str, Tenant]) -> None:
        self._tenants = tenants

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._tenants)} keys>"

    @property
    def first(self) -> str:
        return str.__str__(next(iter(self._tenants)))

    def tenant_of(self, key: str) -> Tenant | None:
        return self._tenants.get(key)


def masked_keys(given: Any) -> Any:
    """Mask the given keys, so that no traceback with local variables shows them."""
    if isinstance(given, Mapping):
        entries: Mapping[Any, Any] = given  # pyright: ignore[reportUnknownVariableType]
        return {masked(key): tenant for key, tenant in entries.items()}
    if given is None or isinstance(given, str) or not isinstance(given, Iterable):
        return masked(given)
    keys: Iterable[Any] = given  # pyright: ignore[reportUnknownVariableType]
    return tuple(map(masked, keys))


def checked_keys(given: APIKeys) -> dict[str, str | None]:
    """Return the tenant's name of each key, or None if it was not given.

    :param given: the masked keys.
    :raises TypeError: it has a wrong type. :raises ValueError: a key is malformed. Neither message shows a key.
    """
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"api_keys must be a mapping of key to tenant, or keys, not a {kind_of(given)}")
    pairs: dict[str, str | None] = {}
    if isinstance(given, Mapping):
        pairs.update(given)  # pyright: ignore[reportUnknownArgumentType] - narrowing forgets what it maps
    else:
        pairs.update(dict.fromkeys(given))
    if not pairs:
        raise ValueError("api_keys is empty: give a key, or None for a generated one")
    for number, (key, tenant) in enumerate(pairs.items(), 1):
        _check_key(key, number)
        if isinstance(given, Mapping):
            if not isinstance(tenant, str) or not tenant:
                raise TypeError(f"the tenant of key {number} in api_keys must be a text that is not empty")
            tenant.encode()
    return pairs


def generated_keys() -> dict[str, str | None]:
    """Return a generated key for the default tenant."""
    return {Secret(f"omium_local_{secrets.token_hex(16)}"): _DEFAULT_TENANT}


def load_keys(connection: sqlite3.Connection, given: dict[str, str | None] | None) -> Keyring:
    """Store the accepted keys in the database, and return them.

    They are the given ones, otherwise those of the last start, otherwise a new one. A key without a tenant keeps the
    tenant that it had before; for this the database also keeps keys that are no longer accepted.
    """
    kept: dict[str, tuple[int | None, str]] = {
        Secret(key): (rank, name)
        for key, rank, name in connection.execute(
            "SELECT k.key, k.rank, t.name FROM api_keys k JOIN tenants t ON t.id = k.tenant ORDER BY k.rank"
        )
    }
    if given is None:
        given = {key: name for key, (rank, name) in kept.items() if rank is not None} or generated_keys()
    connection.execute("UPDATE api_keys SET rank = NULL")
    ring: dict[str, Tenant] = {}
    for rank, (key, tenant_name) in enumerate(given.items()):
        name = tenant_name or (kept[key][1] if key in kept else _own_tenant(key))
        connection.execute("INSERT INTO tenants (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        tenant = Tenant(connection.execute("SELECT id FROM tenants WHERE name = ?", (name,)).fetchone()[0], name)
        connection.execute("INSERT OR REPLACE INTO api_keys VALUES (?, ?, ?)", (key, tenant.id, rank))
        ring[key] = tenant
    return Keyring(ring)


def _own_tenant(key: str) -> str:
    """Return a name that depends on the key alone, and does not show it."""
    return f"tenant-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _check_key(key: object, number: int) -> None:
    if not isinstance(key, str):
        raise TypeError(f"key {number} in api_keys is a {kind_of(key)}, not text")
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError(f"key {number} in api_keys cannot be sent in a header: it must be printable ASCII, not empty")
