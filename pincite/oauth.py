"""Access tokens of an OAuth 2.1 authorisation server: JWTs (RFC 9068), checked by issuer, audience and public key."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt

from pincite.errors import BackendError, NotAuthenticated
from pincite.settings import Settings

# Public keys only: a shared secret in a key set would let whoever reads it sign tokens (RFC 8725, 3.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REQUIRED = ("exp", "iss", "aud", "sub")
ISSUER_PREFIX = "issuer_"
MAX_TOKEN_LENGTH = 16_000
MAX_KEY_SET_BYTES = 1024 * 1024
CLOCKS_DIFFER_S = 30
FETCH_TIMEOUT_S = 5.0
# Keys are fetched anew this often, and when a token names an unknown one, but never more often than the other.
KEYS_KEPT_S = 600.0
BETWEEN_FETCHES_S = 10.0

log = logging.getLogger(__name__)


class AccessTokens:
    """Knows the tokens of one authorisation server that were issued for this server."""

    def __init__(self, issuer: str, audience: str, jwks_url: str, now: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks_url = jwks_url
        self._now = now
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = -KEYS_KEPT_S
        self._tried = -BETWEEN_FETCHES_S
        self._fetching = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "AccessTokens | None":
        """Return what the settings ask for; None where they name no authorisation server."""
        if settings.oauth_issuer is None or settings.oauth_jwks_url is None:
            return None
        return cls(settings.oauth_issuer, settings.oauth_resource, settings.oauth_jwks_url)

    @staticmethod
    def looks_like_one(credential: str) -> bool:
        """Say whether a credential can be a JWT, which an API key never looks like."""
        return credential.count(".") == 2

    @property
    def issuer_id(self) -> str:
        """A short id of the authorisation server, under which the people that it vouches for are known."""
        return ISSUER_PREFIX + hashlib.sha256(self._issuer.encode()).hexdigest()[:20]

    async def verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token.

        Raises:
            NotAuthenticated: it was not issued by this authorisation server for this server, or has expired.
            BackendError: the server's keys cannot be fetched.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise NotAuthenticated("This access token is too long to be one.")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise NotAuthenticated("This access token is signed with an algorithm that is not accepted here.")
            key = await self._key(header.get("kid"))
            return jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCKS_DIFFER_S,
                options={"require": list(REQUIRED)},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("This access token has expired; get a fresh one.") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise NotAuthenticated("This access token was issued for another server or by another one.") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise NotAuthenticated("This access token is not valid; get a fresh one.") from None

    async def _key(self, identifier: str | None) -> jwt.PyJWK:
        """Return the public key that a token names, or the only one there is.

        Raises:
            NotAuthenticated: there is none.
            BackendError: the keys cannot be fetched.
        """
        if self._wanted(identifier) is None or self._now() - self._fetched > KEYS_KEPT_S:
            async with self._fetching:
                await self._fetch()
        key = self._wanted(identifier)
        if key is None:
            raise NotAuthenticated("This access token is signed with a key that its server does not publish.")
        return key

    def _wanted(self, identifier: str | None) -> jwt.PyJWK | None:
        if identifier is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(identifier)

    async def _fetch(self) -> None:
        if self._now() - self._tried < BETWEEN_FETCHES_S:
            return
        self._tried = self._now()
        try:
            keys = jwt.PyJWKSet.from_dict(json.loads(await self._download())).keys
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError) as error:
            # The name of the error and not its text: that holds the address, which may carry a secret.
            log.warning("the keys of the authorisation server could not be fetched: %s", type(error).__name__)
            if not self._keys:
                message = "The keys of the authorisation server cannot be fetched now; try again, or use an API key."
                raise BackendError(message) from None
            return
        self._keys = {key.key_id: key for key in keys if key.public_key_use in {None, "sig"}}
        self._fetched = self._now()

    async def _download(self) -> bytes:
        data = b""
        async with (
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S) as http,
            http.stream("GET", self._jwks_url, headers={"Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                data += piece
                if len(data) > MAX_KEY_SET_BYTES:
                    raise ValueError("the key set is too large")
        return data
