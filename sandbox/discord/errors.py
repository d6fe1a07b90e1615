"""Discord's REST errors: HTTP status, JSON code and the message that goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.discord.schema import error_tree
from sandbox.discord.validator import Problem

#: JSON code → (HTTP status, message), as Discord documents and answers them.
KNOWN: dict[int, tuple[int, str]] = {
    0: (401, "401: Unauthorized"),
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10014: (404, "Unknown Emoji"),
    10015: (404, "Unknown Webhook"),
    10029: (404, "Unknown Entitlement"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    20012: (403, "You are not authorized to perform this action on this application"),
    30032: (400, "Maximum number of application commands reached (100)"),
    30046: (429, "Maximum number of edits to messages older than 1 hour reached. Try again later"),
    40003: (403, "You are opening direct messages too fast"),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    40094: (400, "Application reached the follow-up limit of 5 for this user-installed interaction"),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50013: (403, "Missing Permissions"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50109: (400, "The request body contains invalid JSON."),
    50278: (403, "Cannot send messages to this user due to having no mutual guilds"),
}


class ApiError(Exception):
    """An error answer of the REST API.

    Args:
        code: Discord's JSON error code; its status and message come from :data:`KNOWN`.
        status: HTTP status where it differs from the usual one.
        message: text where it differs from the usual one.
        errors: Discord's nested ``errors`` object of 50035.
    """

    def __init__(
        self,
        code: int,
        *,
        status: int | None = None,
        message: str | None = None,
        errors: dict[str, Any] | None = None,
    ) -> None:
        known_status, known_message = KNOWN.get(code, (400, "Bad Request"))
        self.code = code
        self.status = status if status is not None else known_status
        self.message = message if message is not None else known_message
        self.errors = errors
        super().__init__(f"{self.status} {self.code}: {self.message}")

    def body(self) -> dict[str, Any]:
        """The JSON that Discord would answer."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body


def invalid_form(problems: Iterable[Problem]) -> ApiError:
    """400/50035 with every problem under its field."""
    return ApiError(50035, errors=error_tree(problems))


def invalid_field(path: Iterable[str | int], code: str, message: str) -> ApiError:
    """400/50035 for one field."""
    return invalid_form([Problem(tuple(path), code, message)])


class ClientRefusal(Exception):
    """What a Discord client refuses before anything reaches the bot; the text is for the user."""
