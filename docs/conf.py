"""Sphinx configuration. Neither the build nor a page uses the network."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

project = "omium-async"
author = "The omium-async authors"
copyright = "2026, the omium-async authors"
release = version = version_of("omium-async")

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "reference",
    "curl",
    "llms",
]
exclude_patterns = ["inventories/README.md"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "  # of a terminal session, the button copies the commands without their output

autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
autoclass_content = "class"
default_role = "py:obj"  # a name in single backticks links to its entry in the reference

intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "inventories/python.inv"),
    "aiohttp": ("https://docs.aiohttp.org/en/stable", "inventories/aiohttp.inv"),
    "attrs": ("https://www.attrs.org/en/stable", "inventories/attrs.inv"),
}

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"omium-async {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_search_scorer = str(Path(__file__).parent / "_extensions" / "scorer.js")
templates_path = ["_templates"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    # The colours of the diagrams and of the console.
    "light_css_variables": {"color-brand-primary": "#2456c4", "color-brand-content": "#2456c4"},
    "dark_css_variables": {"color-brand-primary": "#7da6ff", "color-brand-content": "#7da6ff"},
}
