"""`omiumctl ui`: where it listens, how it ends, what it says when it cannot."""

from __future__ import annotations

import ctypes
import json
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
    """Starts a command, with a service that is away, and no browser; ends it if the test does not."""
    running = []

    def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        unwanted = ("OMIUM_", "DISPLAY", "WAYLAND", "BROWSER")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(unwanted)}
        given = (
            clean | {"OMIUM_API_KEY": KEY, "OMIUM_API_URL": "http://127.0.0.1:9", "HOME": str(tmp_path)} | environment
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "omium_sync.cli", *arguments],
            env=given,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def url_of(process) -> str:
    """The URL that it says, in its last line."""
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_it_serves_until_it_is_stopped(start, number, code):
    process = start("ui", "--port", "0", "--no-browser")
    url = url_of(process)
    assert status_of(f"{url}client") == 200
    assert status_of(f"{url}client", Host="evil.example") == 403
    process.send_signal(number)
    rest, complaints = process.communicate(timeout=60)
    assert (process.returncode, rest, complaints) == (code, "", "")


def test_it_listens_on_loopback_alone(start):
    url = url_of(start("ui", "--port", "0", "--no-browser"))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)


def test_a_taken_port_is_said_in_one_line(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("ui", "--port", port, "--no-browser")
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaints.count("\n") == 1
    assert f"port {port}" in complaints
    assert KEY not in complaints


def test_without_a_browser_it_says_so_before_the_url(start):
    process = start("ui", "--port", "0")
    lines = [process.stdout.readline() for _ in range(3)]
    assert "no browser" in lines[0]
    assert lines[2].startswith("http")


def test_a_browser_is_opened_and_not_waited_for(start, tmp_path):
    seen = tmp_path / "seen"
    opener = tmp_path / "opener"
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


def test_wrong_usage_is_said_before_anything_is_served(start):
    for arguments in (["ui", "--port", "x"], ["ui", "--port", "70000"], ["ui", "--nope"]):
        process = start(*arguments)
        process.communicate(timeout=60)
        assert process.returncode == 2
    process = start("ui", OMIUM_API_KEY="")
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "OMIUM_API_KEY" in complaints


def test_serve_with_its_console(start):
    process = start("serve", "--ui", "--output", "json")
    said = json.loads(process.stdout.readline())
    assert status_of(said["console"]) == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def interrupt(process) -> None:
    """As systems may do it: another thread than the main one is given the signal."""
    threads, libc = Path(f"/proc/{process.pid}/task"), ctypes.CDLL(None)
    if not threads.exists() or not hasattr(libc, "tgkill"):
        process.send_signal(signal.SIGINT)
        return
    other = next(int(thread.name) for thread in threads.iterdir() if int(thread.name) != process.pid)
    assert libc.tgkill(process.pid, other, signal.SIGINT) == 0


def test_the_demo_with_its_console(start, tmp_path):
    (tmp_path / "files").mkdir()
    for number in range(3):
        (tmp_path / "files" / f"{number}.py").write_text(f"x = {number}\n")
    (tmp_path / "files" / "bad.py").write_text("x = (\n")
    process = start("demo", "--ui", "files", "--database", "demo.db")
    url = url_of(process)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    with urllib.request.urlopen(url) as answer:
        page = answer.read().decode()
    assert 'id="row-exec_' in page
    assert "What failed" in page
    interrupt(process)
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (130, "")


def test_without_the_extra_it_says_what_to_install(tmp_path):
    script = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        " importlib.util.find_spec = lambda name, *more: None if name == 'jinja2' else find(name, *more);"
    )
    done = subprocess.run([sys.executable, "-c", f"{script} import omium_async.ui"], capture_output=True, text=True)
    assert "pip install 'omium-async[ui]'" in done.stderr.splitlines()[-1]
    command = f"{script} from omium_sync.cli import main; sys.exit(main(['ui']))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'omium-async[ui]'" in done.stderr


def test_nothing_of_it_is_imported_by_anything_else():
    script = "import omium_async, omium_sync, omium_async.local, omium_sync.cli.app, sys;"
    script += " sys.exit(any(name == 'jinja2' or name.startswith('omium_async.ui') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
