from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

from aiohttp.test_utils import TestClient

from config.settings import Settings
from gpuscout.market.earlier import Earlier
from gpuscout.market.models import SeriesKey
from tests.web.conftest import Opener
from tests.web.fakes import Clock, FakeMarket, quote, status
from web.markdown import read_methodology, render

Client = TestClient  # type: ignore[type-arg]


class Page(HTMLParser):
    """What a test asks of a page: links, texts by tag, and anything that the policy would block."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.blocked: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on"):
                self.blocked.append(f"{tag} {name}")
        if tag in ("script", "style", "iframe"):
            self.blocked.append(tag)

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.texts.setdefault(tag, []).append(" ".join(data.split()))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    @property
    def text(self) -> str:
        return " ".join(word for words in self.texts.values() for word in words)


async def page(client: Client, path: str) -> Page:
    response = await client.get(path)
    assert (response.status, response.content_type, response.charset) == (200, "text/html", "utf-8")
    found = Page(await response.text())
    assert found.blocked == []
    return found


async def test_the_market_table(client: Client) -> None:
    found = await page(client, "/")
    raw = await (await client.get("/")).text()
    assert raw.index("RTX 4090") < raw.index("H100 SXM") < raw.index("RTX 3090")
    for text in ("$0.36", "$0.27", "48%", "2,402 / 4,986", "5 min", "Vast.ai"):
        assert text in found.text, (text, found.text)
    assert "SIMULATED" not in raw
    assert "https://500.farm" in found.links and "/methodology" in found.links
    assert raw.count('<tr class="stale">') == 1 and "thin" in found.text


async def test_every_link_of_the_page_leads_somewhere(open_web: Opener) -> None:
    from tests.web.fakes import Painter

    client = await open_web(charts=Painter())
    links = {link for link in (await page(client, "/")).links if link.startswith("/")}
    assert any(link.startswith("/chart/x-strange-card.webp") for link in links)
    for link in links:
        assert (await client.get(link)).status == 200, link


async def test_a_simulated_market_wears_its_badge_on_every_page(open_web: Opener) -> None:
    settings = Settings(_env_file=None, market_source="simulator")  # type: ignore[call-arg]
    client = await open_web(settings=settings)
    for path in ("/", "/methodology"):
        assert "SIMULATED" in (await page(client, path)).text


async def test_names_from_outside_never_become_markup(client: Client, market: FakeMarket) -> None:
    evil = quote("x-<img src=x onerror=alert(1)>", platform='"><script>', source="<b>me</b>")
    market.stored.append(evil)
    found = await page(client, "/")
    assert "script" not in found.texts and "b" not in found.texts
    assert "<b>me</b>" in found.text


async def test_before_and_after_there_are_data(client: Client, market: FakeMarket, clock: Clock) -> None:
    clock.advance(timedelta(hours=5))
    found = await page(client, "/")
    assert "Data temporarily unavailable" in found.text and "table" not in found.texts
    market.stored.clear()
    market.statuses = [status(last_source_time=None, last_success=None)]
    assert "First data in about 180 s" in (await page(client, "/")).text


async def test_assets_can_be_kept_forever_under_their_own_address(client: Client) -> None:
    links = [link for link in (await page(client, "/")).links if link.startswith("/static/")]
    kinds = set()
    for link in links:
        response = await client.get(link)
        kinds.add(response.content_type)
        assert response.status == 200 and "max-age=31536000" in response.headers["Cache-Control"]
    assert kinds == {"text/css", "image/svg+xml"}
    assert "max-age=300" in (await client.get("/static/site.css?v=old")).headers["Cache-Control"]


async def test_the_methodology_page(client: Client) -> None:
    found = await page(client, "/methodology")
    assert found.texts["h1"] == ["How figures are made"]
    assert "what-counts" in found.ids
    raw = await (await client.get("/methodology")).text()
    assert "&lt;b&gt;x&lt;/b&gt;" in raw and 'class="align-right"' in raw


def test_markdown_is_safe_and_linkable() -> None:
    html = render("# A\n\n## Same\n\n## Same\n\n## ü?\n\n[x](javascript:alert(1)) <script>alert(1)</script>\n")
    assert 'id="same"' in html and 'id="same-2"' in html and 'id="u"' in html
    assert "<script" not in html and 'href="javascript' not in html


def test_the_page_that_ships_is_whole() -> None:
    html = render(read_methodology())
    assert html.count("<h2") >= 3 and "demand" in html.lower() and "style=" not in html


async def test_movers_stand_above_the_table(client: Client, market: FakeMarket) -> None:
    text = await (await client.get("/")).text()
    assert "Up in 24 h" not in text, "nothing is known of yesterday"
    market.past[SeriesKey("vast", "rtx-4090")] = Earlier(0.30, 0.45, 60.0, 5000)
    market.past[SeriesKey("vast", "h100-sxm")] = Earlier(2.5, 0.45, 60.0, 3)
    market.stored.append(quote("rtx-5090"))  # another data version
    text = await (await client.get("/")).text()
    up, down = text.index("Up in 24 h"), text.index("Down in 24 h")
    assert up < text.index("▲ +20.0%") < down < text.index("▼ −16.0%") < text.index("<table>")
    assert 'title="Fewer than ten GPUs, now or then"' in text[down : text.index("<table>")]
