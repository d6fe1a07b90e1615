"""A stand-in for Vast.ai's offers, on the machines of the simulated market."""

from sandbox.vast.server import FIRST_PAGE, PATH, VastStandIn

__all__ = ["FIRST_PAGE", "PATH", "VastStandIn"]
