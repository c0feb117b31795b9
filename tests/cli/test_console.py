"""`omiumctl ui`, and the console of `demo --ui`: where it listens, how it ends, what it says if it cannot start."""

from __future__ import annotations

import re
import signal
import socket
import threading
import urllib.error
import urllib.request

import pytest

pytest.importorskip("jinja2", reason="the extra ui is not installed")


@pytest.fixture
def omiumctl(omiumctl):
    """`omiumctl` for a service that does not answer."""
    omiumctl.environment |= {"OMIUM_API_KEY": "omium_test_0123456789abcdef", "OMIUM_API_URL": "http://127.0.0.1:9"}
    return omiumctl


def url_of(omiumctl) -> str:
    """The URL of the console, in the last line that it has printed."""
    return re.findall(rb"^http://127\.0\.0\.1:\d+/$", omiumctl.written_until(b"\nhttp"), re.MULTILINE)[-1].decode()


def page_of(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_it_serves_on_loopback_until_a_signal(omiumctl, number, code):
    statuses = []

    def when():
        url = url_of(omiumctl)
        statuses.extend([page_of(f"{url}new")[0], page_of(f"{url}new", Host="evil.example")[0]])

    ended = omiumctl.interrupted(when, "ui", "--port", "0", "--no-browser", number=number)
    assert (ended.code, ended.out, ended.err, statuses) == (code, "", "", [200, 403])


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


def test_it_opens_a_browser_and_does_not_wait_for_it(omiumctl, monkeypatch):
    opened, has_opened, may_return = [], threading.Event(), threading.Event()

    def open_browser(url):
        opened.append(url)
        has_opened.set()
        may_return.wait(30)

    monkeypatch.setattr("webbrowser.get", lambda: None)
    monkeypatch.setattr("webbrowser.open", open_browser)
    omiumctl.environment["BROWSER"] = "mine"
    urls = []

    def when():
        urls.append(url_of(omiumctl))
        assert has_opened.wait(30)

    assert omiumctl.interrupted(when, "ui", "--port", "0").code == 130
    may_return.set()
    assert opened == urls


def test_the_demo_serves_its_console_until_ctrl_c(omiumctl, monkeypatch):
    monkeypatch.setattr("omium_sync.cli.commands.demo._EXECUTIONS", 4)
    (omiumctl.home / "files").mkdir()
    for name, source in (("good.py", "x = 1\n"), ("bad.py", "x = (\n")):
        (omiumctl.home / "files" / name).write_text(source)
    pages = []
    when = lambda: pages.append(page_of(url_of(omiumctl))[1])  # noqa: E731
    ended = omiumctl.interrupted(when, "demo", "--ui", "files", "--database", "demo.db")
    assert (ended.code, 'id="row-exec_' in pages[0], "What failed" in pages[0]) == (130, True, True)
