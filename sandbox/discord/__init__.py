"""A Discord of our own on loopback, on the wire: for the demo, and for tests of the whole bot."""

from sandbox.discord.actor import Actor, NotAnswered
from sandbox.discord.control_client import Control, Refused
from sandbox.discord.server import SandboxDiscord

__all__ = ["Actor", "Control", "NotAnswered", "Refused", "SandboxDiscord"]
