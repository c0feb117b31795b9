"""Development tasks: ``python -m nox -s tests lint types``; ``python -m nox --list`` lists all of them.

A session runs in the environment of nox itself, except sessions that create their own. Arguments after ``--`` are
passed on to the command.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "types"]

#: For sessions with an environment of their own: uv if it is installed, because it is ten times as fast as pip.
FRESH = "uv|venv"
ROOT = Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _run(session: nox.Session, *command: str) -> None:
    session.run(sys.executable, "-m", *command, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the fast tests; ``-- tests/batch -k journal`` selects some."""
    _run(session, "pytest", *(session.posargs or ["-n", "3"]))


@nox.session(venv_backend=FRESH)
def slow(session: nox.Session) -> None:
    """Run the slow tests with browsers, servers and frameworks; none may be skipped because a package is missing."""
    session.install("--quiet", "--editable", ".[dev,docs]", *nox.project.dependency_groups(PROJECT, "slow"))
    environment = {"HYPOTHESIS_PROFILE": "full", "OMIUM_TEST_FRAMEWORKS": "all"}
    command = ["python", "-m", "pytest", "-m", "slow", *(session.posargs or ["-n", "3"])]
    session.run(*command, env=environment)


#: The modules whose tests must not be skipped, for each dependency group. CrewAI needs older versions than the others.
AGENTS = {"agents": "agents autogen_agentchat langgraph mcp.server.mcpserver pydantic_ai", "crewai": "crewai"}


@nox.session(venv_backend=FRESH)
@nox.parametrize("group", [*AGENTS])
def agents(session: nox.Session, group: str) -> None:
    """Run the examples of agent frameworks with the frameworks' own offline models."""
    session.install("--quiet", "--editable", ".[dev]", *nox.project.dependency_groups(PROJECT, group))
    command = ["python", "-m", "pytest", "tests/agents", *(session.posargs or ["-n", "3"])]
    session.run(*command, env={"OMIUM_TEST_AGENTS": AGENTS[group]})


@nox.session
def lint(session: nox.Session) -> None:
    """Check rules and layout of the code."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy and pyright in strict mode."""
    _run(session, "mypy")
    _run(session, "pyright", "--pythonpath", sys.executable)


@nox.session(venv_backend=FRESH)
def mutants(session: nox.Session) -> None:
    """Change code in small ways and count the changes that no test notices; `[tool.mutmut]` names folder and tests."""
    session.install("--quiet", "--editable", ".[dev]", *nox.project.dependency_groups(PROJECT, "mutants"))
    session.run("mutmut", "run", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run every benchmark. ``-- --smoke``: one short round; ``-- --json docs/benchmarks``: record for the docs."""
    failed: list[str] = []
    for benchmark in sorted((ROOT / "benchmarks").glob("[!_]*.py")):
        session.log(benchmark.name)
        if subprocess.run([sys.executable, benchmark, *session.posargs], check=False).returncode != 0:
            failed.append(benchmark.name)  # run the others before failing
    if failed:
        session.error(f"failed, or missed a floor: {', '.join(failed)}")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``site`` without network access; warnings are errors. Needs the extra ``docs``."""
    _run(session, "sphinx", "--fail-on-warning", "--keep-going", "--builder", "html", "docs", "site", *session.posargs)


@nox.session
def changes(session: nox.Session) -> None:
    """Check that this branch has an entry in ``changes/``; ``-- main`` if it started at main, not at origin/main."""
    _run(session, "towncrier", "build", "--draft", "--version", "next")
    _run(session, "towncrier", "check", "--compare-with", *(session.posargs or ["origin/main"]))


@nox.session(venv_backend=FRESH)
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the lowest supported versions of all dependencies."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["cli"], *extras["ui"], *extras["otel"]]
    constraints = Path(session.virtualenv.location) / "lowest.txt"  # `create_tmp` would move the tests' folders here
    constraints.write_text("".join(f"{bound.replace('>=', '==')}\n" for bound in bounds))
    session.install("--quiet", "--constraint", str(constraints), "--editable", ".[dev]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "3", "-q"]))
