"""Takes a picture of every card at desktop and phone width.

Run from the checkout: ``.venv/bin/python docs/make_pictures.py [--out docs/pictures] [--chromium PATH]``.
The bot is the real one, on SimCord's simulated Discord, with a market in memory that is marked as simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import simcord
from alert_shots import ALERT_SHOTS
from playwright.async_api import async_playwright

from bot.client import ScoutBot
from bot.gate import Allowance
from config.catalogue import GpuCatalogue
from config.settings import Settings
from gpuscout.alerts.messages import AlertItem
from gpuscout.alerts.rules import GpuScope, PriceRule
from gpuscout.charts.model import ChartSpec
from gpuscout.charts.pool import ChartImage
from gpuscout.charts.render import render
from gpuscout.market.models import Quote, SeriesKey, SourceStatus
from gpuscout.market.overview import Gone
from gpuscout.portfolio.models import HoldingDraft
from storage.digests import Owner
from storage.machines import MachineAsk
from tests.fakes import NOW, SEEN, FakeCharts, World, quote, side

SETTINGS = Settings(_env_file=None, public_url="https://gpuscout.example", market_source="simulator")
SIZES = {"desktop": (760, 1400), "phone": (400, 1400)}


class InlineCharts(FakeCharts):
    """Draws in this process: nothing else runs here."""

    async def render(self, spec: ChartSpec) -> ChartImage:
        return ChartImage(data=render(spec), mime="image/webp", extension="webp", key=spec.cache_key())


def simulated_world() -> World:
    """The fakes, marked as simulated, with a healthy source."""
    world = World(charts=InlineCharts())
    world.market.simulated = True
    world.market.past = {"rtx-5090": 0.948, "rtx-3060": 1.064, "quadro-rtx-4000": 0.9}
    world.market.first_seen = {"x-frobnicator-9000": NOW - timedelta(days=2)}
    world.market.gone = [Gone(SeriesKey("vast", "gtx-1080"), "GTX 1080", NOW - timedelta(days=3), 0.04, 12)]
    world.market.stored = [replace(quote, source="simulator") for quote in world.market.stored]
    world.market.health = [
        SourceStatus("simulator", NOW - timedelta(seconds=20), NOW - timedelta(seconds=20), SEEN, None, None, 412, 3)
    ]
    return world


Shot = Callable[["Stage"], Awaitable[Any]]


class Stage:
    """A server with one channel and one member, and the camera."""

    def __init__(self, env: simcord.Env, out: Path, browser: Any, playwright: Any, world: World) -> None:
        guild = env.create_guild(name="GPU hosts")
        self.env, self.out, self.browser, self.playwright, self.world = env, out, browser, playwright, world
        self.channel = guild.create_text_channel("market")
        self.alice = guild.add_member(env.create_user("alice"))
        env.bot.services.portfolios.evidence.lists = {"vast": "simulator"}

    async def shoot(self, name: str, message: Any, locale: str = "en-US") -> None:
        """One picture for each width."""
        for size, viewport in SIZES.items():
            preview = self.env.preview(
                self.channel,
                viewers=[self.alice],
                width=viewport[0],
                height=viewport[1],
                locale=locale,
                display="fixed",
            )
            async with preview:
                preview._capture_manager._browser = self.browser
                preview._capture_manager._playwright = _Kept()
                await preview.show(message)
                path = self.out / f"{name}-{size}.png"
                report = await preview.screenshot(path, viewport=viewport, allow_incomplete=True)
                preview._capture_manager._browser = None
                problems = [dict(d) for d in report.diagnostics if d.get("severity") == "error"]
                print(f"{path}  {report.output_width}x{report.output_height}", *problems)


class _Kept:
    """Keeps SimCord from stopping a browser that is shared by all pictures."""

    async def stop(self) -> None:
        return None


async def price_card(stage: Stage) -> None:
    result = await stage.alice.slash(stage.channel, "price", gpu="rtx-4090", range="30d")
    await stage.shoot("price", result.response)


async def thin_card(stage: Stage) -> None:
    result = await stage.alice.slash(stage.channel, "price", gpu="x-frobnicator-9000")
    await stage.shoot("price-thin", result.response)


async def data_card(stage: Stage) -> None:
    card = await stage.alice.slash(stage.channel, "price", gpu="rtx-4090")
    shown = await stage.alice.click(card.response, label="Show data")
    await stage.shoot("data", shown.response)


async def error(stage: Stage) -> None:
    result = await stage.alice.slash(stage.channel, "price", gpu="RTX 4900")
    await stage.shoot("did-you-mean", result.response)


async def mention(stage: Stage) -> None:
    await stage.alice.send(stage.channel, f"<@{stage.env.bot.user.id}> price RTX 4090 vast")
    await stage.shoot("mention", stage.channel.last_message)


async def status(stage: Stage) -> None:
    await stage.shoot("status", (await stage.alice.slash(stage.channel, "status")).response)


async def about(stage: Stage) -> None:
    await stage.shoot("about", (await stage.alice.slash(stage.channel, "about")).response)


async def compare(stage: Stage) -> None:
    result = await stage.alice.slash(stage.channel, "compare", gpus="RTX 4090, RTX 5090, RTX 3060", range="30d")
    await stage.shoot("compare", result.response)


async def compare_earnings(stage: Stage) -> None:
    listed = "RTX 4090, RTX 5090, RTX 3060, Quadro RTX 4000, Frobnicator 9000"
    result = await stage.alice.slash(stage.channel, "compare", gpus=listed, metric="earnings")
    await stage.shoot("compare-earnings", result.response)


async def market(stage: Stage) -> None:
    await stage.shoot("market", (await stage.alice.slash(stage.channel, "market")).response)


async def market_pages(stage: Stage) -> None:
    stage.world.market.stored += crowd()
    result = await stage.alice.slash(stage.channel, "market", sort="utilization")
    await stage.shoot("market-pages", result.response)


async def named(stage: Stage) -> None:
    await stage.alice.send(stage.channel, "Sell my two 4090s for a 5090, or wait for a B200?")
    shown = await stage.alice.context_menu(stage.channel, "Prices of GPUs named here", stage.channel.last_message)
    await stage.shoot("named", shown.response)


async def digest(stage: Stage) -> None:
    """A digest of two holdings with a month of history, a followed GPU, and an alert that fired."""
    member = stage.alice.id
    portfolios = stage.world.portfolios()
    rig = {"platform": "vast", "tariff": 0.12}
    await portfolios.add(member, HoldingDraft(gpu="rtx-4090", quantity=8, name="Garage", asked_price=0.35, **rig))
    await portfolios.add(member, HoldingDraft(gpu="rtx-5090", quantity=4, **rig))
    worth = (await portfolios.value(member)).totals
    for back in range(1, 30):
        at = NOW - timedelta(days=back)
        wave = 1 + 0.06 * math.sin(back / 3) - 0.004 * back
        stage.world.holding_rows.days[member, at.date()] = {
            "day": at.date(),
            "holdings": 2,
            "gpus": 12,
            "gross_day": worth.gross_day * wave,
            "net_day": worth.net_day * wave,
            "market_net_day": worth.market_net_day * (1 + 0.05 * math.sin(back / 3 + 1) - 0.004 * back),
            "at": at,
        }
    await stage.alice.slash(stage.channel, "watchlist add", gpu="rtx-3060")
    rule = PriceRule(scope=GpuScope(gpu="rtx-4090", platform="vast"), direction="below", level=0.34)
    fired = AlertItem(
        rule_id=1,
        when=rule,
        kind="price",
        happened="below",
        metric="price",
        gpu="rtx-4090",
        platform="vast",
        after=0.335,
        at=NOW - timedelta(hours=3),
    )
    stage.world.digest_rows.alerts[Owner(member_id=member)] = [(fired.at, fired.model_dump(mode="json"))]
    panel = await stage.alice.slash(stage.channel, "digest set")
    await stage.shoot("digest", (await stage.alice.click(panel.response, label="Preview")).response)


async def rigs(stage: Stage) -> None:
    """Three holdings, and two months of snapshots."""
    rows: list[dict[str, Any]] = [
        {"gpu": "rtx-4090", "quantity": 8, "price": 0.35, "name": "Rig 1", "verification": "verified"},
        {"gpu": "rtx-5090", "quantity": 4, "name": "Rig 2"},
        {"gpu": "rtx-3060", "quantity": 6, "price": 0.12, "name": "Old cards"},
    ]
    paid = [{"purchase_price": 16_000.0, "purchase_date": "2025-03-01"}, {"purchase_price": 10_000.0}, {}]
    for row, cost in zip(rows, paid, strict=True):
        await stage.alice.slash(stage.channel, "portfolio add", platform="vast", **row, **cost)
    for back in range(61):
        at = NOW - timedelta(days=back)
        net = 29 + 3 * math.sin(back / 9) + math.sin(back * 1.7)
        stage.world.holding_rows.days[stage.alice.id, at.date()] = {
            "day": at.date(),
            "holdings": 3,
            "gpus": 18,
            "gross_day": net * 2,
            "net_day": net,
            "market_net_day": net - 1.5 + 0.8 * math.cos(back / 7),
            "at": at,
        }


async def portfolio(stage: Stage) -> None:
    await rigs(stage)
    shown = await stage.alice.slash(stage.channel, "portfolio show")
    await stage.shoot("portfolio", shown.response)


async def portfolio_holding(stage: Stage) -> None:
    await rigs(stage)
    shown = await stage.alice.slash(stage.channel, "portfolio edit", holding="Rig 1", electricity=0.18)
    await stage.shoot("portfolio-holding", shown.response)
    how = await stage.alice.click(shown.response, label="How is this computed?")
    await stage.shoot("portfolio-how", how.response)


async def portfolio_evidence(stage: Stage) -> None:
    # A market in which the dearer half stands idle, so that there is something to say.
    stage.world.machine_rows.compared = [
        MachineAsk(round(0.24 + n / 2000, 4), 4, 4 if n % 10 < (9 if n < 280 else 2) else 0) for n in range(480)
    ]
    await stage.alice.slash(
        stage.channel, "portfolio add", gpu="rtx-4090", quantity=8, price=0.29, name="Rig 1", platform="vast"
    )
    shown = await stage.alice.slash(stage.channel, "portfolio advice")
    await stage.shoot("portfolio-advice", shown.response)
    (holding,) = stage.world.holding_rows.rows
    await stage.alice.select(shown.response, [holding])
    await stage.shoot("portfolio-evidence", shown.response)


async def portfolio_import(stage: Stage) -> None:
    text = b"gpu,quantity,price_usd_gpu_hour,platform\nRTX 4090,8,0.35,vast\nRTX 5090,four,0.4,vast\nRTX 9999,1,,\n"
    shown = await stage.alice.slash(stage.channel, "portfolio import", file=("rigs.csv", text))
    await stage.shoot("portfolio-import", shown.response)


async def roi(stage: Stage) -> None:
    shown = await stage.alice.slash(stage.channel, "roi", gpu="rtx-4090", price=1800.0)
    await stage.shoot("roi", shown.response)


def crowd() -> list[Quote]:
    """Enough models for several pages."""
    models = [model for model in GpuCatalogue.load().models if not model.is_family][20:40]
    return [
        quote(m.slug, side(40 + 9 * n, 0.1 + n / 50), side(160 - 6 * n, 0.1 + n / 50), side(200 + 3 * n, 0.1 + n / 50))
        for n, m in enumerate(models)
    ]


SHOTS: dict[str, Shot] = {
    "price": price_card,
    "price-thin": thin_card,
    "compare": compare,
    "compare-earnings": compare_earnings,
    "market": market,
    "market-pages": market_pages,
    "named": named,
    "portfolio": portfolio,
    "portfolio-holding": portfolio_holding,
    "portfolio-evidence": portfolio_evidence,
    "portfolio-import": portfolio_import,
    "roi": roi,
    "data": data_card,
    "did-you-mean": error,
    "mention": mention,
    "status": status,
    "about": about,
    "digest": digest,
    **ALERT_SHOTS,
}


async def take(out: Path, chromium: str, wanted: list[str]) -> None:
    """Take the pictures *wanted*, all when empty."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            for name, shot in SHOTS.items():
                if wanted and name not in wanted:
                    continue
                world = simulated_world()
                bot = ScoutBot(world.services(settings=SETTINGS), allowance=Allowance(burst=1000))
                async with simcord.run(bot, shard_count=1, settle_timeout=30.0, check_errors=False) as env:
                    env.backend.bot_user.name = "GPUScout"
                    with env.time_context():
                        await shot(Stage(env, out, browser, playwright, world))
        finally:
            await browser.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "")
    parser.add_argument("names", nargs="*", help="pictures to take; all by default")
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no Chromium found; give its path with --chromium")
    arguments.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(arguments.out, arguments.chromium, arguments.names))


if __name__ == "__main__":
    main()
