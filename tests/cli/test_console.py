"""`omiumctl ui`: where it listens, how it ends, and what it says if it cannot start."""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ..ports import free_port

pytest.importorskip("jinja2", reason="the extra ui is not installed")


@pytest.fixture
def omiumctl(omiumctl):
    """`omiumctl` for a service that does not answer, without a browser."""
    omiumctl.environment |= {"OMIUM_API_KEY": "omium_test_0123456789abcdef", "OMIUM_API_URL": "http://127.0.0.1:9"}
    return omiumctl


def url_of(process) -> str:
    """The URL that it prints."""
    for line in process.stdout:
        if line.startswith(b"http"):
            return line.decode().strip()
    raise AssertionError(process.stderr.read())


def status_of(url: str, **headers: str) -> int:
    """The status of a page, once the console listens."""
    for _ in range(3000):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except urllib.error.URLError:
            time.sleep(0.01)
    raise AssertionError(url)


def test_it_serves_on_loopback_until_ctrl_c_and_prints_its_url_last(omiumctl):
    port = free_port()
    url, statuses = f"http://127.0.0.1:{port}/", []

    def when():
        statuses.extend([status_of(f"{url}new"), status_of(f"{url}new", Host="evil.example")])

    ended = omiumctl.interrupted(when, "ui", "--port", port, "--no-browser")
    assert (ended.code, ended.err, statuses) == (130, "", [200, 403])
    assert ended.out.splitlines()[-1] == url


def test_a_taken_port_and_a_missing_extra_are_one_line(omiumctl, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = omiumctl("ui", "--port", port, "--no-browser")
    assert (refused.code, refused.lines_of_errors, f"port {port}" in refused.err) == (1, 1, True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None if name == "jinja2" else name)
    missing = omiumctl("ui")
    assert (missing.code, "pip install 'omium-async[ui]'" in missing.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_by_the_signals_of_a_system(omiumctl, number):
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and children inherit that
    process = omiumctl.start("ui", "--port", "0", "--no-browser")
    signal.signal(signal.SIGHUP, hang_up)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url_of(process))
    process.send_signal(number)
    ended = omiumctl.ended(process)
    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.slow
def test_it_opens_a_browser_and_does_not_wait_for_it(omiumctl, tmp_path):
    assert b"no browser" in omiumctl.start("ui", "--port", "0").stdout.readline()
    seen, opener = tmp_path / "seen", tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {seen}.new && mv {seen}.new {seen}\nexec sleep 20 >/dev/null 2>&1\n')
    opener.chmod(0o755)
    omiumctl.environment["BROWSER"] = f"{opener} %s"
    process = omiumctl.start("ui", "--port", "0")
    url = url_of(process)
    for _ in range(3000):
        if seen.exists():
            break
        time.sleep(0.01)
    assert seen.read_text().strip() == url
    process.send_signal(signal.SIGINT)
    assert omiumctl.ended(process).code == 130


def interrupt_another_thread(process) -> None:
    """Send SIGINT to another thread than the main one, as systems may do."""
    threads, libc = Path(f"/proc/{process.pid}/task"), ctypes.CDLL(None)
    if not threads.exists() or not hasattr(libc, "tgkill"):
        process.send_signal(signal.SIGINT)
        return
    other = next(int(thread.name) for thread in threads.iterdir() if int(thread.name) != process.pid)
    assert libc.tgkill(process.pid, other, signal.SIGINT) == 0


@pytest.mark.slow
def test_the_demo_serves_its_console_until_ctrl_c(omiumctl, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "good.py").write_text("x = 1\n")
    (tmp_path / "files" / "bad.py").write_text("x = (\n")
    process = omiumctl.start("demo", "--ui", "files", "--database", "demo.db")
    with urllib.request.urlopen(url_of(process)) as answer:
        page = answer.read().decode()
    assert ('id="row-exec_' in page, "What failed" in page) == (True, True)
    interrupt_another_thread(process)
    assert omiumctl.ended(process).code == 130
