"""What is sent to SendGrid, against SendGrid's own description; and the stand-in's part of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gpuscout.delivery.mail.models import Attachment
from gpuscout.delivery.mail.sendgrid import OutgoingMail, build_request
from sandbox.sendgrid.make_subset import make_subset
from sandbox.sendgrid.schema import mail_errors

SHARED = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared")) / "contracts"
PLAIN = OutgoingMail("m1", "ada@example.com", "Subject", "text", "<p>html</p>", "alert")
MAILS = {
    "plain": PLAIN,
    "declinable": OutgoingMail(
        "m2", "ada@example.com", "S", "t", "<p>h</p>", "digest", "reports", "https://x.example/mail/unsubscribe?t=a.b.c"
    ),
    "template": OutgoingMail(
        "m3", "ada@example.com", "S", "t", "h", "welcome1", "onboarding", template="d-1234abcd", data={"a": 1}
    ),
    "tracked": OutgoingMail("m4", "a@example.com", "S", "t", "h", "welcome1", variant="b", tracked=True),
    "picture": OutgoingMail(
        "m5", "a@example.com", "S", "t", "h", "alert", pictures=[Attachment("chart1.png", "image/png", b"\x89PNG")]
    ),
}
GROUPS = {"onboarding": 11, "reports": 12, "alerts": 13}


def read(name: str) -> dict[str, Any]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not there; set GPUSCOUT_SHARED")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def request(name: str) -> dict[str, Any]:
    return build_request(MAILS[name], "alerts@gpuscout.example", "GPUScout", GROUPS)


@pytest.mark.parametrize("name", MAILS)
def test_the_published_description_takes_it(name: str) -> None:
    document = read("sendgrid_mail_send.json")
    schema = {
        "$ref": "#/components/requestBodies/PostMailSend/content/application~1json/schema",
        "components": document["components"],
    }
    errors = list(Draft202012Validator(schema).iter_errors(request(name)))
    assert errors == []


@pytest.mark.parametrize("name", MAILS)
def test_the_stand_in_takes_it(name: str) -> None:
    assert mail_errors(request(name)) == []


def test_the_subset_is_that_of_the_description() -> None:
    documents = [read("sendgrid_mail_send.json"), read("sendgrid_suppressions.json")]
    carried = Path(__file__).parents[2] / "sandbox" / "sendgrid" / "openapi_subset.json"
    assert make_subset(documents) == json.loads(carried.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": None}, "from"),
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "nobody"}]}]}, "personalizations.0.to.0.email"),
        ({"subject": 5}, "subject"),
        ({"subject": None}, "subject"),
        ({"content": None}, "content"),
        ({"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "y"}]}, "content"),
        ({"asm": {}}, "asm.group_id"),
        ({"surprise": 1}, "surprise"),
        ({"headers": {"Subject": "x"}}, "headers.Subject"),
        ({"headers": {"X-A": "a\r\nBcc: b@example.com"}}, "headers.X-A"),
        ({"template_id": "mine"}, "template_id"),
    ],
)
def test_the_stand_in_refuses(change: dict[str, Any], field: str) -> None:
    body = {key: value for key, value in {**request("plain"), **change}.items() if value is not None}
    assert field in {each["field"] for each in mail_errors(body)}
