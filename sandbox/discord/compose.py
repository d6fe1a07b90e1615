"""Turns the body of a create or edit request into a message: files, embeds, components, mentions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sandbox.discord import components, media, wire
from sandbox.discord.errors import ApiError, invalid_field
from sandbox.discord.models import COMPONENTS_V2, EPHEMERAL, Message, StoredFile
from sandbox.discord.permissions import Perm
from sandbox.discord.state import World

Json = dict[str, Any]

MAX_CONTENT = 2000
MAX_EMBED_TEXT = 6000
MAX_FILE_BYTES = 10 * 1024 * 1024
#: Flags that a bot may set: suppress embeds, ephemeral, suppress notifications, components V2.
SETTABLE_FLAGS = 1 << 2 | EPHEMERAL | 1 << 12 | COMPONENTS_V2
_USER_MENTION = re.compile(r"<@!?(\d{1,20})>")
_ROLE_MENTION = re.compile(r"<@&(\d{1,20})>")
_UNSAFE_NAME = re.compile(r"[^\w.\-]+")
_ATTACHMENT = "attachment://"


@dataclass(slots=True)
class Upload:
    """One ``files[n]`` part of a multipart request."""

    index: int
    filename: str
    content_type: str
    data: bytes


def safe_name(filename: str) -> str:
    """The file name as Discord keeps it: no path, no spaces or special characters."""
    return _UNSAFE_NAME.sub("_", filename.replace("\\", "/").rsplit("/", 1)[-1])[:180] or "file"


def apply(world: World, message: Message, body: Json, uploads: list[Upload]) -> None:
    """Change ``message`` as ``body`` says; keys that are absent stay as they are.

    Raises:
        ApiError: what Discord would refuse. The message is then unchanged.
    """
    data = dict(message.data)
    if body.get("flags") is not None:
        kept = data["flags"] & ~(1 << 2 | 1 << 12)
        data["flags"] = kept | (body["flags"] & SETTABLE_FLAGS & ~EPHEMERAL)
    v2 = bool(data["flags"] & COMPONENTS_V2)
    if v2:
        _refuse_legacy_fields(data, body)
    files = _files(world, message, body, uploads)
    if "content" in body:
        data["content"] = _content(body["content"])
    if "embeds" in body:
        data["embeds"] = _embeds(body["embeds"] or [], files)
    if "components" in body:
        data["components"] = components.prepare(
            body["components"] or [], v2=v2, media=lambda url, path: _media(world, url, path, files)
        )
    elif v2 and not message.data["flags"] & COMPONENTS_V2:
        data["components"] = []
    in_embeds = {url for embed in data["embeds"] for url in _embed_urls(embed)}
    data["attachments"] = [f.attachment for f in files if f.attachment["url"] not in in_embeds]
    if not (data["content"] or data["embeds"] or data["components"] or files):
        raise ApiError(50006)
    if "content" in body or "allowed_mentions" in body or not message.data.get("mentions"):
        _mentions(world, message, data, body.get("allowed_mentions"))
    message.data, message.files = data, files


def _content(text: str | None) -> str:
    if text and len(text) > MAX_CONTENT:  # the schema's 4000 is for paying members
        raise invalid_field(["content"], "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_CONTENT} or fewer in length.")
    return text or ""


def _refuse_legacy_fields(data: Json, body: Json) -> None:
    for field in ("content", "embeds", "poll", "sticker_ids"):
        if body.get(field) or (field not in body and data.get(field)):
            message = f"The '{field}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
            code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
            raise invalid_field([field], code, message)


# -- files ---------------------------------------------------------------------------------


def _files(world: World, message: Message, body: Json, uploads: list[Upload]) -> list[StoredFile]:
    """The files the message has afterwards: those kept and the new ones."""
    listed: list[Json] | None = body.get("attachments")
    kept = message.files
    notes: dict[int, Json] = {}
    if listed is not None or "attachments" in body:
        notes = {int(entry["id"]): entry for entry in listed or []}
        kept = [f for f in message.files if int(f.attachment["id"]) in notes]
        for number in notes:
            known = any(int(f.attachment["id"]) == number for f in kept)
            if not known and all(upload.index != number for upload in uploads):
                problem = f"Attachment {number} was neither uploaded nor there before"
                raise invalid_field(["attachments"], "ATTACHMENT_NOT_FOUND", problem)
    new = [store_upload(world, message, u, notes.get(u.index, {})) for u in uploads]
    if len(kept) + len(new) > 10:
        problem = "Must be 10 or fewer in length."
        raise invalid_field(["attachments"], "BASE_TYPE_MAX_LENGTH", problem)
    return [*kept, *new]


def store_upload(world: World, message: Message, upload: Upload, note: Json) -> StoredFile:
    """An uploaded file as an attachment of the message.

    Raises:
        ApiError: 40005 when it is larger than :data:`MAX_FILE_BYTES`.
    """
    if len(upload.data) > MAX_FILE_BYTES:
        raise ApiError(40005)
    number = world.next_id()
    name = safe_name(note.get("filename") or upload.filename)
    # The id in the path keeps a replaced file of the same name from being served from a cache.
    path = f"{wire.CDN}attachments/{message.channel_id}/{number}/{name}"
    kind = media.content_type(name)
    if kind == "application/octet-stream" and upload.content_type:
        kind = upload.content_type
    attachment: Json = {
        "id": str(number),
        "filename": name,
        "size": len(upload.data),
        "url": path,
        "proxy_url": path,
        "content_type": kind,
        "flags": 0,
    }
    if note.get("description"):
        attachment["description"] = note["description"]
    if size := media.image_size(upload.data):
        attachment |= {"width": size[0], "height": size[1]}
    if message.visible_to is not None:
        attachment["ephemeral"] = True
    return StoredFile(attachment, kind, upload.data)


def _named(files: list[StoredFile], url: str) -> StoredFile | None:
    for stored in reversed(files):  # a new upload wins over an old file of the same name
        name = stored.attachment["filename"]
        if url in (_ATTACHMENT + name, stored.attachment["url"]) or (
            url.startswith(_ATTACHMENT) and safe_name(url.removeprefix(_ATTACHMENT)) == name
        ):
            return stored
    return None


def _media(world: World, url: str, path: tuple[str | int, ...], files: list[StoredFile]) -> Json:
    stored = _named(files, url)
    if stored is None:
        if url.startswith(_ATTACHMENT):
            name = url.removeprefix(_ATTACHMENT)
            code = "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"
            raise invalid_field(path, code, f"The referenced attachment {name} was not found")
        name = url.rsplit("/", 1)[-1]
        number = str(world.next_id())
        return {"id": number, "url": url, "proxy_url": url, "name": name, "size": 0}
    attachment = stored.attachment
    return {
        "id": attachment["id"],
        "attachment_id": attachment["id"],
        "url": attachment["url"],
        "proxy_url": attachment["proxy_url"],
        "width": attachment.get("width"),
        "height": attachment.get("height"),
        "content_type": attachment["content_type"],
        "name": attachment["filename"],
        "size": attachment["size"],
    }


# -- embeds --------------------------------------------------------------------------------


def _embed_text(embed: Json) -> int:
    parts = [embed.get("title"), embed.get("description")]
    parts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    for field in embed.get("fields") or []:
        parts += [field.get("name"), field.get("value")]
    return sum(len(part or "") for part in parts)


def _embed_urls(embed: Json) -> list[str]:
    urls = [embed.get(key, {}).get("url") for key in ("image", "thumbnail")]
    urls += [embed.get(key, {}).get("icon_url") for key in ("author", "footer")]
    return [url for url in urls if url]


def _embeds(embeds: list[Json], files: list[StoredFile]) -> list[Json]:
    if sum(map(_embed_text, embeds)) > MAX_EMBED_TEXT:
        message = f"Embed size exceeds maximum size of {MAX_EMBED_TEXT}"
        raise invalid_field(["embeds"], "MAX_EMBED_SIZE_EXCEEDED", message)
    result = []
    for embed in embeds:
        shown: Json = {k: v for k, v in embed.items() if v is not None} | {"type": "rich"}
        for key in ("image", "thumbnail"):
            if key in shown:
                url = shown[key].get("url")
                found = _named(files, url) if url else None
                if url and found is None and not url.startswith(_ATTACHMENT):
                    shown[key] = {"url": url, "proxy_url": url}
                elif found is not None:
                    kept = ("url", "proxy_url", "width", "height", "content_type")
                    shown[key] = {k: v for k, v in found.attachment.items() if k in kept}
                else:
                    del shown[key]  # Discord drops a picture that it was not given
        for key in ("author", "footer"):
            if icon := shown.get(key, {}).get("icon_url"):
                found = _named(files, icon)
                url = found.attachment["url"] if found else icon
                shown[key] = shown[key] | {"icon_url": url, "proxy_icon_url": url}
        shown["fields"] = [{"inline": False} | field for field in shown.get("fields", [])]
        if not shown["fields"]:
            del shown["fields"]
        if len(shown) > 1:
            result.append(shown)
    return result


# -- mentions ------------------------------------------------------------------------------


def _mentions(world: World, message: Message, data: Json, allowed: Json | None) -> None:
    """Fill ``mentions``, ``mention_roles`` and ``mention_everyone`` from all text shown.

    @everyone, and roles that are not open to all, need the permission to mention everyone.
    """
    texts = [data["content"]]
    texts += [c.get("content") or "" for c, _ in components.walk(data["components"])]
    text = "\n".join(texts)
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or [])
    extra = {int(uid) for uid in (allowed or {}).get("users") or []}
    extra_roles = {int(rid) for rid in (allowed or {}).get("roles") or []}
    channel = world.channels[message.channel_id]
    guild = world.guilds.get(channel.guild_id or 0)
    may_shout = bool(world.permissions(message.author_id, channel) & Perm.MENTION_EVERYONE)
    data["mentions"] = [
        wire.user(world.users[uid])
        for uid in dict.fromkeys(int(uid) for uid in _USER_MENTION.findall(text))
        if uid in world.users and ("users" in parse or uid in extra)
    ]
    data["mention_roles"] = [
        str(rid)
        for rid in dict.fromkeys(int(rid) for rid in _ROLE_MENTION.findall(text))
        if guild is not None
        and rid in guild.roles
        and ("roles" in parse or rid in extra_roles)
        and (may_shout or guild.roles[rid].mentionable)
    ]
    loud = "@everyone" in text or "@here" in text
    data["mention_everyone"] = guild is not None and loud and may_shout and "everyone" in parse
