"""Boxes, lines and words as SVG, light and dark, that asks for nothing from elsewhere, fonts neither."""

from __future__ import annotations

from html import escape

PALETTES = {
    "light": {
        "ink": "#1f2430",
        "faint": "#697080",
        "line": "#8a92a3",
        "box": "#f4f6f9",
        "good": "#1f7a4d",
        "bad": "#b3372c",
        "warn": "#8a5a00",
        "accent": "#2456c4",
        "tint": "#e6edfb",
    },
    "dark": {
        "ink": "#e6e9ef",
        "faint": "#9aa3b5",
        "line": "#6f7889",
        "box": "#1d222b",
        "good": "#58c78e",
        "bad": "#f0776a",
        "warn": "#e2b25a",
        "accent": "#7da6ff",
        "tint": "#1b2740",
    },
}


class Drawing:
    """Boxes, lines and words, in the order in which they are put down."""

    def __init__(
        self, title: str, width: int, height: int, palette: dict[str, str], *, family: str = "system-ui, sans-serif"
    ) -> None:
        self._title, self._width, self._height, self._palette, self._family = title, width, height, palette, family
        self._parts: list[str] = []

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = "ink",
        size: int = 14,
        align: str = "middle",
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        for number, line in enumerate(text.split("\n")):
            self._parts.append(
                f'<text x="{x:.5g}" y="{y + number * (size + 5):g}" fill="{self._palette[colour]}" font-size="{size}"'
                f' text-anchor="{align}"{weight}>{escape(line)}</text>'
            )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        text: str = "",
        *,
        colour: str = "line",
        fill: str = "box",
        size: int = 14,
        bold: bool = False,
    ) -> None:
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{self._palette[fill]}"'
            f' stroke="{self._palette[colour]}" stroke-width="1.5"/>'
        )
        if text:
            lines = text.count("\n") + 1
            middle = y + height / 2 + size * 0.36 - (lines - 1) * (size + 5) / 2
            self.words(x + width / 2, middle, text, size=size, bold=bold)

    def typed(self, x: float, y: float, text: str, wide: float, *, colour: str, bold: bool) -> None:
        """Text in columns of a width, whatever font there is."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.5g}" y="{y:g}" fill="{self._palette[colour]}" font-size="13" xml:space="preserve"'
            f' textLength="{len(text) * wide:.5g}" lengthAdjust="spacingAndGlyphs"{weight}>{escape(text)}</text>'
        )

    def bar(self, x: float, y: float, width: float, height: float, *, colour: str) -> None:
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:.4g}" height="{height:g}" rx="3" fill="{self._palette[colour]}"/>'
        )

    def line(
        self,
        x: float,
        y: float,
        to_x: float,
        to_y: float,
        *,
        colour: str = "line",
        arrow: bool = True,
        dashed: bool = False,
    ) -> None:
        dashes = ' stroke-dasharray="5 5"' if dashed else ""
        head = f' marker-end="url(#{colour})"' if arrow else ""
        self._parts.append(
            f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{self._palette[colour]}"'
            f' stroke-width="1.8"{dashes}{head}/>'
        )

    def svg(self) -> str:
        heads = "".join(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0L10 5L0 10z" fill="{self._palette[name]}"/></marker>'
            for name in ("line", "good", "bad", "accent")
            if f"url(#{name})" in "".join(self._parts)
        )
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" width="{self._width}"'
            f' height="{self._height}" role="img" font-family="{self._family}">\n'
            f"<title>{escape(self._title)}</title>\n<defs>{heads}</defs>\n{body}\n</svg>\n"
        )
