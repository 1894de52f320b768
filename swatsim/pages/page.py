"""A page from the document of a run, a comparison, a sweep or an exploration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from swatsim.charts.colors import COLORS
from swatsim.pages import comparison, exploration, run, sweep
from swatsim.pages.assets import BASE, asset, source_hash
from swatsim.pages.markup import element, text
from swatsim.pages.provenance import provenance
from swatsim.pages.section import Section

_KINDS = {
    "swatsim-report": run,
    "swatsim-comparison": comparison,
    "swatsim-sweep": sweep,
    "swatsim-exploration": exploration,
}
_FOLDER = ("swatsim.pages", "page_assets")


def page_of(text_of_document: str) -> bytes:
    """Write the page that `swatsim report` makes of a document with this text."""
    return to_page(json.loads(text_of_document), hashlib.sha256(text_of_document.encode()).hexdigest())


def to_page(document: Mapping[str, Any], digest: str) -> bytes:
    """Write the page; `digest` is the SHA-256 of the document's file. The same document gives the same bytes."""
    kind = _KINDS[document["format"]]
    parts = [*kind.sections(document), Section("provenance", "Provenance", provenance(document, digest))]
    links = [element("a", text(part.title), href=f"#{part.key}") for part in parts]
    style = "\n".join((asset(*BASE), asset(*_FOLDER, "report.css"), *_colors()))
    script = asset(*_FOLDER, "report.js")
    title = text(kind.title(document))
    policy = f"default-src 'none'; style-src {source_hash(style)}; script-src {source_hash(script)}; base-uri 'none'"
    return "\n".join((
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        element("title", f"{title} – swatsim"),
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        element("header", element("h1", title) + element("nav", links, aria_label="Parts of this page")),
        "<main>",
        *(element("section", element("h2", part.title, id=f"{part.key}-heading") + part.content, id=part.key,
                  aria_labelledby=f"{part.key}-heading") for part in parts),
        "</main>",
        '<div id="tip" hidden></div>',
        f"<script>{script}</script>",
        "</body>",
        "</html>\n",
    )).encode()  # fmt: skip


def _colors() -> tuple[str, ...]:
    """Classes for what is drawn, and their colors on white and on black."""
    light, dark = ("".join(f"--{name}:{both[number]};" for name, both in COLORS.items()) for number in (0, 1))
    classes = "".join(f".{name}{{fill:var(--{name});stroke:var(--{name})}}" for name in COLORS)
    return (
        f":root{{{light}}}", f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}", classes,
    )  # fmt: skip
