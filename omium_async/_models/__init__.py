"""The models of the service's responses, and how they are read and written."""

from .._data.converter import add_rules
from .hooks import register_models

add_rules(register_models)
