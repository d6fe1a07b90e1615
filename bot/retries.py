"""How jobs of the general worker are tried again, by kind; docs/operating.md says the same in words.

Kinds that are not named wait with :data:`storage.job_model.DEFAULT_BACKOFF`; the workers of notifications and of
webhooks have their own.
"""

from __future__ import annotations

from typing import Final

from bot.digests_role import TIDY_JOB
from bot.feed_role import FEED_BACKOFF
from bot.mail_role import MAIL_BACKOFF
from bot.notify_role import PURGE_JOB as DELIVERY_PURGE
from gpuscout.delivery.feed import PLAN_JOB as FEED_PLAN
from gpuscout.delivery.mail.jobs import PURGE_JOB as MAIL_PURGE
from gpuscout.digests.planner import PLAN_JOB as DIGESTS_PLAN
from gpuscout.market.ingest import ROLLUP_JOB
from storage.alerts_work import EVALUATE_JOB, SYNC_JOB
from storage.events import FANOUT_JOB
from storage.job_model import Backoff, Immediate, Linear, RetryStrategy

_OURS: Final = Immediate(tries=2, then=Backoff(base=1.0, cap=300.0))
"""Work on our own rows: what fails is a cut connection or a lock, which is over at once, or a defect."""
_TIDYING: Final = Linear(step=300.0, cap=3600.0)
"""Nobody waits for it, and a database that is busy with something else will be for a while."""

RETRIES: Final[dict[str, RetryStrategy]] = {
    **FEED_BACKOFF,
    **MAIL_BACKOFF,
    **dict.fromkeys((EVALUATE_JOB, SYNC_JOB, FANOUT_JOB, FEED_PLAN, DIGESTS_PLAN, ROLLUP_JOB), _OURS),
    **dict.fromkeys((DELIVERY_PURGE, MAIL_PURGE, TIDY_JOB), _TIDYING),
}
