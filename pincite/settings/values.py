"""What the values of settings are made of: lists, values that are not set, addresses, and which of them are good."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def _none_if_empty(value: Any) -> Any:
    """Return None for the empty text, which is how a command line says that a setting is not set."""
    return None if value == "" else value


def _split(value: Any) -> Any:
    """Return the parts of a text with commas, which is how a command line and the environment write a list."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _checked(address: str, like: str, *, path: bool = True, query: bool = False) -> str:
    parts = urlsplit(address)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.fragment
        or (parts.query and not query)
        or (parts.path not in {"", "/"} and not path)
    ):
        raise ValueError(f"an address here looks like {like}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not carry a user or a password")
    return address


def _signer(address: str) -> str:
    parts = urlsplit(_checked(address, "https://login.example.com", query=True))
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError("it must be an https address: whoever changes the keys on their way could sign tokens")
    return address


OptionalInt = Annotated[int | None, BeforeValidator(_none_if_empty)]
OptionalText = Annotated[str | None, BeforeValidator(_none_if_empty)]

# Addresses: where people open pages, what a browser calls an origin, a server of models, one whose keys sign tokens.
PageAddress = Annotated[
    str, AfterValidator(lambda text: _checked(text, "https://pincite.example.com, without a query").rstrip("/"))
]
Origin = Annotated[
    str, AfterValidator(lambda text: _checked(text, "https://chat.example.com, without a path", path=False).rstrip("/"))
]
ServerAddress = Annotated[str, AfterValidator(lambda text: _checked(text, "http://host:8000"))]
SignerAddress = Annotated[str, AfterValidator(_signer)]

Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
ServerAddresses = Annotated[tuple[ServerAddress, ...], NoDecode, BeforeValidator(_split)]
