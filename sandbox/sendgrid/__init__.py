"""SendGrid on loopback: takes mail as the real one does, shows it, and says what became of it."""

from sandbox.sendgrid.server import SandboxSendGrid

__all__ = ["SandboxSendGrid"]
