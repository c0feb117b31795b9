"""Completion of commands, options and values, in this process and in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

#: Scripts that complete `li` and `roll` in each shell.
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


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("omiumctl li", ["plain,list"]),
        ("omiumctl help roll", ["plain,rollback"]),
        ("omiumctl list --output c", ["plain,csv"]),
        ("omiumctl list --status pa", ["plain,paused"]),
        ("omiumctl wait x --until comp", ["plain,completed"]),
        ("omiumctl list --work", ["plain,--workflow-id"]),
    ],
)
def test_commands_options_and_values_complete(omiumctl, words, completions):
    last = str(len(words.split()) - 1)
    omiumctl.environment |= {"_OMIUMCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": last}
    assert omiumctl().out.split() == completions


@pytest.mark.slow
@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_works_in_a_real_shell(shell, omiumctl, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "omiumctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omium_sync.cli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(omiumctl("completion", shell).out)
    (tmp_path / "ask").write_text(SCRIPTS[shell])
    environment = {
        **omiumctl.environment,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "SCRIPT": str(tmp_path / "script"),
    }
    done = subprocess.run([shell, str(tmp_path / "ask")], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["list", "rollback"], done.stderr
