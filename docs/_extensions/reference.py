"""Directives and hooks that build the reference from the code at each build, so that it cannot be stale."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from docutils.statemachine import StringList
from given import GIVEN
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_FIELD = re.compile(r":(?P<kind>ivar) (?P<name>\w+):\s*(?P<text>.*)")


# -- fields: the text of each moves from the docstring of the class to the entry of the field ------------------------


def described_fields(cls: Any) -> dict[str, list[str]]:
    """Return the descriptions of fields in the docstrings of a class and of its bases."""
    found: dict[str, list[str]] = {}
    for base in cls.__mro__:
        if not base.__module__.startswith("omium_"):
            continue
        for name, lines in _fields_of(inspect.getdoc(base) if base is cls else base.__doc__ or ""):
            found.setdefault(name, lines)
    return found


def _fields_of(docstring: str | None) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", [""]
    for line in inspect.cleandoc(docstring or "").splitlines():
        field = _FIELD.match(line)
        if field is None and name and line.startswith(" "):
            lines.append(line.strip())
            continue
        if name:
            yield name, lines
        name, lines = (field["name"], [field["text"]]) if field is not None else ("", [""])
    if name:
        yield name, lines


def move_fields(_: Sphinx, what: str, name: str, obj: Any, __: Any, lines: list[str]) -> None:
    """Give the text of ``:ivar name:`` to the entry of that name."""
    if what in {"class", "exception"} and isinstance(obj, type):
        _take_fields_out(obj, lines)
        if name in GIVEN:
            said = f"The package creates it, {GIVEN[name]}; its constructor is private."
            lines[:] = [*lines[:1], "", said.replace("`", "``"), *lines[1:]]
    elif what in {"attribute", "property"}:
        owner, _, field = name.rpartition(".")
        text = described_fields(_find(owner)).get(field) if owner else None
        if text is not None and what == "attribute":
            lines[:] = [*text, ""]


def _take_fields_out(cls: type, lines: list[str]) -> None:
    fields = dict(_fields_of("\n".join(lines)))
    kept: list[str] = []
    inside = False
    for line in lines:
        inside = _FIELD.match(line) is not None or (inside and line.startswith(" "))
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    shown = {*(name for name in dir(cls)), *inspect.get_annotations(cls)}
    for name, text in fields.items():
        if name not in shown:  # set in the constructor: autodoc does not find it by itself
            kept += ["", f".. py:attribute:: {name}", "", *[f"   {line}" for line in text]]
    lines[:] = [*kept, ""]


def plain_signature(_: Sphinx, __: str, ___: str, obj: Any, *_____: Any) -> tuple[str, str] | None:
    """Show the constructor of an attrs class by names only: types and defaults are shown with the fields."""
    if getattr(obj, "_is_protocol", False):
        return "", ""
    if not (inspect.isclass(obj) and attrs.has(obj) and obj.__module__.startswith("omium_")):
        return None
    shown: list[str] = []
    for field in attrs.fields(obj):
        if field.kw_only and "*" not in shown:
            shown.append("*")
        shown.append(field.name if field.default is attrs.NOTHING else f"{field.name}=...")
    return f"({', '.join(shown)})", ""


def public_bases(_: Sphinx, __: str, ___: Any, ____: Any, bases: list[Any]) -> None:
    """Replace private bases by the public classes behind them."""
    bases[:] = list(dict.fromkeys(_public(base) for base in bases))


def _public(base: Any) -> Any:
    if not isinstance(base, type) or not base.__module__.startswith("omium_"):
        return base
    return next(each for each in base.__mro__ if "._" not in each.__module__)


def plain_signatures(_: Sphinx, doctree: nodes.document) -> None:
    """Simplify ``Annotated[datetime, ...]`` to ``datetime``, show values of ``DEFAULT_...``, omit ``Bases: object``."""
    from omium_async._settings import declared  # noqa: PLC0415

    for annotation in doctree.findall(addnodes.desc_annotation):
        texts = [child.astext() for child in annotation.children]
        if "Annotated" in texts:
            start = texts.index("Annotated")
            end = texts.index("]", start)
            for child in [*annotation.children[start : start + 2], *annotation.children[start + 3 : end + 1]]:
                annotation.remove(child)
    for default in doctree.findall(nodes.inline):
        name = default.astext()
        if "default_value" in default["classes"] and name.startswith("DEFAULT_"):
            default.children = [nodes.Text(_shown(getattr(declared, name)))]
    for words in list(doctree.findall(nodes.paragraph)):
        if words.astext() == "Bases: object":
            words.parent.remove(words)


def reach_by_keyboard(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    """Make elements that scroll sideways focusable, give captions a heading level, and signatures plain lines."""
    for part in ("body", "furo_navigation_tree"):
        if isinstance(context.get(part), str):
            text = context[part].replace("<pre>", '<pre tabindex="0">').replace('<div class="table-wrapper', _WRAPPER)
            text = _DRAWING.sub(r'<p class="drawing" tabindex="0">\1', text)
            text = text.replace('role="heading">', 'role="heading" aria-level="2">')
            context[part] = _SIGNATURE.sub(_lines_of_a_signature, text)


_DRAWING = re.compile(r'<p>(<img [^>]*\.svg")')
_SIGNATURE = re.compile(r"<dl>\n(?P<lines>(?:<dd>.*?</dd>\n)+)</dl>")


def _lines_of_a_signature(found: re.Match[str]) -> str:
    lines = found["lines"].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">\n{lines}</span>'


_WRAPPER = '<div tabindex="0" class="table-wrapper'


def _find(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return object


# -- directives --------------------------------------------------------------------------------------------------------


class SameNames(SphinxDirective):
    """``.. same-names:: package other``: list the names that a package re-exports from the other, each with an id."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        package, other = map(importlib.import_module, self.arguments)
        listed = nodes.bullet_list(classes=["names"])
        for name in sorted(package.__all__, key=str.casefold):
            if getattr(other, name, self) is not getattr(package, name):
                continue
            dotted = f"{package.__name__}.{name}"
            text = nodes.paragraph()
            text += nodes.inline("", "", ids=[dotted])
            # Not in `__all__` of the other: the version, which is plain text.
            link = name in other.__all__
            text += self.parse_inline(f":py:obj:`{other.__name__}.{name}`" if link else f"``{name}``")[0]
            listed += nodes.list_item("", text)
        return [listed]


class Anchor(SphinxDirective):
    """``.. anchor:: omium_async.ui``: create a link target with exactly this id."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return [nodes.paragraph("", "", nodes.inline("", "", ids=[self.arguments[0]]), classes=["anchor"])]


class SettingsTable(SphinxDirective):
    """List every setting of a client."""

    def run(self) -> list[nodes.Node]:
        from omium_async._settings.declared import REQUIRED, Options, Settings, declarations  # noqa: PLC0415

        rows = [("argument", "default", "also from", "value")]
        for cls in (Options, Settings):
            for name, declared in declarations(cls).items():
                value = declared.otherwise if declared.default is None else declared.default
                default = "none" if value is REQUIRED else f"``{_shown(value)}``"
                places = [f"``{declared.variable}``"] if declared.variable else []
                places += [f"``{declared.in_file}`` of the file"] if declared.in_file else []
                advice = declared.advice.removeprefix("give ")
                rows.append((f"``{name}``", default, ", ".join(places), advice))
        return _table(self, rows)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return repr(value) if not isinstance(value, str) else value
    return f"{value:g}" if isinstance(value, float) else str(value)


class CommandHelp(SphinxDirective):
    """``.. command-help:: [command]``: show the help of the command."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from omium_sync.cli import main  # noqa: PLC0415

        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = main([*self.arguments, "--help"])
        if code != 0:
            raise self.error(f"omiumctl {' '.join(self.arguments)} --help: exit status {code}")
        text = said.getvalue().rstrip()
        return [nodes.literal_block(text, text, language="text")]


class Commands(SphinxDirective):
    """Show the help of every command, each below its heading."""

    def run(self) -> list[nodes.Node]:
        from omium_sync.cli.app import COMMANDS  # noqa: PLC0415

        lines: list[str] = []
        for name in sorted(COMMANDS):
            title = f"``omiumctl {name}``"
            lines += [title, "-" * len(title), "", f".. command-help:: {name}", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Fields(SphinxDirective):
    """``.. wire-fields:: omium_async.Execution``: list the keys of a response and their attributes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = [("attribute", "key of the response", "also, from the live service")]
        for field in attrs.fields(_find(self.arguments[0])):
            more = field.metadata
            nested = f"``{more['nested']}.{field.name}``" if more.get("nested") else ""
            fallback = f"``{more['fallback']}``" if more.get("fallback") else nested
            key = "all others" if field.name == "extra" else f"``{field.name}``"
            rows.append((f"``{field.name}``", key, fallback))
        return _table(self, rows)


class EveryTest(SphinxDirective):
    """List every file of tests with the first sentence of its docstring."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir).parent
        rows = [("file", "tests")]
        for path in sorted((root / "tests").rglob("test_*.py")):
            said = ast.get_docstring(ast.parse(path.read_text())) or ""
            first = said.partition("\n\n")[0].replace("\n", " ").replace("``", "`").replace("`", "``")
            rows.append((f"``{path.relative_to(root)}``", first))
        return _table(self, rows)


class UnreleasedChanges(SphinxDirective):
    """Show the entries of `changes/` as towncrier will write them."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir).parent
        command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0", "--dir", str(root)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
        _, _, changes = said.partition("## 0 ")
        changes = changes.partition("\n")[2]
        if "- " not in changes:
            return []
        return self.parse_text_to_nodes(f"## Not yet released\n{changes}", allow_section_headings=True)


def _table(directive: SphinxDirective, rows: list[tuple[str, ...]]) -> list[nodes.Node]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {cell}".rstrip())
    return directive.parse_text_to_nodes(StringList([*lines, ""], source="reference"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", move_fields)
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("doctree-read", plain_signatures)
    app.connect("html-page-context", reach_by_keyboard, priority=900)
    for name, directive in {
        "anchor": Anchor,
        "same-names": SameNames,
        "settings-table": SettingsTable,
        "command-help": CommandHelp,
        "every-command": Commands,
        "wire-fields": Fields,
        "every-test": EveryTest,
        "unreleased-changes": UnreleasedChanges,
    }.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
