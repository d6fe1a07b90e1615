"""A receiver of webhooks on loopback: what a member's own program would be."""

from sandbox.webhooks.receiver import Received, WebhookReceiver

__all__ = ["Received", "WebhookReceiver"]
