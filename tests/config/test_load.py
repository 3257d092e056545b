"""Bad input is told in words: file, field, value, what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxytune import __version__
from proxytune.config.load import load_evidence, load_study
from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.targets.load import load_shape, load_target

STUDIES = Path(__file__).parents[2] / "studies"
GOOD: dict[str, Any] = {
    "proxy": {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2},
    "search": {"space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}},
}

BAD: list[tuple[str, object, str]] = [
    ("proxy.n_kv_heads", 3, "proxy.n_kv_heads = 3: must divide n_heads = 4: one of 1, 2, 4"),
    ("proxy.n_heads", 10**18 + 1, "proxy.n_kv_heads = 2: must divide"),
    ("proxy.head_dim", 9, "proxy.head_dim = 9: must be even"),
    ("proxy.n_heads", 12, "proxy.head_dim = 2.66"),
    ("proxy.n_heads", 0, "proxy.n_heads = 0: should be greater than 0"),
    ("proxy.d_model", "wide", "proxy.d_model = 'wide': should be a valid integer"),
    ("proxy.d_modle", 32, "proxy.d_modle: unknown key; did you mean d_model?"),
    ("proxy.vocab_size", 100, "vocab_size of at least 256"),
    ("proxy", 3, "proxy = 3: should be a valid dictionary"),
    ("base", {"d_model": 32, "n_layers": 2, "n_heads": 4, "tied": True}, "base: tied is true"),
    ("searhc", {}, "searhc: unknown key; did you mean search?"),
    ("search", None, "search: is missing"),
    ("search.trials", 0, "search.trials = 0: should be greater than 0"),
    ("search.pack_size", "many", "search.pack_size = 'many': should be an integer above 0, or"),
    ("search.pack_size", 0, "search.pack_size = 0: should be an integer above 0, or auto"),
    ("search.sampler", "tpee", "search.sampler = 'tpee': should be 'auto', 'tpe', 'random'"),
    ("search.space", {}, "search.space: "),
    ("search.start", {"learning_rate": 1.0}, "search.start.learning_rate: 1 is outside the range"),
    ("search.start", {"beta1": 0.9}, "search.start.beta1: is not searched; searched are learn"),
    ("search.start", [{}], "search.start.0: "),
    ("search.start", 0.01, "search.start = 0.01: "),
    (
        "search.start",
        [{"learning_rate": 0.01}, {"learning_rate": -1}],
        "search.start.1.learning_rate: -1 is outside the range, 0.001 to 0.1; change it, or ",
    ),
    (
        "search",
        {"space": {"beta2": {"choices": [0.9, 0.95]}}, "start": {"beta2": 0.94}},
        "search.start.beta2: 0.94 is not one of the choices, 0.9, 0.95; change it, or search",
    ),
    (
        "search",
        {"space": {"beta2": {"choices": [0.9, 0.95]}}, "trials": 1, "start": [{"beta2": 0.9}] * 2},
        "search.start: has 2 points, more than search.trials = 1",
    ),
    (
        "search.space.learning_rate",
        {"low": 0.1, "high": 0.01},
        "search.space.learning_rate.high = 0.01: must be at least low = 0.1",
    ),
    (
        "search.space.learning_rate",
        {"low": 0.0, "high": 0.01, "log": True},
        "search.space.learning_rate.log = True: a log range needs low above 0",
    ),
    ("search.space.learning_rate", {"low": 0.1}, "search.space.learning_rate.high: is missing"),
    ("search.space.learning_rate", {"lwo": 1, "high": 2}, "lwo: unknown key; did you mean low?"),
    ("search.space.beta2", {"low": 0.5, "high": 1.5}, "search.space.beta2: holds 1.5; the hyper"),
    ("search.space.beta2", {"choices": []}, "search.space.beta2.choices"),
    (
        "search.space.lerning_rate",
        {"low": 1, "high": 2},
        "search.space.lerning_rate: unknown hyperparameter 'lerning_rate'; did you mean learning",
    ),
    ("training.steps", -1, "training.steps = -1: should be greater than 0"),
    ("training.evaluations", 999, "training.evaluations = 999: must be at most steps = 200"),
    ("training.schedule", "cos", "training.schedule = 'cos': should be 'cosine', 'linear' or"),
    ("hyperparameters.learning_rate", 0, "hyperparameters.learning_rate = 0: should be greater"),
    ("hyperparameters.beta1", 1.0, "hyperparameters.beta1 = 1.0: should be less than 1"),
    ("hyperparameters.eps", float("nan"), "hyperparameters.eps = nan: should be a finite number"),
    ("parameterization", "mupp", "parameterization.name = 'mupp': should be 'sp', 'mup'"),
    ("parameterization", {"depth_alpha": 2}, "parameterization.depth_alpha = 2: must be one of"),
    ("data.validation_fraction", 1, "data.validation_fraction = 1: should be less than 1"),
    ("name", "../escape", "name = '../escape': String should match"),
    ("seed", -1, "seed = -1: should be greater than or equal to 0"),
    ("schema_version", 0, "schema_version = 0: should be 1"),
]


def changed(path: str, value: object) -> dict[str, Any]:
    """The good study with one field set, or removed for None."""
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(GOOD))
    *above, last = path.split(".")
    inner = document
    for key in above:
        inner = inner.setdefault(key, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.mark.parametrize(("path", "value", "says"), BAD, ids=lambda part: str(part)[:40])
def test_a_mistake_is_named(tmp_path: Path, path: str, value: object, says: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(InputError) as refusal:
        load_study(file)
    message = str(refusal.value)
    assert says in message
    assert all(line.startswith(f"{file}: ") for line in message.splitlines())


def test_a_newer_file_is_refused_in_one_line_whatever_else_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(changed("schema_version", 2) | {"dreams": True}))
    with pytest.raises(InputError) as refusal:
        load_study(file)
    assert str(refusal.value) == (
        f"{file}: schema_version = 2: is newer than what proxytune {__version__} reads, "
        "which is 1; upgrade proxytune"
    )


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    document = changed("training.steps", 0)
    document["proxy"]["n_kv_heads"] = 3
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError) as refusal:
        load_study(file)
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"proxy: [", "is not valid YAML"),
        (b"", "holds nothing; a mapping of fields is needed"),
        (b"- 1\n- 2\n", "holds a list"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"!!python/object/apply:os.system ['true']", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=says):
        load_study(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_target(tmp_path / "nowhere.yaml")


def test_a_study_survives_being_written_and_read(tmp_path: Path) -> None:
    study = load_study(STUDIES / "quickstart.yaml")
    assert type(study).model_validate_json(study.model_dump_json()) == study


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_study_loads(file: Path) -> None:
    assert load_study(file).name == file.stem


@pytest.mark.parametrize("file", sorted(STUDIES.glob("targets/*.yaml")), ids=lambda f: f.stem)
def test_every_target_loads(file: Path) -> None:
    assert load_target(file).name == file.stem


@pytest.mark.parametrize("file", sorted(STUDIES.rglob("evidence/**/*.yaml")), ids=str)
def test_every_evidence_loads(file: Path) -> None:
    spec = load_evidence(file)
    assert len(spec.shapes()) == len(spec.values)


def test_the_base_is_the_proxy_without_repetition() -> None:
    study = load_study(STUDIES / "quickstart.yaml")
    assert study.proxy.repeat > 1
    assert study.base == study.proxy.at(n_kv_heads=study.proxy.n_heads)
    assert study.hyperparameters.init_std == pytest.approx(study.base.d_model**-0.5)


def test_relative_text_paths_start_at_the_study(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(changed("data.text", "corpus/*.txt")))
    assert load_study(file).data.text == (str(tmp_path.resolve() / "corpus/*.txt"),)


def test_a_shape_comes_from_a_target_a_study_or_alone(tmp_path: Path) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text("{d_model: 64, n_layers: 3, n_heads: 8}")
    assert load_shape(bare) == Shape(d_model=64, n_layers=3, n_heads=8)
    assert load_shape(STUDIES / "targets/small.yaml").d_model == 128
    assert load_shape(STUDIES / "quickstart.yaml").repeat == 1
