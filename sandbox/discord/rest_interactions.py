"""REST: first answers to interactions, and the webhook that their token is."""

from __future__ import annotations

from aiohttp import web

from sandbox.discord.interactions import Interactions
from sandbox.discord.messages import Messages
from sandbox.discord.replies import Replies
from sandbox.discord.rest import Call, Reply, RestApi


class InteractionRoutes:
    """Callback, original answer and follow-ups."""

    def __init__(self, interactions: Interactions, replies: Replies, messages: Messages) -> None:
        self._interactions = interactions
        self._replies = replies
        self._messages = messages

    def routes(self, api: RestApi) -> list[web.RouteDef]:
        """All routes of this file; the token in the path is the key to each."""
        hook = "/webhooks/{webhook_id}/{webhook_token}"
        message = f"{hook}/messages/{{message_id}}"
        callback = "/interactions/{interaction_id}/{interaction_token}/callback"
        return [
            api.route("POST", callback, self.callback, public=True),
            api.route("POST", hook, self.follow_up, public=True),
            api.route("GET", message, self.get, public=True),
            api.route("PATCH", message, self.edit, public=True),
            api.route("DELETE", message, self.delete, public=True),
        ]

    async def callback(self, call: Call) -> Reply:
        """POST /interactions/{interaction_id}/{interaction_token}/callback."""
        token = call.text("interaction_token")
        interaction = self._interactions.find(call.number("interaction_id"), token)
        response = self._interactions.callback(interaction, call.body, call.uploads)
        return Reply(response) if call.flag("with_response") else Reply(status=204)

    async def follow_up(self, call: Call) -> Reply:
        """POST /webhooks/{application_id}/{interaction_token}."""
        interaction = self._replies.open(call.number("webhook_id"), call.text("webhook_token"))
        message = self._replies.follow_up(interaction, call.body or {}, call.uploads)
        return Reply(self._messages.for_bot(message))

    async def get(self, call: Call) -> Reply:
        """GET /webhooks/…/messages/{message_id}."""
        interaction = self._replies.open(call.number("webhook_id"), call.text("webhook_token"))
        message = self._replies.message(interaction, call.text("message_id"))
        return Reply(self._messages.for_bot(message))

    async def edit(self, call: Call) -> Reply:
        """PATCH /webhooks/…/messages/{message_id}."""
        interaction = self._replies.open(call.number("webhook_id"), call.text("webhook_token"))
        message = self._replies.message(interaction, call.text("message_id"))
        self._replies.edit(interaction, message, call.body or {}, call.uploads)
        return Reply(self._messages.for_bot(message))

    async def delete(self, call: Call) -> Reply:
        """DELETE /webhooks/…/messages/{message_id}."""
        interaction = self._replies.open(call.number("webhook_id"), call.text("webhook_token"))
        self._messages.delete(self._replies.message(interaction, call.text("message_id")))
        return Reply(status=204)
