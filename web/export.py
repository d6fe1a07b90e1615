"""``GET /api/v1/prices/{gpu}/history.csv``: history as a file, written while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from gpuscout.market.export import EXPORT_POINTS, header, lines
from web.api import MAX_SERIES, NOT_FOUND, HistoryPlan, plan_history
from web.problems import Problem
from web.router import CHUNK, Operation, parse_params
from web.schemas import ExportParams
from web.services import WebServices

PATH = "/api/v1/prices/{gpu}/history.csv"


class HistoryFile(BaseModel):
    """CSV with a header line: one row a point, with its source, method and whether it is simulated."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    plan: HistoryPlan


async def history_csv(services: WebServices, params: ExportParams) -> HistoryFile:
    """The same series as the JSON route, every point of the range, for spreadsheets and ``gpuscout backfill``."""
    plan = await plan_history(services, params)
    if len(plan.series) > MAX_SERIES:
        raise Problem(400, f"{len(plan.series)} series fit, at most {MAX_SERIES}: add a platform, region or tier.")
    return HistoryFile(plan=plan)


OPERATION = Operation(
    PATH, ExportParams, HistoryFile, history_csv, "History of a model as CSV", {404: NOT_FOUND}, 60, "text/csv"
)


async def _write(services: WebServices, plan: HistoryPlan) -> AsyncIterator[bytes]:
    """The file in pieces, one series read at a time."""
    yield header().encode()
    for key, _ in plan.series:
        history = await services.market.history(key, plan.start, plan.end, EXPORT_POINTS)
        piece: list[str] = []
        for line in lines(history, services.is_simulated):
            piece.append(line)
            if len(piece) == CHUNK:
                yield "".join(piece).encode()
                piece.clear()
                await asyncio.sleep(0)
        if piece:
            yield "".join(piece).encode()


def add_routes(app: web.Application, services: WebServices) -> None:
    """Register the route."""

    async def export(request: web.Request) -> web.Response:
        plan = (await OPERATION.handler(services, parse_params(ExportParams, request))).plan
        # Written after the headers went out.
        response = web.Response(body=_write(services, plan), content_type="text/csv", charset="utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{plan.gpu.slug}-history.csv"'
        response.headers["Cache-Control"] = f"public, max-age={OPERATION.max_age}"
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["Link"] = '</methodology>; rel="describedby"'
        if request.method != "HEAD":  # aiohttp would write the compressor's last bytes after an empty body
            response.enable_compression()
        return response

    app.router.add_get(PATH, export)
