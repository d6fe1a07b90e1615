"""Message components: the rules Discord applies beyond the schema, and what it adds to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.discord.errors import invalid_field

Json = dict[str, Any]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
SECTION, TEXT_DISPLAY, THUMBNAIL, MEDIA_GALLERY, FILE = 9, 10, 11, 12, 13
SEPARATOR, CONTAINER = 14, 17
LABEL, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 18, 19, 21, 22, 23
LINK_STYLE, PREMIUM_STYLE = 5, 6
MAX_COMPONENTS, MAX_ROWS, MAX_TEXT = 40, 5, 4000

#: Turns the url of a media item into Discord's unfurled media object.
MediaResolver = Callable[[str, tuple[str | int, ...]], Json]


def walk(
    components: list[Json], path: tuple[str | int, ...] = ("components",)
) -> Iterator[tuple[Json, tuple[str | int, ...]]]:
    """Every component in reading order, nested ones included, with its path in the body."""
    for index, component in enumerate(components):
        yield from _walk_one(component, (*path, index))


def _walk_one(component: Json, path: tuple[str | int, ...]) -> Iterator[tuple[Json, tuple[str | int, ...]]]:
    yield component, path
    yield from walk(component.get("components") or [], (*path, "components"))
    for key in ("accessory", "component"):
        if isinstance(component.get(key), dict):
            yield from _walk_one(component[key], (*path, key))


def find(components: list[Json], custom_id: str) -> Json | None:
    """The interactive component with that custom id."""
    for component, _ in walk(components):
        if component.get("custom_id") == custom_id:
            return component
    return None


def prepare(components: list[Json], *, v2: bool, media: MediaResolver | None) -> list[Json]:
    """A checked copy of ``components`` with ids assigned and media resolved.

    Raises:
        ApiError: 50035 for what Discord refuses: too many components, V2 types without the flag,
            duplicate custom ids, buttons and selects that contradict themselves.
    """
    result = copy.deepcopy(components)
    every = list(walk(result))
    if len(every) > MAX_COMPONENTS:
        message = f"Must be {MAX_COMPONENTS} or fewer in length."
        raise invalid_field(["components"], "BASE_TYPE_MAX_LENGTH", message)
    if not v2:
        if len(result) > MAX_ROWS:
            message = f"Must be {MAX_ROWS} or fewer in length."
            raise invalid_field(["components"], "BASE_TYPE_MAX_LENGTH", message)
        for index, component in enumerate(result):
            if component["type"] != ROW:
                message = 'Value of field "type" must be one of (1,).'
                raise invalid_field(["components", index, "type"], "UNION_TYPE_CHOICES", message)
    text = sum(len(c.get("content") or "") for c, _ in every if c["type"] == TEXT_DISPLAY)
    if text > MAX_TEXT:
        message = f"The text of all components must be {MAX_TEXT} or fewer in length."
        raise invalid_field(["components"], "BASE_TYPE_MAX_LENGTH", message)
    seen: set[str] = set()
    for component, path in every:
        _check_one(component, path)
        custom_id = component.get("custom_id")
        if custom_id in seen:
            message = "Component custom id cannot be duplicated"
            raise invalid_field([*path, "custom_id"], "COMPONENT_CUSTOM_ID_DUPLICATED", message)
        if custom_id:
            seen.add(custom_id)
        if media is not None:
            _resolve_media(component, path, media)
    _assign_ids(every)
    return result


def prepare_modal(data: Json) -> Json:
    """A checked copy of a modal with ids assigned.

    Raises:
        ApiError: 50035 for duplicate custom ids or a component that a modal cannot hold.
    """
    modal = copy.deepcopy(data)
    every = list(walk(modal["components"], ("data", "components")))
    if len(modal["components"]) > MAX_ROWS:
        message = f"Must be {MAX_ROWS} or fewer in length."
        raise invalid_field(["data", "components"], "BASE_TYPE_MAX_LENGTH", message)
    seen: set[str] = set()
    for component, path in every:
        custom_id = component.get("custom_id")
        if custom_id in seen:
            message = "Component custom id cannot be duplicated"
            raise invalid_field([*path, "custom_id"], "COMPONENT_CUSTOM_ID_DUPLICATED", message)
        if custom_id:
            seen.add(custom_id)
    _assign_ids(every)
    return modal


def _assign_ids(every: list[tuple[Json, tuple[str | int, ...]]]) -> None:
    taken: set[int] = set()
    for component, path in every:
        number = component.get("id")
        if number and number in taken:
            message = "Component id cannot be duplicated"
            raise invalid_field([*path, "id"], "COMPONENT_ID_DUPLICATED", message)
        if number:
            taken.add(number)
    following = 1
    for component, _ in every:
        if not component.get("id"):
            while following in taken:
                following += 1
            component["id"] = following
            taken.add(following)


def _check_one(component: Json, path: tuple[str | int, ...]) -> None:
    kind = component["type"]
    if kind == ROW:
        children = component["components"]
        selects = sum(1 for child in children if child["type"] in SELECTS)
        if len(children) > (1 if selects else 5):
            message = "An action row holds up to five buttons or one select."
            raise invalid_field([*path, "components"], "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message)
    elif kind == BUTTON:
        _check_button(component, path)
    elif kind in SELECTS:
        _check_select(component, path)


def _check_button(button: Json, path: tuple[str | int, ...]) -> None:
    style = button["style"]
    wanted = {LINK_STYLE: "url", PREMIUM_STYLE: "sku_id"}.get(style, "custom_id")
    if not button.get(wanted):
        raise invalid_field([*path, wanted], "BUTTON_COMPONENT_FIELD_REQUIRED", f"A {wanted} is required")
    for other in {"url", "sku_id", "custom_id"} - {wanted}:
        if button.get(other):
            message = f"{other} and {wanted} cannot be specified together"
            raise invalid_field([*path, other], "BUTTON_COMPONENT_FIELD_CONFLICT", message)
    if style != PREMIUM_STYLE and not button.get("label") and not button.get("emoji"):
        message = "A label or emoji is required"
        raise invalid_field([*path, "label"], "BUTTON_COMPONENT_INVALID_LABEL", message)
    button.setdefault("disabled", False)


def _check_select(select: Json, path: tuple[str | int, ...]) -> None:
    select.setdefault("min_values", 1)
    select.setdefault("max_values", 1)
    select.setdefault("placeholder", None)
    select.setdefault("disabled", False)
    if select["type"] != STRING_SELECT:
        return
    values = [option["value"] for option in select["options"]]
    if len(set(values)) < len(values):
        message = "The specified option value is already used"
        code = "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"
        raise invalid_field([*path, "options"], code, message)
    if select["max_values"] > len(values):
        message = f"Must be {len(values)} or fewer."
        raise invalid_field([*path, "max_values"], "SELECT_COMPONENT_MAX_VALUES", message)


def _resolve_media(component: Json, path: tuple[str | int, ...], media: MediaResolver) -> None:
    kind = component["type"]
    if kind == MEDIA_GALLERY:
        for index, item in enumerate(component["items"]):
            where = (*path, "items", index, "media", "url")
            item["media"] = _shown(media(item["media"]["url"], where))
            item.setdefault("description", None)
            item.setdefault("spoiler", False)
    elif kind == THUMBNAIL:
        component["media"] = _shown(media(component["media"]["url"], (*path, "media", "url")))
        component.setdefault("description", None)
        component.setdefault("spoiler", False)
    elif kind == FILE:
        url = component["file"]["url"]
        if not url.startswith("attachment://") and not url.startswith("/cdn/"):
            message = "A file component only takes attachment:// references"
            raise invalid_field([*path, "file", "url"], "FILE_COMPONENT_INVALID_URL", message)
        item = media(url, (*path, "file", "url"))
        component |= {"name": item.pop("name"), "size": item.pop("size"), "file": item}
        component.setdefault("spoiler", False)
    elif kind == CONTAINER:
        component.setdefault("accent_color", None)
        component.setdefault("spoiler", False)
    elif kind == SEPARATOR:
        component.setdefault("divider", True)
        component.setdefault("spacing", 1)


def _shown(item: Json) -> Json:
    """A media object without the two keys that only a file component shows."""
    return {key: value for key, value in item.items() if key not in ("name", "size")}
