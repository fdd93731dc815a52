"""The files beside the code say the same as the files that they follow."""

import configparser
import re
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with coverage[toml]

# tox links the tests into a folder of its own: this is the folder that they come from.
ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"

pytestmark = pytest.mark.skipif(
    not GITHUB.is_dir(), reason="a source distribution has no such files"
)


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


def expanded(name):
    """Give the environments that tox means by a name with braces."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return {"".join(chosen) for chosen in product(*parts)}


def matrix(job):
    return read(".github/workflows/ci.yml")["jobs"][job]["strategy"]["matrix"]


def tox():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini")
    return config


@pytest.mark.parametrize(
    "path", [".pre-commit-config.yaml", ".readthedocs.yaml", ".github"]
)
def test_each_file_parses(path):
    files = [*(ROOT / path).rglob("*.yml")] or [ROOT / path]
    assert all(isinstance(read(file), dict) for file in files)


def test_editors_are_told_how_the_code_is_laid_out():
    config = configparser.ConfigParser()
    config.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert config["top"]["root"] == "true"
    length = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert config["*.py"]["max_line_length"] == str(length["line-length"])


def test_ci_runs_each_environment_of_tox_once():
    names = tox()["tox"]["env_list"].split()
    ran = [
        *matrix("checks")["env"],
        *(run["env"] for run in matrix("sqlite")["include"]),
    ]
    assert sorted(ran) == sorted(set().union(*map(expanded, names)))


@pytest.mark.parametrize("job", ["sqlite", "rest_framework", "postgresql", "mariadb"])
def test_ci_installs_the_python_that_tox_asks_for(job):
    for run in matrix(job)["include"]:
        assert run["env"].startswith(f"py{run['python'].replace('.', '')}-")


@pytest.mark.parametrize("path", [".ci/run", "docs/contributing.rst"])
def test_the_ports_of_newer_servers_are_those_that_the_script_gives_them(path):
    ports = re.findall(r"\[(\w+)\]=(\d+)", (ROOT / ".ci/servers").read_text())
    used = re.findall(r"(\w+)_PORT=(\d+)", (ROOT / path).read_text())
    assert {(name.lower(), port) for name, port in used} == {*ports}


def test_hooks_and_tox_have_the_same_versions():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pinned = dict(name.split("==") for name in groups["lint"])
    hooks = {}
    for repository in read(".pre-commit-config.yaml")["repos"]:
        name = Path(repository["repo"]).name.lower().removesuffix("-pre-commit")
        hooks[name] = repository["rev"].removeprefix("v")
    # These run as hooks alone: they are about files of every kind.
    del hooks["pre-commit-hooks"]
    assert hooks == pinned


def test_tox_checks_each_file_that_github_reads():
    checked = tox()["testenv:lint"]["commands"].split()
    files = [
        ROOT / ".readthedocs.yaml",
        GITHUB / "dependabot.yml",
        *GITHUB.glob("workflows/*"),
        *GITHUB.glob("actions/*/*"),
        *GITHUB.glob("ISSUE_TEMPLATE/*"),
    ]
    for path in files:
        assert path.relative_to(ROOT).as_posix() in checked


def test_actions_are_pinned_to_a_commit():
    sources = "".join(path.read_text() for path in GITHUB.rglob("*.yml"))
    used = re.findall(r"uses: (\S+)", sources)
    assert used
    for name in used:
        assert name.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)
