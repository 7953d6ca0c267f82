"""What the tests of the REST interface and the viewer share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
