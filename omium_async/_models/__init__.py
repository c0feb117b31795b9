"""The models of what the service sends, and how they are read and written."""

from .._data.shared import add_rules
from .rules import register_models

add_rules(register_models)
