"""The public names of `omium_sync` that import a server, one a line."""

from omium_async._public import publish as _publish
from omium_async.local import Fault as Fault

from ._local import LocalOmium as LocalOmium

_publish("omium_sync", __name__)
