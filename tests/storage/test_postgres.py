"""PostgreSQL as Optuna's storage, beside an MLflow server on it: what tests/search/test_study.py
does not ask, and the commands from end to end."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import psycopg
import pytest
from click.testing import Result
from mlflow import MlflowClient

from proxytune.errors import InputError
from proxytune.search.study import Study
from proxytune.storage.open import open_storage
from tests.commands import TINY, proxytune, write_yaml
from tests.servers import Databases, Postgres
from tests.studies import next_pack, source_of, study_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_wrong_password_is_refused_and_not_repeated(
    databases: Databases, tmp_path: Path
) -> None:
    url = databases.optuna.replace("s3cret-o", "s3cret-x")
    with pytest.raises(InputError, match=r"^storage = .*cannot be used") as refused:
        open_storage(tmp_path / "journal", url)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_never_answers_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://optuna@127.0.0.1:{silent.getsockname()[1]}/optuna"
        with pytest.raises(InputError, match=r"^storage = .*cannot be used \(OperationalError\)"):
            open_storage(tmp_path / "journal", url)


def test_a_client_cannot_even_connect_to_the_others_database(databases: Databases) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(databases.optuna.removesuffix("optuna") + "mlflow")


def test_a_study_goes_on_when_its_database_was_restarted(
    postgres: Postgres, databases: Databases, tmp_path: Path
) -> None:
    source = source_of(open_storage(tmp_path / "journal", databases.optuna), study_spec("again"))
    first = next_pack(source)
    postgres.stop("immediate")
    postgres.start()
    second = next_pack(source)
    numbers = [member.number for pack in (first, second) for member in pack.members]
    assert numbers == list(range(8))


def test_two_drivers_never_ask_for_the_same_trial(databases: Databases, tmp_path: Path) -> None:
    def open_study() -> optuna.Study:
        return optuna.load_study(
            study_name="shared", storage=open_storage(tmp_path / "journal", databases.optuna)
        )

    Study.create(open_storage(tmp_path / "journal", databases.optuna), study_spec("shared"))
    drivers = [open_study(), open_study()]
    with ThreadPoolExecutor(2) as pool:
        asked = pool.map(lambda driver: [driver.ask().number for _ in range(20)], drivers)
        assert sorted(number for numbers in asked for number in numbers) == list(range(40))


@pytest.fixture
def at(databases: Databases, mlflow_server: str, tmp_path: Path) -> list[str | Path]:
    """What a user names the stores by."""
    stores = ("--storage", databases.optuna, "--tracking-uri", mlflow_server)
    return [*stores, "--home", tmp_path / "home"]


def test_the_commands_keep_a_study_on_servers_and_nothing_of_it_at_home(
    at: list[str | Path], mlflow_server: str, text_file: Path, tmp_path: Path
) -> None:
    spec = TINY | {"name": "served", "data": {"text": str(text_file)}}
    file = write_yaml(tmp_path / "served.yaml", spec)

    def run(*command: str | Path) -> Result:
        result = proxytune("study", *command, *at)
        assert result.exit_code == 0, result.output
        assert "s3cret" not in result.output
        return result

    assert json.loads(run("create", file, "--no-run", "--json").stdout)["state"] == "created"
    shown = json.loads(run("run", "served", "--json").stdout)
    assert shown["state"] == "complete"
    # Run again, or created again, it is what it was.
    assert json.loads(run("run", "served", "--json").stdout) == shown
    assert json.loads(run("create", file, "--json").stdout) == shown

    client = MlflowClient(tracking_uri=mlflow_server)
    experiment = client.get_experiment_by_name("served")
    assert experiment is not None
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    found = client.search_runs([experiment.experiment_id], "tags.`proxytune.kind` = 'trial'")
    values = sorted(run.data.metrics["final_validation_loss"] for run in found)
    assert values == sorted(trial["value"] for trial in shown["trials"])
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`proxytune.kind` = 'study'")
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert kept == {"report.html", "study.json"}

    home = tmp_path / "home"
    assert not {"optuna.journal", "mlflow.db", "artifacts"} & {p.name for p in home.iterdir()}
    holding = [p for p in home.rglob("*") if p.is_file() and b"s3cret" in p.read_bytes()]
    assert not holding

    assert "served" in [one["study"] for one in json.loads(run("list", "--json").stdout)]
    run("delete", "served", "--yes")
    assert "served" not in [one["study"] for one in json.loads(run("list", "--json").stdout)]
