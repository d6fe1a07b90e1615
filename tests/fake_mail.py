"""A member's e-mail in memory, with the manners of the real desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gpuscout.delivery.mail.address import parse_address
from gpuscout.delivery.mail.desk import MEMBER_LIMIT, MailPanel, TooManyLinks
from gpuscout.delivery.mail.models import Group


@dataclass
class FakeDesk:
    available: bool = True
    panels: dict[int, MailPanel] = field(default_factory=dict)
    asked: dict[int, list[str]] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime(2026, 1, 2, tzinfo=UTC)

    async def panel(self, member_id: int) -> MailPanel:
        return self.panels.get(member_id, MailPanel(self.available))

    async def ask(self, member_id: int, typed: str, locale: str) -> str:
        address = parse_address(typed)
        asked = self.asked.setdefault(member_id, [])
        if len(asked) >= MEMBER_LIMIT:
            raise TooManyLinks
        asked.append(address)
        self.panels[member_id] = replace(await self.panel(member_id), pending=address)
        return address

    def follow(self, member_id: int) -> None:
        """The member follows his newest link."""
        address = self.asked[member_id][-1]
        self.panels[member_id] = MailPanel(
            True, address, self.clock(), preferences="https://gpuscout.example/mail/preferences?t=x"
        )

    async def switch(self, member_id: int, on: bool) -> MailPanel:
        known = await self.panel(member_id)
        off = on is False
        if known.address is not None and known.off_reason in (None, "member"):
            known = replace(known, off_reason="member" if off else None, off_at=self.clock() if off else None)
        self.panels[member_id] = known
        return known

    async def want(self, member_id: int, group: Group, wanted: bool) -> MailPanel:
        known = await self.panel(member_id)
        declined = known.declined - {group} if wanted else known.declined | {group}
        self.panels[member_id] = replace(known, declined=declined)
        return self.panels[member_id]

    async def forget(self, member_id: int) -> bool:
        return self.panels.pop(member_id, None) is not None
