"""An async-first client of the Omium Executions API that never duplicates a write and never reports a wrong outcome."""

from typing import TYPE_CHECKING, Any

from ._first_use import import_exports as _import_exports
from ._logs import set_up as _set_up

if TYPE_CHECKING:
    from ._exports import *  # noqa: F403 - the list of public names is there

__version__ = "0.1.0"

_set_up()


def __getattr__(name: str) -> Any:
    """Import everything when a public name is first used, so that calls import nothing."""
    if name.startswith("_") and name != "__all__":  # an import of a private module asks for it here first
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    exports = _import_exports(__name__, "_exports")
    globals().update({"__all__": exports.__all__, **{each: getattr(exports, each) for each in exports.__all__}})
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
