"""What can go wrong with webhooks, as one sentence a member can act on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cogs.errors import Mention, Refusal
from config.i18n import Text
from gpuscout.delivery.webhook_url import BadAddress
from gpuscout.delivery.webhooks import NoSuchWebhook, NothingToSign, StillUnderWay
from storage.webhooks import SecondEndpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


class WebhookRefusal(Refusal):
    """A refusal with a sentence of its own."""

    def __init__(self, outcome: str, said: Callable[[Text, Mention], str], detail: str) -> None:
        self.outcome = outcome
        self._said = said
        super().__init__(detail)

    def sentence(self, t: Text, mention: Mention) -> str:
        return self._said(t, mention)


def _address(error: BadAddress, t: Text) -> str:
    return {
        "scheme": t("The address must begin with https:// so that nobody on the way reads what is sent."),
        "userinfo": t("The address must not hold a user name or password; put a token into its path instead."),
        "host": t("The address must name a host of the public internet, such as hooks.example.com."),
        "private": t("That address is not on the public internet, so I do not connect to it."),
        "port": t("Only the ports 443 and 8443 are possible; leave the port out to use 443."),
        "discord": t(
            "That is a Discord address but not a channel webhook's: copy it from the channel's settings, under "
            "Integrations, Webhooks."
        ),
    }.get(error.fault, t("That is not an address; give one such as https://hooks.example.com/gpuscout."))


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the domain refuses into a sentence."""
    try:
        yield
    except BadAddress as error:
        bad = error
        raise WebhookRefusal("bad_value", lambda t, _: _address(bad, t), str(error)) from error
    except SecondEndpoint as error:
        raise WebhookRefusal(
            "duplicate",
            lambda t, mention: t(
                "There is a webhook at this address already: see {list}.", list=mention("webhook list")
            ),
            "second endpoint",
        ) from error
    except NoSuchWebhook as error:
        raise WebhookRefusal(
            "unknown_name",
            lambda t, mention: t(
                "There is no such webhook of yours, or it was removed: see {list}.", list=mention("webhook list")
            ),
            "no such webhook",
        ) from error
    except NothingToSign as error:
        raise WebhookRefusal(
            "bad_value",
            lambda t, _: t("A Discord channel's webhook has no signing secret: its address is the secret."),
            "nothing to sign",
        ) from error
    except StillUnderWay as error:
        raise WebhookRefusal(
            "busy",
            lambda t, _: t(
                "Not now: it is on its way, was tried less than 30 seconds ago, or its webhook is switched off."
            ),
            "still under way",
        ) from error
