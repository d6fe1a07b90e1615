"""The web role's composition; imported only where the role runs."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Literal

from bot.mail_role import MailRoom
from bot.parts import Parts
from config.i18n import translator_for
from gpuscout.cards.chart_spec import price_chart
from gpuscout.charts.model import ChartSpec
from gpuscout.charts.pool import ChartRenderer
from gpuscout.market.models import History, PriceView
from gpuscout.market.reader import MarketReader
from gpuscout.telemetry.metrics import Metrics
from gpuscout.telemetry.usage import UsageRecorder
from web.app import WebServer
from web.services import ReadinessCheck, WebLimits, WebServices


def make_web_server(
    parts: Parts,
    market: MarketReader,
    charts: ChartRenderer,
    metrics: Metrics,
    usage: UsageRecorder,
    version: str,
    readiness: Sequence[ReadinessCheck],
    mail: MailRoom | None = None,
) -> WebServer:
    """The server of pages, API, health and metrics."""

    def chart_spec(
        view: PriceView, history: History, *, timezone: str, image_format: Literal["webp", "png"]
    ) -> ChartSpec:
        platform = parts.platforms.get(view.platform)
        name = platform.name if platform else view.platform
        return price_chart(history, view, name, translator_for(None), timezone=timezone, image=image_format)

    return WebServer(
        WebServices(
            settings=parts.settings,
            market=market,
            catalogue=parts.gpus,
            platforms=parts.platforms,
            metrics=metrics,
            charts=charts,
            chart_spec=chart_spec,
            readiness=readiness,
            usage=usage,
            clock=parts.clock,
            version=version,
            mail=mail.desk if mail is not None else None,
            mail_events=mail.door if mail is not None else None,
            limits=WebLimits(
                trusted_proxies=tuple(ip_network(network) for network in parts.settings.web_trusted_proxies)
            ),
        )
    )
