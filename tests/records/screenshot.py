"""Makes the picture of a study in the MLflow UI.

python -m tests.records.screenshot OUT.png --home .proxytune --study quickstart
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from proxytune.home import Home
from proxytune.records.ui import newest_study
from proxytune.records.view import study_address
from tests.records.browser import opened, take_picture
from tests.servers import serving

SETTLE_MS = 4000
"""Charts are drawn in an animation."""
PATIENCE_MS = 120_000


def shoot(out: Path, home: Path, study: str) -> None:
    """What the address that `proxytune ui` prints opens on."""
    store = Home(home.absolute()).mlflow_uri
    with (
        TemporaryDirectory() as folder,
        serving(store, Path(folder)) as address,
        opened(1500, 1130) as page,
    ):
        found = newest_study(address)
        assert found is not None
        assert found[0] == study
        page.set_default_timeout(PATIENCE_MS)
        page.goto(study_address(address, found[1]))
        page.locator(".js-plotly-plot .scatterlayer path.point").first.wait_for()
        page.wait_for_timeout(SETTLE_MS)
        page.screenshot(path=out)


if __name__ == "__main__":
    take_picture(__doc__, shoot)
