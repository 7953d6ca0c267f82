"""Who may do what: principals, their rights, API keys, and the signed links of the page viewer. Denied by default."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pincite.errors import NotAuthenticated, NotPermitted, UnknownDocument

Scope = Literal["read", "write", "admin"]
SCOPES: frozenset[str] = frozenset({"read", "write", "admin"})
SYSTEM_ID = "system"
ADMIN_ID = "admin"
KEY_PREFIX = "pc_"
# The scopes of an access token, as an authorisation server is set up to give them: rights, and knowledge bases by id.
RIGHT_OF_SCOPE: dict[str, Scope] = {"pincite:read": "read", "pincite:write": "write", "pincite:admin": "admin"}
SCOPE_OF_KNOWLEDGE_BASE = "pincite:kb:"
SECRET_BYTES = 32
VIEW_KEY_FILE = "view.key"


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone who asks: `knowledge_bases` are the ids they may use (None: all), `local` the owner of this machine."""

    id: str
    name: str
    scopes: frozenset[str]
    knowledge_bases: frozenset[str] | None = None
    local: bool = False

    @staticmethod
    def system() -> "Principal":
        """The local owner, as who the command line and stdio MCP act: every right, and files by path."""
        return Principal(SYSTEM_ID, "the local owner", SCOPES, None, local=True)

    def may_read(self, knowledge_base_id: str) -> bool:
        """Say whether the knowledge base may be searched and its documents be read."""
        return self._has("read") and self._reaches(knowledge_base_id)

    @property
    def may_write(self) -> bool:
        """Whether there can be a knowledge base whose documents may be changed."""
        return self._has("write")

    def require_write(self, knowledge_base_id: str) -> None:
        """Refuse who may not change the documents of the knowledge base.

        Raises:
            NotPermitted: the key lacks the right.
        """
        if not (self._has("write") and self._reaches(knowledge_base_id)):
            raise NotPermitted(
                "This key may not change documents; use one with the write scope for this knowledge base."
            )

    def require_admin(self) -> None:
        """Refuse who may not make, set up or remove knowledge bases.

        Raises:
            NotPermitted: the key lacks the right.
        """
        if "admin" not in self.scopes:
            raise NotPermitted("This key may not administer knowledge bases; use one with the admin scope.")

    def require_owner(self) -> None:
        """Refuse everyone but the owner of this machine, who can read the data folder anyway.

        Raises:
            NotPermitted: somebody else asks.
        """
        if not self.local:
            raise NotPermitted("This is for the owner of the machine that Pincite runs on; use its commands there.")

    def _has(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def _reaches(self, knowledge_base_id: str) -> bool:
        return self.knowledge_bases is None or knowledge_base_id in self.knowledge_bases


def granted_by_token(issuer_id: str, claims: Mapping[str, Any]) -> Principal:
    """Return what an access token with these verified claims allows at most, as a principal of its issuer.

    Its scopes (RFC 9068 `scope`, or `scp`) give rights, in the knowledge bases that they name by id or else in all.

    Raises:
        NotPermitted: no scope gives a right here.
    """
    scopes = _token_scopes(claims)
    rights = frozenset(RIGHT_OF_SCOPE[scope] for scope in scopes if scope in RIGHT_OF_SCOPE)
    if not rights:
        raise NotPermitted(f"This access token gives no right here; ask for one of {', '.join(RIGHT_OF_SCOPE)}.")
    prefix = SCOPE_OF_KNOWLEDGE_BASE
    named = frozenset(scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix))
    return Principal(issuer_id, "an access token", rights, named or None)


def _token_scopes(claims: Mapping[str, Any]) -> set[str]:
    given = claims.get("scope", claims.get("scp", ""))
    return {scope for part in (given if isinstance(given, list) else [given]) for scope in str(part).split()}


def new_api_key() -> str:
    """Return a fresh API key of 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def hash_api_key(api_key: str) -> str:
    """Return what is stored of a key: SHA-256 suffices, because a key is random and not a password."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def same_secret(given: str, expected: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


class ViewSigner:
    """Signs and opens the tokens in viewer links: one document, one reader, until a time, by HMAC-SHA-256."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now

    @classmethod
    def from_file(cls, path: Path, *, create: bool) -> "ViewSigner":
        """Read the secret from `path`; where there is none, make it (mode 0600) if this process is the writer.

        A reader without it signs with a secret of its own: such links open nowhere, as no server has run yet.
        """
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = secrets.token_bytes(SECRET_BYTES)
            if create:
                _write_secret(path, secret)
        return cls(secret)

    def sign(self, principal_id: str, document_id: str, lifetime_s: int) -> str:
        """Return a token with which `principal_id` may view `document_id` for `lifetime_s` seconds."""
        claims = json.dumps([document_id, principal_id, int(self._now()) + lifetime_s], separators=(",", ":")).encode()
        return f"{_encode(claims)}.{_encode(self._seal(claims))}"

    def open(self, token: str, document_id: str) -> str:
        """Return the id of the reader a token was signed for.

        Raises:
            NotAuthenticated: the token was not signed here, was changed, or has expired.
            UnknownDocument: it was signed for another document.
        """
        try:
            claims, seal = (_decode(part) for part in token.split("."))
        except (ValueError, binascii.Error):
            raise NotAuthenticated("This link is not complete; open the citation again.") from None
        if not hmac.compare_digest(seal, self._seal(claims)):
            raise NotAuthenticated("This link was not made by this server; open the citation again.")
        signed_document, principal_id, expires = json.loads(claims)
        if self._now() >= expires:
            raise NotAuthenticated("This link has expired; ask again to get a fresh citation.")
        if signed_document != document_id:
            raise UnknownDocument("This link opens another document; open the citation again.")
        return str(principal_id)

    def _seal(self, claims: bytes) -> bytes:
        return hmac.digest(self._secret, b"view\0" + claims, "sha256")


def _write_secret(path: Path, secret: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
