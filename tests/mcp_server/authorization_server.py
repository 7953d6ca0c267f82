"""A small OAuth 2.1 authorisation server, with the SDK's own endpoints: who authorises there is always Ada."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.serving import listening, served

SCOPES = ["pincite:read", "pincite:write", "pincite:admin"]
LIFETIME_S = 300
Provider = OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]


class SigningKey:
    """A key pair with which tokens are signed, and how it is published."""

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def published(self) -> dict[str, Any]:
        shown: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**shown, "kid": self.identifier, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.private, "RS256", headers={"kid": self.identifier, "typ": "at+jwt"})


class AuthorizationServer(Provider):
    """Registers clients, lets Ada authorise what they ask for, and issues signed tokens for the resource they name."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key = SigningKey("first")
        self.fetches = 0
        self.reachable = True
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    @property
    def jwks_url(self) -> str:
        return f"{self.issuer}/keys"

    def token(self, audience: str, scopes: str = "pincite:read", **claims: Any) -> str:
        """Return a token as this server issues it; `claims` replace its own, None leaves one out."""
        now = int(time.time())
        own = {
            "iss": self.issuer,
            "aud": audience,
            "sub": "ada",
            "name": "Ada",
            "scope": scopes,
            "iat": now,
            "exp": now + LIFETIME_S,
        }
        return self.key.sign({name: value for name, value in (own | claims).items() if value is not None})

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id
        self._clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or [],
            expires_at=time.time() + LIFETIME_S,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject="ada",
        )
        self._codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state, iss=self.issuer)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self._codes[authorization_code.code]
        scopes = " ".join(authorization_code.scopes)
        token = self.token(authorization_code.resource or "", scopes)
        return OAuthToken(access_token=token, token_type="Bearer", expires_in=LIFETIME_S, scope=scopes)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return None

    async def load_access_token(self, token: str) -> AccessToken | None:
        return None

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        raise TokenError("invalid_grant", "this server issues no refresh tokens")

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        return None

    def app(self) -> Starlette:
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES, default_scopes=["pincite:read"])
        # Validated so, an address without a path stays without a slash, and an issuer is compared letter by letter.
        issuer = AuthSettings.model_validate({"issuer_url": self.issuer, "resource_server_url": None}).issuer_url
        routes = create_auth_routes(self, issuer, client_registration_options=registration)
        return Starlette(routes=[*routes, Route("/keys", self._publish)])

    async def _publish(self, request: Request) -> Response:
        self.fetches += 1
        if not self.reachable:
            return Response(status_code=503)
        return JSONResponse({"keys": [self.key.published()]})


@asynccontextmanager
async def authorization_server() -> AsyncIterator[AuthorizationServer]:
    """Run one on a port that the system chooses."""
    with listening() as listener:
        server = AuthorizationServer(f"http://localhost:{listener.getsockname()[1]}")
        async with served(server.app(), listener):
            yield server
