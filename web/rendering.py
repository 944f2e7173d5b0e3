"""Pages from templates, and the prose of publishers made harmless."""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from nh3 import clean

from desk.hub import Hub

_FOLDER = Path(__file__).with_name("templates")
_TEMPLATES = Jinja2Templates(_FOLDER)
_STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")
#: names our one style sheet in the pages' content policy: no other style applies
STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
#: headings of a text stand below the page's own, which end with h2
_HIGHEST, _LOWEST = 3, 6
_TAGS = {
    *("p", "br", "hr", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h3", "h4", "h5", "h6", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page in the hub's frame."""
    shared = {"hub": request.app.state.settings.hub_name, "style": Markup(_STYLE)}  # noqa: S704 - our own file
    return _TEMPLATES.TemplateResponse(request, template, shared | context, status_code=status)


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


@lru_cache(maxsize=256)
def prose(text: str) -> Markup:
    """A publisher's Markdown as harmless HTML."""
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        _lower(token)
    written = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # nh3 is a whitelist: what it lets through is markup without scripts, styles or pictures
    harmless = clean(
        written,
        tags=_TAGS,
        attributes={"a": {"href", "title"}},
        url_schemes={"https", "http", "mailto"},
        link_rel="nofollow noopener noreferrer ugc",
    )
    return Markup(harmless)  # noqa: S704


def _lower(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(_LOWEST, max(_HIGHEST, int(token.tag[1:]) + 1))}"
