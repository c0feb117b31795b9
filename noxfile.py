"""The project's tasks. Each runs in the environment that nox itself is in, but for those that need one of their own:

    python -m nox -s tests lint types

``python -m nox --list`` shows them all; what follows ``--`` is handed on.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "types"]

ROOT = Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _run(session: nox.Session, *command: str) -> None:
    session.run(sys.executable, "-m", *command, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; ``-- tests/batch -k journal`` for some of them."""
    _run(session, "pytest", *(session.posargs or ["-n", "3"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and layout of the code."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Both type checkers, strict."""
    _run(session, "mypy")
    _run(session, "pyright", "--pythonpath", sys.executable)


@nox.session
def mutants(session: nox.Session) -> None:
    """Small changes to a room, and whether its tests notice: ``-- transport --count 40 --seed 1``."""
    session.run(sys.executable, "tests/mutants.py", *(session.posargs or ["--help"]), external=True)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Every benchmark. ``-- --smoke``: only whether they run; ``-- --json docs/benchmarks``: for the documentation."""
    failed: list[str] = []
    for benchmark in sorted((ROOT / "benchmarks").glob("[!_]*.py")):
        session.log(benchmark.name)
        if subprocess.run([sys.executable, benchmark, *session.posargs], check=False).returncode != 0:
            failed.append(benchmark.name)  # the others are worth knowing all the same
    if failed:
        session.error(f"failed, or missed a bound: {', '.join(failed)}")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into the folder ``site``; warnings are errors, and no network is asked."""
    _run(session, "sphinx", "--fail-on-warning", "--keep-going", "--builder", "html", "docs", "site", *session.posargs)


@nox.session
def changes(session: nox.Session) -> None:
    """Whether this branch tells of its change in ``changes/``; ``-- main`` if it began there, not at origin/main."""
    _run(session, "towncrier", "build", "--draft", "--version", "next")
    _run(session, "towncrier", "check", "--compare-with", *(session.posargs or ["origin/main"]))


@nox.session(venv_backend="venv")
def lowest(session: nox.Session) -> None:
    """The tests on the lowest versions that the package says it works with."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["cli"], *extras["ui"], *extras["otel"]]
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("".join(f"{bound.replace('>=', '==')}\n" for bound in bounds))
    session.install("--quiet", "--constraint", str(constraints), "--editable", ".[dev]")
    others = ("docs", "frameworks", "packaging", "plugin", "test_readme.py", "typing", "ui")  # not of the core
    without = [f"--ignore=tests/{name}" for name in others]
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "3", "-q", *without]))


@nox.session(venv_backend="venv")
def frameworks(session: nox.Session) -> None:
    """The programs under ``examples/`` with the real frameworks, none of them left out."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "frameworks"))
    session.install("--quiet", "--editable", ".[dev]")
    command = ["python", "-m", "pytest", "-q", "tests/frameworks", *session.posargs]
    session.run(*command, env={"OMIUM_TEST_FRAMEWORKS": "all"})
