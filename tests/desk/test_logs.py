"""Logs: one stream, a line an event, and no secret in it."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from desk.logs import set_up_logs

PASSWORD = "open-sesame-1357"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What set_up_logs changes is the whole process's."""
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configuration)


def written(form: Literal["console", "json"], capture: pytest.CaptureFixture[str]) -> str:
    """What our own logger and a library's write about a failure with a secret at hand."""
    set_up_logs(form, "info")
    # a logger that was used before keeps its former processors; a fresh one is as in a fresh process
    ours: Any = structlog.get_logger(f"ours.{form}")
    ours.info("an event", password=PASSWORD, Token=PASSWORD, number=7)
    logging.getLogger("library").warning("another event %s", 8)
    try:
        _fails(PASSWORD)
    except RuntimeError:
        ours.exception("a failure")
    ours.debug("too quiet")
    logging.getLogger("httpx").info("a request")
    sys.stderr.flush()
    out, err = capture.readouterr()
    assert out == ""
    return err


def _fails(secret: str) -> None:
    assert secret
    raise RuntimeError("it broke")


@pytest.mark.parametrize("form", ["console", "json"])
def test_both_kinds_of_loggers_write_alike_and_hide_secrets(
    form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(form, capsys)
    assert PASSWORD not in text
    for word in ("an event", "another event 8", "a failure", "RuntimeError", "it broke", "hidden"):
        assert word in text
    for word in ("too quiet", "a request"):
        assert word not in text


def test_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    events = [json.loads(line) for line in written("json", capsys).splitlines()]
    assert [event["event"] for event in events] == ["an event", "another event 8", "a failure"]
    assert [event["level"] for event in events] == ["info", "warning", "error"]
    assert events[0]["number"] == 7
    assert "it broke" in events[2]["exception"]
    assert all(event["timestamp"].endswith("Z") for event in events)
