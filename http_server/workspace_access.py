"""How a route gets at the workspace, and at the one who asks."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pincite.access import Principal
from pincite.errors import NotAuthenticated
from pincite.workspace import Workspace

_bearer = HTTPBearer(auto_error=False, scheme_name="API key", description="`Authorization: Bearer <API key>`")


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


ServedWorkspace = Annotated[Workspace, Depends(_workspace)]


async def _principal(
    workspace: ServedWorkspace, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    if credentials is None:
        raise NotAuthenticated("This needs an API key; send it as 'Authorization: Bearer <key>'.")
    return await workspace.authenticate(credentials.credentials)


Caller = Annotated[Principal, Depends(_principal)]
