"""MLflow: a sink like any other; one experiment a study, a parent run, a child run a trial."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from proxytune.config.hyperparameters import BaseHyperparameters
from proxytune.config.search import Range, SearchSpec
from proxytune.config.study import StudySpec
from proxytune.errors import InputError, RunError
from proxytune.packs.selection import Selection, candidates
from proxytune.packs.trial import TrialState
from proxytune.records.address import require_tracking_uri
from proxytune.records.mlflow import MlflowSink
from proxytune.records.results import ResultLog
from proxytune.records.tags import CHOSEN, KIND, STATE, TRIAL
from proxytune.records.tracking import TrackingStore
from proxytune.records.view import VIEW_TAG, study_view
from proxytune.testing.records import study as study_named
from proxytune.testing.records import trial
from proxytune.testing.sink import CURVES, RecordSinkContract, Seen, expected


def uri_of(store: Path) -> str:
    return f"sqlite:///{store / 'mlflow.db'}"


def sink_of(store: Path) -> MlflowSink:
    return MlflowSink(uri_of(store))


def runs(client: MlflowClient, study: str, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = '{kind}'")
    return list(found)


def history(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    metrics = client.get_metric_history(run.info.run_id, name)
    return sorted((metric.step, metric.value) for metric in metrics)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store for all tests: making one takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def client(store: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=uri_of(store))


class TestMlflowSink(RecordSinkContract):
    last_act = "mlflow.MlflowClient.set_terminated"

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, store: Path) -> Path:
        return store

    def sink(self, store: Path) -> MlflowSink:
        return sink_of(store)

    def seen(self, store: Path, study: StudySpec) -> list[Seen]:
        return seen(MlflowClient(tracking_uri=uri_of(store)), study.name)


@pytest.mark.slow
@pytest.mark.timeout(180)
class TestMlflowServerSink(RecordSinkContract):
    """A server on PostgreSQL, which hands artifacts through."""

    last_act = "mlflow.MlflowClient.set_terminated"
    address: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
        cls.address = mlflow_server
        return tmp_path_factory.mktemp("unused")

    def sink(self, store: Path) -> MlflowSink:
        return MlflowSink(self.address)

    def seen(self, store: Path, study: StudySpec) -> list[Seen]:
        return seen(MlflowClient(tracking_uri=self.address), study.name)


def seen(client: MlflowClient, study: str) -> list[Seen]:
    found = [_seen(client, run) for run in runs(client, study, "trial")]
    return sorted(found, key=lambda one: one.number)


def _seen(client: MlflowClient, run: Run) -> Seen:
    tags, metrics, params = run.data.tags, run.data.metrics, run.data.params
    began, ended = (
        datetime.fromtimestamp(when / 1000, UTC)
        for when in (run.info.start_time, run.info.end_time)
    )
    return Seen(
        number=int(tags[TRIAL]),
        state=tags[STATE],
        value=metrics.get("final_validation_loss"),
        seed=int(tags["seed"]),
        pack=tags["pack"],
        tokens=int(metrics["tokens"]),
        flops=metrics["flops"],
        seconds=metrics["seconds"],
        started=began,
        finished=ended,
        hyperparameters={name: float(value) for name, value in params.items()},
        curves={name: history(client, run, name) for name in CURVES},
    )


@pytest.fixture(scope="module")
def recorded(store: Path) -> StudySpec:
    """A study with a trial of each state."""
    spec = study_named("recorded")
    sink = sink_of(store)
    sink.open(spec)
    states = [state for state in TrialState if state.finished]
    sink.add([trial(spec, number, state) for number, state in enumerate(states)])
    return spec


def test_a_study_is_one_experiment_with_one_parent_run(
    client: MlflowClient, recorded: StudySpec
) -> None:
    (parent,) = runs(client, recorded.name, "study")
    assert parent.data.tags[MLFLOW_RUN_NAME] == recorded.name
    assert parent.data.params["training.steps"] == "200"
    assert parent.data.params["search.sampler"] == "auto"


def test_trials_are_children_of_the_parent_run(client: MlflowClient, recorded: StudySpec) -> None:
    (parent,) = runs(client, recorded.name, "study")
    children = runs(client, recorded.name, "trial")
    assert {run.data.tags[MLFLOW_PARENT_RUN_ID] for run in children} == {parent.info.run_id}
    names = sorted(run.data.tags[MLFLOW_RUN_NAME] for run in children)
    assert names == [f"trial-{number:05d}" for number in range(4)]


def test_only_a_trial_without_a_result_is_a_failed_run(
    client: MlflowClient, recorded: StudySpec
) -> None:
    status = {run.data.tags[STATE]: run.info.status for run in runs(client, "recorded", "trial")}
    assert status.pop("failed") == "FAILED"
    assert set(status) == {"complete", "pruned", "diverged"}
    assert set(status.values()) == {"FINISHED"}


@pytest.mark.parametrize("kind", ["study", "trial"])
def test_runs_can_be_found_by_shape_and_parameterization(
    client: MlflowClient, recorded: StudySpec, kind: str
) -> None:
    for run in runs(client, recorded.name, kind):
        tags = run.data.tags
        assert (tags["d_model"], tags["n_layers"], tags["n_kv_heads"]) == ("16", "2", "2")
        assert (tags["repeat"], tags["parameterization"], tags["kv_rule"]) == (
            "2",
            "gqa-mup",
            "paper",
        )


def test_single_numbers_are_at_step_0_where_the_ui_draws_bars(
    client: MlflowClient, recorded: StudySpec
) -> None:
    run = next(r for r in runs(client, recorded.name, "trial") if r.data.tags[TRIAL] == "0")
    value = trial(recorded, 0).value
    assert history(client, run, "final_validation_loss") == [(0, value)]


def test_the_spec_is_an_artifact_of_the_parent_run(store: Path, recorded: StudySpec) -> None:
    (file,) = (store / "artifacts" / recorded.name).rglob("study.json")
    assert StudySpec.model_validate(json.loads(file.read_text())) == recorded


@pytest.mark.parametrize(("complete", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_close_states_completeness_and_open_takes_it_back(
    store: Path, client: MlflowClient, complete: bool, status: str
) -> None:
    spec = study_named(f"closed-{status.lower()}")
    for _ in range(2):
        sink = sink_of(store)
        sink.open(spec)
        (parent,) = runs(client, spec.name, "study")
        assert parent.info.status == "RUNNING"
        sink.close(complete=complete)
        (parent,) = runs(client, spec.name, "study")
        assert parent.info.status == status


def test_a_parent_run_left_bare_is_completed(store: Path, client: MlflowClient) -> None:
    spec = study_named("bare")
    folder = (store / "artifacts" / spec.name).as_uri()
    experiment = client.create_experiment(spec.name, folder)
    client.create_run(experiment, tags={KIND: "study"})
    sink_of(store).open(spec)
    (parent,) = runs(client, spec.name, "study")
    assert parent.data.params["seed"] == "0"
    assert parent.data.tags["parameterization"] == "gqa-mup"
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["study.json"]


def test_long_curves_are_whole(store: Path, client: MlflowClient) -> None:
    spec = study_named("long")
    long = trial(spec, 0, steps=tuple(range(1, 601)))
    sink = sink_of(store)
    sink.open(spec)
    sink.add([long])
    assert seen(client, spec.name) == [expected(long)]


def results_of(store: Path) -> ResultLog:
    return ResultLog(TrackingStore(uri_of(store)))


def log_transfer(results: ResultLog, study: str, file: Path) -> None:
    file.write_text("study: x\n")
    results.log_transfer(
        study,
        "large",
        params={"learning_rate": 0.02},
        metrics={"update_sizes.kv": 1.25},
        curves={"target.validation_loss": [(4, 3.5), (8, 3.25)]},
        tags={"verdict": "pass"},
        files=[file],
    )


def assert_transfer(client: MlflowClient, study: str) -> None:
    (run,) = runs(client, study, "transfer")
    (parent,) = runs(client, study, "study")
    assert run.data.tags[MLFLOW_PARENT_RUN_ID] == parent.info.run_id
    assert run.data.tags[MLFLOW_RUN_NAME] == "transfer-large"
    assert run.data.tags["verdict"] == "pass"
    assert run.data.params == {"learning_rate": "0.02"}
    assert run.data.metrics["update_sizes.kv"] == 1.25
    assert history(client, run, "target.validation_loss") == [(4, 3.5), (8, 3.25)]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["projection.yaml"]
    assert run.info.status == "FINISHED"


def test_a_transfer_is_a_run_with_verdict_curves_and_files(
    store: Path, client: MlflowClient, recorded: StudySpec, tmp_path: Path
) -> None:
    log_transfer(results_of(store), recorded.name, tmp_path / "projection.yaml")
    assert_transfer(client, recorded.name)


def test_a_transfer_of_a_study_that_the_store_does_not_have_is_refused(
    store: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"no study 'elsewhere'; .*proxytune study sync elsewhere"):
        log_transfer(results_of(store), "elsewhere", tmp_path / "projection.yaml")


def chosen_of(spec: StudySpec, *numbers: int) -> Selection:
    """Of these trials, the first is chosen, and the last diverged on its second seed."""
    found = [
        candidate.model_copy(update={"confirmed": (4.5 + candidate.number, 4.25)})
        for number in numbers
        for candidate in candidates([trial(spec, number)])
        if candidate.number is not None
    ]
    found[-1] = found[-1].model_copy(update={"confirmed": (4.75, None)})
    return Selection.of(
        found, tokens=100, seeds=(1, 2), interval={"learning_rate": (0.001, 0.004)}
    )


def log_outcome(store: Path, spec: StudySpec, selection: Selection, file: Path) -> None:
    file.write_text("<html></html>")
    results_of(store).log_outcome(
        spec.name,
        selection,
        [trial(spec, number) for number in range(3)],
        note="**the answer**",
        files=[file],
    )


@pytest.fixture
def complete(store: Path, request: pytest.FixtureRequest) -> StudySpec:
    """A study of three trials; the first has the lowest loss."""
    spec = study_named(request.node.name[:60].replace("[", "-").replace("]", "").lower())
    sink = sink_of(store)
    sink.open(spec)
    sink.add([trial(spec, number) for number in range(3)])
    sink.close(complete=True)
    return spec


def test_an_outcome_is_on_the_studys_run(
    store: Path, client: MlflowClient, complete: StudySpec, tmp_path: Path
) -> None:
    selection = chosen_of(complete, 1, 0)
    assert not results_of(store).has_outcome(complete.name, selection)
    log_outcome(store, complete, selection, tmp_path / "report.html")
    assert results_of(store).has_outcome(complete.name, selection)
    (parent,) = runs(client, complete.name, "study")
    metrics = parent.data.metrics
    assert metrics["best_validation_loss"] == trial(complete, 0).value
    assert metrics["chosen_validation_loss"] == selection.validation_loss
    assert metrics["chosen_standard_error"] == selection.standard_error
    assert metrics["chosen.learning_rate"] == selection.point.learning_rate
    assert (metrics["interval.learning_rate.low"], metrics["interval.learning_rate.high"]) == (
        0.001,
        0.004,
    )
    assert parent.data.params["space.learning_rate"] == "0.001 to 0.1, log"
    note = parent.data.tags[MLFLOW_RUN_NOTE]
    assert note.startswith("**the answer**")
    assert f"runs/{parent.info.run_id}/artifacts/report.html)" in note
    files = [file.path for file in client.list_artifacts(parent.info.run_id)]
    assert files == ["report.html", "study.json"]
    assert parent.info.status == "FINISHED"
    experiment = client.get_experiment(parent.info.experiment_id)
    assert experiment.tags[MLFLOW_RUN_NOTE] == note


def test_the_winner_and_its_confirmation_are_found_by_their_tags(
    store: Path, client: MlflowClient, complete: StudySpec, tmp_path: Path
) -> None:
    log_outcome(store, complete, chosen_of(complete, 1, 0), tmp_path / "report.html")
    tagged = [run for run in runs(client, complete.name, "trial") if CHOSEN in run.data.tags]
    assert [run.data.tags[TRIAL] for run in tagged] == ["1"]
    confirmation = {
        (run.data.tags[TRIAL], run.data.tags["seed"]): run.data.metrics.get(
            "confirmed_validation_loss"
        )
        for run in runs(client, complete.name, "confirmation")
    }
    assert confirmation == {
        ("1", "1"): 5.5,
        ("1", "2"): 4.25,
        ("0", "1"): 4.75,
        ("0", "2"): None,
    }


def test_a_new_outcome_replaces_the_old_one(
    store: Path, client: MlflowClient, complete: StudySpec, tmp_path: Path
) -> None:
    log_outcome(store, complete, chosen_of(complete, 1, 0), tmp_path / "report.html")
    log_outcome(store, complete, chosen_of(complete, 0, 2), tmp_path / "report.html")
    tagged = [run for run in runs(client, complete.name, "trial") if CHOSEN in run.data.tags]
    assert [run.data.tags[TRIAL] for run in tagged] == ["0"]
    confirmed = [run.data.tags[TRIAL] for run in runs(client, complete.name, "confirmation")]
    assert sorted(confirmed) == ["0", "0", "2", "2"]


def test_a_chosen_point_between_trials_is_found_by_its_tag(
    store: Path, client: MlflowClient, complete: StudySpec, tmp_path: Path
) -> None:
    of_trials = chosen_of(complete, 1, 0).candidates
    surface = of_trials[0].model_copy(update={"number": None, "origin": "surface", "value": None})
    selection = Selection.of([surface, *of_trials], tokens=100, seeds=(1, 2))
    log_outcome(store, complete, selection, tmp_path / "report.html")
    assert not [run for run in runs(client, complete.name, "trial") if CHOSEN in run.data.tags]
    tagged = [r for r in runs(client, complete.name, "confirmation") if CHOSEN in r.data.tags]
    assert [run.data.tags["origin"] for run in tagged] == ["surface", "surface"]


def test_a_view_that_somebody_changed_is_left_alone(
    store: Path, client: MlflowClient, complete: StudySpec
) -> None:
    experiment = client.get_experiment_by_name(complete.name)
    assert experiment is not None
    assert experiment.tags[VIEW_TAG] == study_view(complete)
    client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, "{}")
    sink_of(store).open(complete)
    assert client.get_experiment(experiment.experiment_id).tags[VIEW_TAG] == "{}"


def test_the_view_of_the_largest_space_fits_into_a_tag() -> None:
    entry = Range(low=0.1, high=0.2)
    space = dict.fromkeys(BaseHyperparameters.model_fields, entry)
    spec = study_named("large").model_copy(update={"search": SearchSpec(space=space)})
    # What older versions of MLflow allow; newer ones allow more.
    assert len(study_view(spec)) <= 5000 <= MAX_EXPERIMENT_TAG_VAL_LENGTH


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize(
    "uri",
    [
        "http://me:s3cret@127.0.0.1:9",
        "http://me:s3cret@127.0.0.1:9/",
        "postgresql+nosuchdriver://me:s3cret@127.0.0.1:9/mlflow",
    ],
)
def test_a_store_out_of_reach_is_told_in_one_line_without_its_password(uri: str) -> None:
    with pytest.raises(
        RunError, match=r"^MLflow at \S+://me:\*\*\*@127\.0\.0\.1\S* failed: "
    ) as no:
        MlflowSink(uri).open(study_named("lost"))
    assert "s3cret" not in str(no.value)
    assert "\n" not in str(no.value)


def test_an_address_of_no_kind_that_mlflow_knows_is_refused_without_its_password() -> None:
    with pytest.raises(
        InputError, match=r"^--tracking-uri = 'nonsense://me:\*\*\*@host': must be"
    ):
        require_tracking_uri("nonsense://me:s3cret@host")
    for uri in ("http://host", "https://host:1", "postgresql://host/name", "sqlite:///f"):
        require_tracking_uri(uri)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("file:./mlruns", "sqlite:///FILE"),
        ("./mlruns", "sqlite:///FILE"),
        ("sqlite://x.db", "sqlite:///FILE with three slashes"),
        ("sqlite://", "sqlite:///FILE with three slashes"),
        ("sqlite:///:memory:", "sqlite:///FILE with three slashes"),
        ("postgresql://host:port/name", "postgresql://USER@HOST/NAME"),
        ("postgresql+no://host/name", "postgresql://USER@HOST/NAME"),
        ("mysql+pymysql://host/name", "its driver pymysql is not installed"),
    ],
)
def test_an_address_at_which_nothing_can_be_recorded_is_refused(
    uri: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^--tracking-uri = '{re.escape(uri)}': .*{told}"):
        require_tracking_uri(uri)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notes.txt", r"^MLflow at sqlite:.*notes\.txt failed: "),
        ("notes.txt/mlflow.db", r"notes\.txt/mlflow\.db: cannot be written \("),
    ],
)
def test_a_store_that_is_no_database_is_told_in_one_line(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "notes.txt").write_text(
        "Dear diary, today I was taken for a database again.\n" * 9
    )
    with pytest.raises(RunError, match=told) as refusal:
        MlflowSink(f"sqlite:///{tmp_path / name}").open(study_named("lost"))
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_records_as_a_file_does(server: str, tmp_path: Path) -> None:
    spec, client = study_named("remote"), MlflowClient(tracking_uri=server)
    sink = MlflowSink(server)
    sink.open(spec)
    records = [trial(spec, 0), trial(spec, 1, TrialState.DIVERGED)]
    sink.add(records)
    assert seen(client, spec.name) == [expected(record) for record in records]
    log_transfer(ResultLog(TrackingStore(server)), spec.name, tmp_path / "projection.yaml")
    assert_transfer(client, spec.name)
    sink.delete(spec.name)
    assert seen(client, spec.name) == []
