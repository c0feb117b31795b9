"""`omiumctl ui`: where it listens, how it ends, and what it says if it cannot start."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the extra cli is not installed")
pytest.importorskip("jinja2", reason="the extra ui is not installed")

KEY = "omium_test_0123456789abcdef"


@pytest.fixture
def start(tmp_path):
    """Starts a command for a service that does not answer, without a browser; ends it if the test does not."""
    running, hang_up = [], signal.getsignal(signal.SIGHUP)

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        unwanted = ("OMIUM_", "DISPLAY", "WAYLAND", "BROWSER")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(unwanted)}
        given = {"OMIUM_API_KEY": KEY, "OMIUM_API_URL": "http://127.0.0.1:9", "HOME": str(tmp_path), **environment}
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and children inherit that
        process = subprocess.Popen(
            [sys.executable, "-m", "omium_sync.cli", *arguments],
            env=clean | given,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    signal.signal(signal.SIGHUP, hang_up)
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def url_of(process) -> str:
    """The URL that it prints."""
    for line in process.stdout:
        if line.startswith("http"):
            return line.strip()
    raise AssertionError(process.stderr.read())


def status_of(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_it_serves_on_loopback_until_ctrl_c(start):
    process = start("ui", "--port", "0", "--no-browser")
    url = url_of(process)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    assert status_of(f"{url}new") == 200
    assert status_of(f"{url}new", Host="evil.example") == 403
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_by_the_signals_of_a_system(start, number):
    process = start("ui", "--port", "0", "--no-browser")
    url_of(process)
    process.send_signal(number)
    rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (0, "", "")


@pytest.mark.slow
def test_a_taken_port_is_one_line(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("ui", "--port", port, "--no-browser")
        _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints.count("\n")) == (1, 1)
    assert f"port {port}" in complaints
    assert KEY not in complaints


@pytest.mark.slow
def test_it_opens_a_browser_and_does_not_wait_for_it(start, tmp_path):
    lines = [start("ui", "--port", "0").stdout.readline() for _ in range(1)]
    assert "no browser" in lines[0]
    seen, opener = tmp_path / "seen", tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {seen}.new && mv {seen}.new {seen}\nexec sleep 20 >/dev/null 2>&1\n')
    opener.chmod(0o755)
    process = start("ui", "--port", "0", BROWSER=f"{opener} %s")
    url = url_of(process)
    for _ in range(6000):
        if seen.exists():
            break
        signal.sigtimedwait([], 0.01)
    assert seen.read_text().strip() == url
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert process.returncode == 130


def interrupt_another_thread(process) -> None:
    """Send SIGINT to another thread than the main one, as systems may do."""
    threads, libc = Path(f"/proc/{process.pid}/task"), ctypes.CDLL(None)
    if not threads.exists() or not hasattr(libc, "tgkill"):
        process.send_signal(signal.SIGINT)
        return
    other = next(int(thread.name) for thread in threads.iterdir() if int(thread.name) != process.pid)
    assert libc.tgkill(process.pid, other, signal.SIGINT) == 0


@pytest.mark.slow
def test_the_demo_serves_its_console_until_ctrl_c(start, tmp_path):
    (tmp_path / "files").mkdir()
    for number in range(3):
        (tmp_path / "files" / f"{number}.py").write_text(f"x = {number}\n")
    (tmp_path / "files" / "bad.py").write_text("x = (\n")
    process = start("demo", "--ui", "files", "--database", "demo.db")
    with urllib.request.urlopen(url_of(process)) as answer:
        page = answer.read().decode()
    assert 'id="row-exec_' in page
    assert "What failed" in page
    interrupt_another_thread(process)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_without_the_extra_the_error_names_it():
    script = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        " importlib.util.find_spec = lambda name, *more: None if name == 'jinja2' else find(name, *more);"
    )
    done = subprocess.run([sys.executable, "-c", f"{script} import omium_async.ui"], capture_output=True, text=True)
    assert "pip install 'omium-async[ui]'" in done.stderr.splitlines()[-1]


def test_nothing_else_imports_the_console():
    script = "import omium_async, omium_sync, omium_async.local, omium_sync.cli, sys; omium_sync.cli.main;"
    script += " sys.exit(any(name == 'jinja2' or name.startswith('omium_async.ui') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
