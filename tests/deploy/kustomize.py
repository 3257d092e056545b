"""What kustomize would build, for the few of its fields that deploy/ uses."""

import base64
import copy
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

Manifest = dict[str, Any]


class Strict(BaseModel):
    """Refuses fields that are not named."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Generator(Strict):
    """Makes a ConfigMap from files, or a Secret from NAME=VALUE lines."""

    name: str
    files: tuple[str, ...] = ()
    envs: tuple[str, ...] = ()


class GeneratorOptions(Strict):
    """Names stay as they are: kustomize does not know KubeRay's references to them."""

    disable: Literal[True] = Field(alias="disableNameSuffixHash")


class Target(Strict):
    """What a patch is for."""

    kind: str
    name: str


class Patch(Strict):
    """JSON patch operations on the one manifest that fits."""

    target: Target
    patch: str | None = None
    path: str | None = None


class Kustomization(Strict):
    """A folder's kustomization.yaml."""

    api_version: Literal["kustomize.config.k8s.io/v1beta1"] = Field(alias="apiVersion")
    kind: Literal["Kustomization"]
    namespace: str
    resources: tuple[str, ...]
    config_maps: tuple[Generator, ...] = Field((), alias="configMapGenerator")
    secrets: tuple[Generator, ...] = Field((), alias="secretGenerator")
    options: GeneratorOptions = Field(alias="generatorOptions")
    patches: tuple[Patch, ...] = ()


def build(folder: Path) -> list[Manifest]:
    """The folder's manifests. Raises where a file, or what a patch is for, is missing."""
    rules = Kustomization.model_validate(yaml.safe_load(_text(folder, "kustomization.yaml")))
    manifests = [made for name in rules.resources for made in _resource(folder / name)]
    manifests += [_config_map(folder, generator) for generator in rules.config_maps]
    manifests += [_secret(folder, generator) for generator in rules.secrets]
    for manifest in manifests:
        if manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = rules.namespace
    for patch in rules.patches:
        text = patch.patch or _text(folder, patch.path or "")
        for operation in yaml.safe_load(text):
            _apply(_target(manifests, patch.target), operation)
    return manifests


def load(file: Path) -> list[Manifest]:
    """A file's documents, each without anything shared, as written out."""
    return [copy.deepcopy(document) for document in yaml.safe_load_all(file.read_text())]


def _resource(path: Path) -> list[Manifest]:
    return build(path) if path.is_dir() else load(path)


def _text(folder: Path, name: str) -> str:
    # Kustomize itself refuses files outside of the folder.
    path = (folder / name).resolve()
    assert path.is_relative_to(folder.resolve()), path
    return path.read_text()


def _config_map(folder: Path, generator: Generator) -> Manifest:
    data = {Path(name).name: _text(folder, name) for name in generator.files}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator.name},
        "data": data,
    }


def _secret(folder: Path, generator: Generator) -> Manifest:
    lines = [line for name in generator.envs for line in _text(folder, name).split()]
    pairs = [line.split("=", 1) for line in lines]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": generator.name},
        "type": "Opaque",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in pairs},
    }


def _target(manifests: list[Manifest], target: Target) -> Manifest:
    (found,) = (
        manifest
        for manifest in manifests
        if (manifest["kind"], manifest["metadata"]["name"]) == (target.kind, target.name)
    )
    return found


def _apply(manifest: Manifest, operation: dict[str, Any]) -> None:
    *path, last = (
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    )
    place: Any = manifest
    for part in path:
        place = place[int(part) if isinstance(place, list) else part]
    key = int(last) if isinstance(place, list) else last
    place[key]  # both operations need something there
    if operation["op"] == "remove":
        del place[key]
    else:
        assert operation["op"] == "replace", operation
        place[key] = operation["value"]
