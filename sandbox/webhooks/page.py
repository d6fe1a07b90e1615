"""The receiver's page: what came, whether it is genuine, and switches for bad days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandbox.webhooks.receiver import Behaviour, Received

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--mute:#777;--good:#2a8a4a;--bad:#c33;--wait:#b07800}
@media(prefers-color-scheme:dark){:root{--mute:#9a9a9a;--good:#5fce85;--bad:#ff7b7b;--wait:#f0b232}}
*{box-sizing:border-box}body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:56rem;padding:1.25rem}
h1{font-size:1.35rem;margin:0 0 .25rem}p{margin:.25rem 0}.mute{color:var(--mute);font-size:.9rem}
code,pre{font:13px/1.45 ui-monospace,monospace}code{overflow-wrap:anywhere}
form{display:flex;gap:.5rem;flex-wrap:wrap;margin:.6rem 0}input{flex:1 1 16rem;min-width:0}
input,button{font:inherit;padding:.4rem .7rem;border:1px solid var(--line);border-radius:.4rem}
button{cursor:pointer}button[aria-pressed=true]{outline:2px solid currentColor}
article{border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem;margin:.7rem 0}
header{display:flex;gap:.8rem;flex-wrap:wrap;align-items:baseline}header b{font-size:1.05rem}
.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}
pre{overflow:auto;max-height:20rem;margin:.5rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere}
"""
_SWITCHES: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("Takes it", {}),
    ("Answers 500", {"status": "500"}),
    ("Answers 410: gone", {"status": "410"}),
    ("Is slow: 20 s", {"seconds": "20"}),
)
_SHOWN: Final = 50


def render_page(received: Sequence[Received], how: Behaviour, url: str, secrets: int) -> str:
    """The page, newest request first."""
    known = f"{secrets} secret{'' if secrets == 1 else 's'} known" if secrets else "no secret known yet"
    cards = "".join(_card(one) for one in received[:_SHOWN]) or '<p class="mute">Nothing came yet.</p>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Webhook receiver</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Webhook receiver</h1><p>Give <code>/webhook add</code> this address: <code>{escape(url)}</code></p>"
        f'<p class="mute">It stands for your own program: {known}. <a href="/">Reload</a></p>'
        '<form method="post" action="/secret"><input name="secret" aria-label="Signing secret" '
        'placeholder="whsec_… as it was shown once" autocomplete="off" required><button>Verify with it</button></form>'
        f"<div>{_switches(how)}</div><main>{cards}</main></body></html>"
    )


def _switches(how: Behaviour) -> str:
    forms = []
    for label, values in _SWITCHES:
        on = how.status == int(values.get("status", 204)) and how.seconds == float(values.get("seconds", 0))
        fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in values.items())
        forms.append(f'{fields}<button aria-pressed="{"true" if on else "false"}">{escape(label)}</button>')
    return "".join(
        f'<form method="post" action="/control" style="display:inline-flex;margin:.2rem .4rem .2rem 0">{form}</form>'
        for form in forms
    )


def _card(one: Received) -> str:
    event = one.headers.get("x-gpuscout-event") or ("Discord message" if "/api/webhooks/" in one.path else one.path)
    if one.verified is True:
        mark = '<span class="good">✓ genuine</span>'
    elif one.verified is False:
        mark = f'<span class="bad">✗ {escape(one.problem or "not genuine")}</span>'
    else:
        mark = '<span class="mute">not verified: no secret</span>'
    answer = "went away before the answer" if one.status is None else f"answered {one.status}"
    tone = "good" if one.status is not None and one.status < 300 else "bad"
    at = one.at.strftime("%H:%M:%S")
    delivery = f"<code>{escape(one.delivery)}</code>" if one.delivery else ""
    return (
        f'<article><header><b>{escape(event)}</b>{mark}<span class="{tone}">{answer}</span>'
        f'<span class="mute">{at} {delivery}</span></header><pre>{escape(_pretty(one.body))}</pre></article>'
    )


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)[:6000]
    except ValueError:
        return body[:6000].decode("utf-8", "replace")
