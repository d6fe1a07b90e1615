"""A simulated GPU market and a stand-in for the 500.farm exporter that serves it."""

from sandbox.farm.clock import SimClock
from sandbox.farm.documents import document_v1, document_v2, render
from sandbox.farm.faults import Fault
from sandbox.farm.market import SEGMENTS, SERIES, Market, Snapshot
from sandbox.farm.server import MOUNT, FarmServer, RequestRecord
from sandbox.farm.stats import STATS_DTYPE

__all__ = [
    "MOUNT",
    "SEGMENTS",
    "SERIES",
    "STATS_DTYPE",
    "FarmServer",
    "Fault",
    "Market",
    "RequestRecord",
    "SimClock",
    "Snapshot",
    "document_v1",
    "document_v2",
    "render",
]
