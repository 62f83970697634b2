"""MAT: `conversations` of role and content, and `image` as a path or a map of placeholders.

A placeholder is the word of a question that represents an image: ``<image>`` or ``<image_00>``.
"""

import re

from beam_mat.core.nesting import decode_text
from beam_mat.core.reject import Reason
from beam_mat.core.schemas.draft import (
    Draft,
    Record,
    check_order,
    count_keys,
    count_turn_keys,
    id_of,
    is_empty,
    listed_turns,
    paths_of,
    respelled,
    split_system,
    text_turn,
)
from beam_mat.core.trajectory import (
    ASSISTANT,
    IMAGE,
    SYSTEM,
    USER,
    FaultyError,
    Turn,
    kind_of,
    shown,
)

_PLACEHOLDER = re.compile(r"<image(?:_([0-9]{1,9}))?>")
_ROLES = {role: role for role in (SYSTEM, USER, ASSISTANT)}
_KEYS = ("role", "content")
_CARRIED = frozenset({"conversations", "image", "images", "system-prompt", "system"})
_IGNORED = frozenset({"correct", "answer", "traj_verification"})


def read(record: Record) -> Draft:
    """Reads a record of MAT."""
    id = id_of(record)
    if id is None:
        why = f"id is {shown(record['id'])}" if "id" in record else "the record has no key 'id'"
        raise FaultyError(Reason.NO_ID, why)
    listed = listed_turns(record, "conversations")
    turns = [text_turn(number, item, _KEYS, _ROLES) for number, item in enumerate(listed)]
    system = split_system(record, turns, "system-prompt", "system")
    check_order(turns, len(listed) - len(turns))
    named, is_list = _images(record)
    images = list[str]()
    for number, turn in enumerate(turns):
        if turn.role == USER and "<image" in turn.content:
            found = _PLACEHOLDER.finditer(turn.content)
            for one in found:
                images.append(_path_of(one, named, len(images) if is_list else None))
            turns[number] = Turn(USER, plain(turn.content))
    unused = sorted(set(named.values()) - set(images))
    if unused:
        detail = f"no user turn has a placeholder for the image {unused[0]!r}"
        raise FaultyError(Reason.IMAGE_WITHOUT_PLACEHOLDER, detail)
    unknown = count_keys(record, _CARRIED, _IGNORED) + count_turn_keys(listed, _KEYS)
    draft = Draft(id, system, turns, images, unknown=unknown)
    respelled(draft)
    return draft


def plain(question: str) -> str:
    """Returns a question in which each placeholder is LLaMA-Factory's.

    >>> plain("<image_00> is left of <image_01>")
    '<image> is left of <image>'
    """
    return _PLACEHOLDER.sub(IMAGE, question)


def _images(record: Record) -> tuple[dict[int | None, str], bool]:
    """The record's images by placeholder number, and whether they are a list.

    None is the key of the plain ``<image>``.
    """
    value = record.get("image")
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = decode_text(value)
        except ValueError as error:
            detail = f"image contains invalid JSON: {error}"
            raise FaultyError(Reason.IMAGE_FIELD_INVALID, detail) from None
    if not isinstance(value, dict):
        return _numbered(paths_of(record, "image", "images"))
    if value and not is_empty(record.get("images")):
        raise FaultyError(Reason.IMAGE_FIELD_INVALID, "the record has both image and images")
    named: dict[int | None, str] = {}
    for token, path in value.items():
        found = _PLACEHOLDER.fullmatch(token)
        if not found:
            detail = f"image has the key {shown(token)}, not <image> or <image_NN>"
            raise FaultyError(Reason.IMAGE_FIELD_INVALID, detail)
        number = _number(found)
        if not isinstance(path, str):
            detail = f"{token} is {kind_of(path)}, not a path"
            raise FaultyError(Reason.IMAGE_FIELD_INVALID, detail)
        if number in named:
            raise FaultyError(Reason.IMAGE_FIELD_INVALID, f"image has two paths for {token}")
        named[number] = path
    return (named, False) if named else _numbered(paths_of(record, "images"))


def _numbered(paths: list[str]) -> tuple[dict[int | None, str], bool]:
    return ({None: paths[0]}, False) if len(paths) == 1 else (dict(enumerate(paths)), True)


def _path_of(found: re.Match[str], named: dict[int | None, str], at: int | None) -> str:
    """The path of a placeholder. In a list of images, the plain ``<image>`` is number `at`."""
    number = _number(found)
    if number in named:
        return named[number]
    # If there is only one image, both <image> and <image_00> refer to it.
    if len(named) == 1 and (number is None or (number == 0 and None in named)):
        return next(iter(named.values()))
    if number is None and at is not None and at in named:
        return named[at]
    held = ", ".join(sorted("<image>" if n is None else f"<image_{n:02}>" for n in named))
    detail = f"a user turn has {found[0]}, but the image field has {held or 'no image'}"
    raise FaultyError(Reason.PLACEHOLDER_WITHOUT_IMAGE, detail)


def _number(found: re.Match[str]) -> int | None:
    return None if found[1] is None else int(found[1])
