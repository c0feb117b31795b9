"""Write `llms.txt` and `llms-full.txt` (https://llmstxt.org), and each page of the site as Markdown beside its HTML.

They are written from the resolved trees of the pages, not from the sources, because the reference is built from code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, relpath
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_OMITTED = (nodes.raw, nodes.comment, nodes.target, addnodes.index, addnodes.toctree)
_GROUPS = (nodes.document, nodes.compound, nodes.container)
_LISTS = (nodes.bullet_list, nodes.field_list)
_CODE = (nodes.literal, addnodes.literal_strong, addnodes.literal_emphasis)
_MARKS = {nodes.strong: "**", nodes.emphasis: "*"}


@attrs.frozen
class Markdown:
    """Write the tree of a page as Markdown. A node of a kind that it does not know is an error.

    :ivar page: the address of the HTML page; this and all addresses below are relative to the root of the site.
    :ivar folder: the folder of the file that will contain the text.
    :ivar pictures: the address of each picture.
    """

    page: str
    folder: str
    pictures: dict[str, str]

    def blocks(self, parent: nodes.Element, level: int = 0) -> str:
        """Return the blocks of a node, with an empty line between them.

        :param level: the number of sections around it.
        """
        return "\n\n".join(filter(None, (self._block(child, level) for child in parent.children)))

    def _block(self, node: Any, level: int) -> str:
        if isinstance(node, nodes.section):
            return self.blocks(node, level + 1)
        if isinstance(node, nodes.title):
            return f"{'#' * level} {self.inline(node)}"
        if isinstance(node, nodes.paragraph):
            return self.inline(node)
        if isinstance(node, nodes.literal_block):
            return f"```{node.get('language', '')}\n{node.astext().rstrip()}\n```"
        if isinstance(node, _LISTS):
            return "\n".join(self._item(child, level) for child in node.children)
        if isinstance(node, nodes.table):
            return "\n".join(self._rows(node))
        if isinstance(node, addnodes.desc):
            return self._entry(node, level)
        if isinstance(node, _GROUPS):
            return self.blocks(node, level)
        return _nothing(node)

    def _item(self, node: Any, level: int) -> str:
        text = self.blocks(node.children[-1] if isinstance(node, nodes.field) else node, level)
        if isinstance(node, nodes.field):
            end = ":\n" if "\n" in text else ": "
            text = node.children[0].astext() + end + text
        return f"- {text}".replace("\n", "\n  ")

    def _rows(self, table: nodes.table) -> Iterator[str]:
        for number, row in enumerate(table.findall(nodes.row)):
            cells = [self.blocks(entry).replace("\n", " ").replace("|", "\\|") for entry in row.children]
            yield f"| {' | '.join(cells)} |"
            if number == 0:
                yield f"|{'---|' * len(cells)}"

    def _entry(self, node: addnodes.desc, level: int) -> str:
        """Return a name of the reference: its signatures as code, then its description."""
        *signatures, content = node.children
        lines = [re.sub(r"\s+", " ", signature.astext()) for signature in signatures]
        return "\n\n".join(filter(None, ["\n".join(["```python", *lines, "```"]), self.blocks(content, level)]))

    def inline(self, parent: nodes.Element) -> str:
        """Return the text of a paragraph or a title, with its code and links."""
        return "".join(self._words(child) for child in parent.children)

    def _words(self, node: Any) -> str:
        if isinstance(node, nodes.Text):
            return str(node.astext())
        if isinstance(node, _CODE):
            return f"`{node.astext()}`"
        if isinstance(node, nodes.image):
            shown = "only-dark" not in node["classes"]  # the same picture in other colours
            return f"![{node['alt']}]({self._from_folder(self.pictures[node['uri']])})" if shown else ""
        if isinstance(node, addnodes.download_reference):
            return f"[{self.inline(node)}]({self._from_folder('_downloads/' + node['filename'])})"
        if isinstance(node, nodes.reference):
            text = self.inline(node)
            # A name of the reference is its own address, and there are thousands of links to them.
            return text if text.startswith("`") else f"[{text}]({self._link(node)})"
        if isinstance(node, (nodes.inline, *_MARKS)):
            mark = _MARKS.get(type(node), "")
            return f"{mark}{self.inline(node)}{mark}"
        return _nothing(node)

    def _link(self, node: nodes.reference) -> str:
        target = node["refuri"] if "refuri" in node else f"#{node['refid']}"
        return str(target) if urlsplit(target).netloc else self._from_folder(urljoin(self.page, target))

    def _from_folder(self, address: str) -> str:
        return relpath(address, self.folder or ".")


def _nothing(node: nodes.Node) -> str:
    if not isinstance(node, _OMITTED):
        raise NotImplementedError(f"{type(node).__name__} in {node.source}: llms.py cannot write it as Markdown")
    return ""


def _chapters(app: Sphinx) -> Iterator[tuple[str, list[str]]]:
    """Return the captions of the first page's tables of contents, each with its pages."""
    for toctree in app.env.get_doctree(app.config.root_doc).findall(addnodes.toctree):
        pages: list[str] = []
        for _, name in toctree["entries"]:
            pages += app.env.toctree_includes.get(name) or [name]  # of a table of contents, its pages
        yield toctree["caption"], pages


def write(app: Sphinx, failure: Exception | None) -> None:
    """Write all files, after Sphinx has written the site."""
    if failure is not None or app.builder.format != "html":
        return
    pictures = {uri: f"_images/{name}" for uri, name in app.builder.images.items()}
    chapters = dict(_chapters(app))
    listed: dict[str, str] = {}  # the line of each page in llms.txt
    full: list[str] = []
    for name in [app.config.root_doc, *(name for names in chapters.values() for name in names)]:
        tree, page = app.env.get_and_resolve_doctree(name, app.builder), app.builder.get_target_uri(name)
        Path(app.outdir, f"{page}.md").write_text(Markdown(page, dirname(page), pictures).blocks(tree) + "\n")
        title, _, body = Markdown(page, "", pictures).blocks(tree).partition("\n\n")
        listed[name] = f"- [{title.removeprefix('# ')}]({page}.md): {_first_sentence(body)}"
        full.append(f"{title}\n\nPage: {page}\n\n{body}\n")
    title, _, about = full[0].split("\n\n")[:3]
    parts = [title, f"> {about}".replace("\n", " "), "[The text of all pages in one file](llms-full.txt)."]
    for caption, names in chapters.items():
        parts += [f"## {caption}", "\n".join(listed[name] for name in names)]
    Path(app.outdir, "llms.txt").write_text("\n\n".join(parts) + "\n")
    Path(app.outdir, "llms-full.txt").write_text("\n".join(full))


def _first_sentence(body: str) -> str:
    paragraph = body.partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.:?]) ", paragraph)[0].removesuffix(":")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
