"""The scripts of `omiumctl completion` in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: What each shell is asked: which commands begin with `li` and `roll`.
SCRIPTS = {
    "bash": """
        source "$SCRIPT"
        for word in li roll; do
            COMP_WORDS=(omiumctl "$word"); COMP_CWORD=1; COMPREPLY=()
            _omiumctl_completion omiumctl
            echo "${COMPREPLY[@]}"
        done
    """,
    "zsh": """
        autoload -U compinit; compinit -u -d "$HOME/.zcompdump"
        source "$SCRIPT"
        _describe() { local -a given=("${(@P)3}"); print -r -- "${given[1]%%:*}" }
        compadd() { print -r -- "${@[-1]}" }
        for word in li roll; do
            words=(omiumctl "$word"); CURRENT=2
            _omiumctl_completion
        done
    """,
    "fish": """
        source "$SCRIPT"
        for word in li roll
            complete --do-complete "omiumctl $word" | string split -f1 \\t
        end
    """,
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`omiumctl` on a PATH of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = folder / "omiumctl"
    found.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omium_sync.cli "$@"\n')
    found.chmod(0o755)
    return folder


@pytest.mark.parametrize("shell", SCRIPTS)
def test_it_completes(shell, omiumctl, program, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    printed = omiumctl.here("completion", shell)
    assert printed.code == 0
    (tmp_path / "script").write_text(printed.out)
    (tmp_path / "ask").write_text(SCRIPTS[shell])
    environment = {
        **omiumctl.environment,
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "SCRIPT": str(tmp_path / "script"),
    }
    done = subprocess.run([shell, str(tmp_path / "ask")], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["list", "rollback"], done.stderr


def test_an_unknown_shell_is_wrong_usage(omiumctl):
    ended = omiumctl.here("completion", "csh")
    assert ended.code == 2
    assert "'bash', 'zsh', 'fish'" in ended.err


def test_options_and_their_values_complete(omiumctl):
    omiumctl.environment |= {
        "_OMIUMCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "omiumctl list --output c",
        "COMP_CWORD": "3",
    }
    assert omiumctl.here().out.split() == ["plain,csv"]
