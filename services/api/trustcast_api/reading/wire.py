"""How two processes talk through a pipe: frames of a length in four octets (big-endian) and that many octets of JSON.

No pickle: who reads what strangers sent must not be able to have the other end run anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter

A = TypeVar("A")
T = TypeVar("T")
_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Reading(Generic[A, T]):
    """A function of one argument that can be called at the other end; its types say what goes there and comes back."""

    def __init__(self, function: Callable[[A], T]) -> None:
        hints = get_type_hints(function, include_extras=True)
        result = hints.pop("return")
        (argument,) = hints.values()
        self.name, self.here = function.__name__, function
        self._argument: TypeAdapter[tuple[A]] = _adapter(argument)
        self._result: TypeAdapter[tuple[T]] = _adapter(result)

    def asked(self, argument: A) -> bytes:
        """Return the frame that asks for it."""
        return self.name.encode() + b"\n" + self._argument.dump_json((argument,))

    def answered(self, argument: bytes) -> bytes:
        """Return what comes of an argument as it stands behind the name in a frame."""
        (value,) = self._argument.validate_json(argument)
        return self._result.dump_json((self.here(value),))

    def result(self, answer: bytes) -> T:
        """Return what `answered` returned at the other end."""
        (value,) = self._result.validate_json(answer)
        return value


def _adapter(kind: Any) -> TypeAdapter[Any]:
    # In a tuple, since pydantic lets a dataclass alone have no settings but its own.
    return TypeAdapter(tuple[kind], config=_BYTES)


def send(pipe: IO[bytes], frame: bytes) -> None:
    """Write one frame. Raises `OSError` where nobody listens any more."""
    pipe.write(len(frame).to_bytes(4))
    pipe.write(frame)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read one frame. Raises `EOFError` where no more come."""
    length = int.from_bytes(_exactly(pipe, 4))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], number: int) -> bytes:
    data = pipe.read(number)
    if len(data) < number:
        raise EOFError
    return data
