"""Errors as RFC 9457 problem details (``application/problem+json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

CONTENT_TYPE = "application/problem+json"


class ParameterError(BaseModel):
    """One parameter that was refused."""

    parameter: str = Field(description="Name of the parameter.")
    message: str = Field(description="What is wrong with it.")


class ProblemOut(BaseModel):
    """Body of every 4xx and 5xx answer (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(default="about:blank", description="Always about:blank: the status says what kind it is.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What went wrong and what to do, in a sentence.")
    id: str = Field(description="Id of the request, to quote when asking for help.")
    errors: list[ParameterError] = Field(default=[], description="Parameters that were refused.")


class Problem(Exception):
    """Ends a request with a problem document.

    Args:
        status: HTTP status, 400 to 599.
        detail: one sentence for a person; nothing secret and nothing that a caller sent unescaped into markup.
        headers: extra response headers, such as ``Retry-After``.
        members: extension members of the document; JSON values.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """The response for *problem*."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "id": request_id,
        **problem.members,
    }
    return web.Response(
        status=problem.status,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def retry_after(seconds: float) -> dict[str, str]:
    """``Retry-After`` in whole seconds, at least 1."""
    return {"Retry-After": str(max(1, int(-(-seconds // 1))))}
