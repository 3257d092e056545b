"""The manifests, as each overlay builds them."""

from pathlib import Path

import pytest

from tests.deploy.kustomize import Manifest
from tests.deploy.manifests import built


@pytest.fixture(params=["base", "local"])
def overlay(request: pytest.FixtureRequest) -> str:
    """A folder of deploy/kubernetes/ that can be applied."""
    return request.param


@pytest.fixture
def manifests(overlay: str, tmp_path: Path) -> list[Manifest]:
    """What the overlay builds, and the study's job."""
    return built(overlay, tmp_path)
