"""What a user may press, pick and type: components of messages and fields of modals."""

from __future__ import annotations

from typing import Any

from sandbox.discord.components import (
    BUTTON,
    CHECKBOX,
    CHECKBOX_GROUP,
    LABEL,
    LINK_STYLE,
    PREMIUM_STYLE,
    RADIO_GROUP,
    ROW,
    SELECTS,
    STRING_SELECT,
    TEXT_DISPLAY,
    TEXT_INPUT,
    find,
    walk,
)  # fmt: skip
from sandbox.discord.errors import ClientRefusal
from sandbox.discord.options import CHANNEL, MENTIONABLE, ROLE, USER, OptionReader

Json = dict[str, Any]

_ENTITY = {5: USER, 6: ROLE, 7: MENTIONABLE, 8: CHANNEL}


def use(message_components: list[Json], custom_id: str, values: Any, reader: OptionReader) -> Json:
    """The ``data`` of a component interaction.

    Raises:
        ClientRefusal: unknown or disabled component, or values it does not take.
    """
    component = find(message_components, custom_id)
    if component is None:
        raise ClientRefusal(f"This message has no component {custom_id!r}.")
    if component.get("disabled"):
        raise ClientRefusal("This component is disabled.")
    kind = component["type"]
    data: Json = {"custom_id": custom_id, "component_type": kind, "id": component["id"]}
    if kind == BUTTON:
        if component["style"] in (LINK_STYLE, PREMIUM_STYLE):
            raise ClientRefusal("This button opens a page and tells the bot nothing.")
        return data
    if kind in SELECTS:
        data["values"] = _select(component, values, reader)
        if kind != STRING_SELECT:
            data["resolved"] = reader.resolved
        return data
    raise ClientRefusal(f"Component {custom_id!r} cannot be used.")


def _select(select: Json, values: Any, reader: OptionReader) -> list[str]:
    given = [] if values is None else values
    if not isinstance(given, list) or len(set(map(str, given))) < len(given):
        raise ClientRefusal("A select takes a list of different values.")
    low, high = select.get("min_values", 1), select.get("max_values", 1)
    if low is None or (select.get("required") is False and not given):
        low = 0
    if not low <= len(given) <= (high or 1):
        raise ClientRefusal(f"Choose {low} to {high} options.")
    if select["type"] == STRING_SELECT:
        known = {option["value"] for option in select["options"]}
        for value in given:
            if not isinstance(value, str) or value not in known:
                raise ClientRefusal(f"{value!r} is not an option of this select.")
        return [str(value) for value in given]
    kind = _ENTITY[select["type"]]
    return [reader.entity(select["custom_id"], kind, value) for value in given]


def submit(modal: Json, values: Json, reader: OptionReader) -> Json:
    """The ``data`` of a modal submit interaction.

    Raises:
        ClientRefusal: an unknown field, or a value that its field does not take.
    """
    known = {c["custom_id"] for c, _ in walk(modal["components"]) if c.get("custom_id")}
    for custom_id in values:
        if custom_id not in known:
            raise ClientRefusal(f"This form has no field {custom_id!r}.")
    parts = [_part(component, values, reader) for component in modal["components"]]
    data: Json = {"custom_id": modal["custom_id"], "components": parts}
    if reader.resolved:
        data["resolved"] = reader.resolved
    return data


def _part(component: Json, values: Json, reader: OptionReader) -> Json:
    kind = component["type"]
    shown: Json = {"type": kind, "id": component["id"]}
    if kind == ROW:
        return shown | {"components": [_field(c, values, reader) for c in component["components"]]}
    if kind == LABEL:
        return shown | {"component": _field(component["component"], values, reader)}
    if kind == TEXT_DISPLAY:
        return shown
    return _field(component, values, reader)


def _field(field: Json, values: Json, reader: OptionReader) -> Json:
    kind, custom_id = field["type"], field["custom_id"]
    shown: Json = {"type": kind, "id": field["id"], "custom_id": custom_id}
    value = values.get(custom_id)
    if kind == TEXT_INPUT:
        return shown | {"value": _text(field, value)}
    if kind in SELECTS:
        if value is None:
            value = [o["value"] for o in field.get("options", []) if o.get("default")]
        return shown | {"values": _select(field, _as_list(value), reader)}
    if kind == RADIO_GROUP:
        if value is None:
            value = next((o["value"] for o in field["options"] if o.get("default")), None)
        if value is None and field.get("required", True):
            raise ClientRefusal(f"Field {custom_id!r} is required.")
        if value is not None and value not in [o["value"] for o in field["options"]]:
            raise ClientRefusal(f"{value!r} is not an option of field {custom_id!r}.")
        return shown | {"value": value}
    if kind == CHECKBOX_GROUP:
        if value is None:
            value = [o["value"] for o in field["options"] if o.get("default")]
        picked = _as_list(value)
        known = [o["value"] for o in field["options"]]
        low = field.get("min_values", 1 if field.get("required", True) else 0) or 0
        high = field.get("max_values") or len(known)
        if any(one not in known for one in picked) or not low <= len(picked) <= high:
            raise ClientRefusal(f"Field {custom_id!r} takes {low} to {high} of its options.")
        return shown | {"values": picked}
    if kind == CHECKBOX:
        picked_one = field.get("default", False) if value is None else value
        if not isinstance(picked_one, bool):
            raise ClientRefusal(f"Field {custom_id!r} takes true or false.")
        return shown | {"value": picked_one}
    return shown | {"values": _uploads(field, value, reader)}


def _uploads(field: Json, value: Any, reader: OptionReader) -> list[str]:
    files = _as_list(value)
    low = field.get("min_values", 1 if field.get("required", True) else 0) or 0
    high = field.get("max_values") or 1
    if not low <= len(files) <= high:
        raise ClientRefusal(f"Field {field['custom_id']!r} takes {low} to {high} files.")
    return [reader.attachment(field["custom_id"], item) for item in files]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(field: Json, value: Any) -> str:
    text = (field.get("value") or "") if value is None else value
    if not isinstance(text, str):
        raise ClientRefusal(f"Field {field['custom_id']!r} takes text.")
    if not text:
        if field.get("required", True):
            raise ClientRefusal(f"Field {field['custom_id']!r} is required.")
        return text
    low, high = field.get("min_length") or 0, field.get("max_length") or 4000
    if not low <= len(text) <= high:
        raise ClientRefusal(f"Field {field['custom_id']!r} takes {low} to {high} characters.")
    return text
