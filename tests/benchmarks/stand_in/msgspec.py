"""Stands for msgspec where a machine has no more than torch: records are made, compared and replaced; none is checked.

The benchmark of a GPU puts this folder on its path where msgspec is missing; nothing else does.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json as plain_json
import sys
from types import ModuleType
from typing import Any, dataclass_transform, get_args, get_origin

MISSING: Any = object()


class ValidationError(ValueError):
    """Stands for what msgspec raises, and is not raised here."""


class DecodeError(ValueError):
    """Is raised for what is no JSON."""


class StructType(type):
    """Makes classes whose annotations are their fields."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> Any:
        made: Any = super().__new__(cls, name, bases, namespace)
        made.__struct_fields__ = tuple(
            dict.fromkeys(
                field
                for one in reversed(made.__mro__)
                for field, kind in inspect.get_annotations(one).items()
                if not str(kind).startswith("ClassVar")
            )
        )
        return made


@dataclass_transform()
class Struct(metaclass=StructType):
    """A record."""

    __struct_fields__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(self.__struct_fields__, args, strict=False)) | kwargs
        for name in self.__struct_fields__:
            value = given.pop(name, MISSING)
            if value is MISSING:
                value = getattr(type(self), name, MISSING)
                if value is MISSING:
                    raise TypeError(f"{type(self).__name__}: {name} is missing")
                value = copy.copy(value)
            object.__setattr__(self, name, value)
        if given:
            raise TypeError(f"{type(self).__name__}: unknown {', '.join(given)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


class Meta:
    """A note on a type, which is not looked at here."""

    def __init__(self, **_: Any) -> None:
        pass


def field(*, default: Any = MISSING, default_factory: Any = MISSING, name: str | None = None) -> Any:
    """The default of a field."""
    return default_factory() if default_factory is not MISSING else default


def to_builtins(value: Any) -> Any:
    """A record as dictionaries and lists."""
    if isinstance(value, Struct):
        return {name: to_builtins(one) for name, one in value.__dict__.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_builtins(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [to_builtins(one) for one in value]
    if isinstance(value, dict):
        return {name: to_builtins(one) for name, one in value.items()}
    return value


def convert(value: Any, kind: Any) -> Any:
    """Plain values as records of a type, or as a dictionary of some, as far as that is a record; nothing is checked."""
    if isinstance(kind, StructType):
        known: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
        return kind(**{name: one for name, one in value.items() if name in known})
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return {name: convert(one, arguments[1]) for name, one in value.items()}
    if get_origin(kind) is not None or dataclasses.is_dataclass(kind):
        raise NotImplementedError(f"reading {kind} needs msgspec: install it, or put a copy of it on PYTHONPATH")
    return value


def decode(content: bytes | str, *, type: Any) -> Any:  # noqa: A002 - as the argument is called there
    """What some JSON holds."""
    try:
        value = plain_json.loads(content)
    except ValueError as error:
        raise DecodeError(str(error)) from error
    return convert(value, type)


def encode(value: Any) -> bytes:
    """A record as JSON."""
    return plain_json.dumps(to_builtins(value)).encode()


def format_json(content: bytes, *, indent: int) -> bytes:
    """Some JSON as it is."""
    return content


def asdict(value: Struct) -> dict[str, Any]:
    """The fields of a record."""
    return dict(value.__dict__)


def replace(value: Any, **changes: Any) -> Any:
    """A record with other values."""
    return type(value)(**(asdict(value) | changes))


class Decoder:
    """Reads JSON of one type."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def decode(self, content: bytes | str) -> Any:
        """What some JSON holds."""
        return decode(content, type=self.kind)


structs, json = ModuleType("msgspec.structs"), ModuleType("msgspec.json")
structs.__dict__.update(asdict=asdict, replace=replace)
json.__dict__.update(Decoder=Decoder, decode=decode, encode=encode, format=format_json)
sys.modules["msgspec.structs"], sys.modules["msgspec.json"] = structs, json
