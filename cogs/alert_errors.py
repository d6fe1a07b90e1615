"""What can be wrong with an alert, as one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.errors import Mention, Refusal
from config.i18n import Text
from gpuscout.alerts.ports import Absurd, AbsurdReason, RuleView
from gpuscout.cards.alert_text import Names, metric_name, rule_text, value_text
from gpuscout.cards.kit import plain


class UnknownCondition(Refusal):
    """What was typed is no kind of alert."""

    outcome = "unknown_name"

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(f"unknown condition {value[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "“{value}” is no kind of alert; pick one from the list that opens at “when” in {add}.",
            value=plain(self.value, 60),
            add=mention("alert add"),
        )


class Lacking(Refusal):
    """An option that this kind needs was left out. ``option`` is gpu, level, window or mine."""

    outcome = "bad_value"

    def __init__(self, option: str, example: str) -> None:
        self.option, self.example = option, example
        super().__init__(f"{option} is missing")

    def sentence(self, t: Text, mention: Mention) -> str:
        said = {
            "gpu": t("This alert needs a GPU, for example {example}: fill in “gpu”.", example=self.example),
            "level": t("This alert needs a level, for example {example}: fill in “level”.", example=self.example),
            "window": t("This alert needs a time, for example {example}: fill in “window”.", example=self.example),
        }
        return said.get(self.option) or t(
            "This alert needs one of your holdings or machines: fill in “mine”, or add one with {add}.",
            add=mention("portfolio add"),
        )


class BadLevel(Refusal):
    """What was typed is no level of this kind."""

    outcome = "bad_value"

    def __init__(self, value: str, example: str) -> None:
        self.value, self.example = value, example
        super().__init__(f"no level: {value[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "“{value}” is no level for this alert; write it like {example}.",
            value=plain(self.value, 40),
            example=self.example,
        )


class BadTime(Refusal):
    """What was typed is no length of time that fits here."""

    outcome = "bad_value"

    def __init__(self, value: str, examples: Sequence[str]) -> None:
        self.value, self.examples = value, tuple(examples)
        super().__init__(f"no time: {value[:80]!r}")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "“{value}” does not fit as a time here; write it like {examples}.",
            value=plain(self.value, 40),
            examples=", ".join(self.examples),
        )


class NotRule(Refusal):
    """A rule that is not there, or not the member's."""

    outcome = "not_found"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("That is not an alert of yours (any more); {list} shows those you have.", list=mention("alert list"))


class NotServerRule(Refusal):
    """A server's rule that is not there."""

    outcome = "not_found"

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("This server has no such alert (any more).")


class Same(Refusal):
    """There is an alert like this already."""

    outcome = "duplicate"

    def __init__(self, existing: RuleView, names: Names) -> None:
        self.existing, self.names = existing, names
        super().__init__(f"rule {existing.id} is the same")

    def sentence(self, t: Text, mention: Mention) -> str:
        said = t("You have this alert already: {rule}.", rule=rule_text(self.existing.rule.when, self.names, t))
        if self.existing.state == "paused":
            return f"{said} {t('It is paused; {resume} starts it again.', resume=mention('alert resume'))}"
        return f"{said} {t('{edit} changes it.', edit=mention('alert edit'))}"


class NoSense(Refusal):
    """A rule that could never fire, or would all the time."""

    def __init__(self, error: Absurd) -> None:
        self.reason: AbsurdReason = error.reason
        self.outcome = f"absurd_{error.reason}"
        self.current, self.metric = error.current, error.metric
        super().__init__(str(error))

    def sentence(self, t: Text, mention: Mention) -> str:
        now = ""
        if self.current is not None:
            now = t(
                "The {figure} is {value} now.",
                figure=metric_name(self.metric, t),
                value=value_text(self.metric, self.current, t),
            )
        said = {
            "far": t("That level is more than ten times off, so it would never be reached: is it what you meant?"),
            "within_tick": t("That is less than the smallest step that the source shows; choose a larger one."),
            "impossible": t("That can never happen; choose another level."),
            "no_data": t("There are no readings for that choice; leave platform or region out, or choose another GPU."),
            "past": t("That end lies in the past; choose a later one."),
            "not_a_member": t("A server has no portfolio, watchlist or digest of its own; choose a GPU."),
            "unknown_machine": t("The market lists no machine of that number now; check its id."),
            "none": t("You have no such holding; {add} adds one.", add=mention("portfolio add")),
        }[self.reason]
        return f"{said} {now}".strip()


class NothingToWatch(Refusal):
    """A rule over a portfolio or watchlist that is empty, or over the machines of a portfolio that has none."""

    outcome = "empty"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"empty {scope}")

    def sentence(self, t: Text, mention: Mention) -> str:
        if self.scope == "watchlist":
            return t("Your watchlist is empty; {add} puts a GPU on it.", add=mention("watchlist add"))
        if self.scope == "machines":
            return t(
                "No holding of yours names its machine; {add} with “machine” follows one.",
                add=mention("portfolio add"),
            )
        return t("Your portfolio is empty; {add} adds what you host.", add=mention("portfolio add"))


class RoleNotAllowed(Refusal):
    """A role that the server's admins did not allow me to mention."""

    outcome = "role_not_allowed"

    def __init__(self, role_id: int) -> None:
        self.role_id = role_id
        super().__init__(f"role {role_id} may not be mentioned")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t(
            "{role} is not among the roles that I may mention here; add it with {roles}.",
            role=f"<@&{self.role_id}>",
            roles=mention("server roles"),
        )
