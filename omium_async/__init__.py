"""An async-first client of the Omium Executions API that never duplicates a write and never reports a wrong outcome."""

from typing import TYPE_CHECKING, Any

from ._lazy import public_name as _public_name
from ._logs import set_up as _set_up

if TYPE_CHECKING:
    from ._exports import *  # noqa: F403 - the list of public names is there
else:  # unseen by type checkers, which would accept any name

    def __getattr__(name: str) -> Any:
        return _public_name(__name__, name, "_exports")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})


__version__ = "0.1.0"

_set_up()
