"""The form of a link, which is all that the hub ever looks at."""

import socket

import hypothesis.strategies as st
import pytest
from hypothesis import given

from policies.links import problem_of


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.example",
        "https://acme.example/",
        "https://www.acme.co.uk:8443/a/b?c=d&e=%20#f",
        "https://münchen.example/straße",
        "https://xn--mnchen-3ya.example",
        "https://8.8.8.8/dns",
        "https://[2001:4860:4860::8888]/",
        "https://a_b.acme.example",
        "https://acme.example.",
        "HTTPS://acme.example",
    ],
)
def test_a_public_address_is_fine(url: str) -> None:
    assert problem_of(url) == ""


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "does not begin with https://"),
        ("acme.example", "does not begin with https://"),
        ("http://acme.example", "does not begin with https://"),
        ("ftp://acme.example", "does not begin with https://"),
        ("javascript:alert(1)", "does not begin with https://"),
        ("data:text/html,x", "does not begin with https://"),
        ("//acme.example", "does not begin with https://"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://acme.example:0", "names no host"),
        ("https://acme", "names no public host"),
        ("https://localhost", "names no public host"),
        ("https://hub.localhost", "names no public host"),
        ("https://printer.local", "names no public host"),
        ("https://git.internal", "names no public host"),
        ("https://x.test", "names no public host"),
        ("https://2130706433", "names no public host"),
        ("https://0x7f.1", "names no public host"),
        ("https://127.1", "names no public host"),
        ("https://127.0.0.0x1", "names no public host"),
        ("https://a..example", "names no public host"),
        ("https://-acme.example", "names no public host"),
        ("https://ac<me.example", "names no public host"),
        ("https://" + "a" * 64 + ".example", "names no public host"),
        ("https://127.0.0.1", "leads to a private address"),
        ("https://127.0.0.1.", "leads to a private address"),
        ("https://10.1.2.3", "leads to a private address"),
        ("https://169.254.169.254/latest/meta-data", "leads to a private address"),
        ("https://[::1]", "leads to a private address"),
        ("https://[::ffff:127.0.0.1]", "leads to a private address"),
        ("https://[fe80::1]", "leads to a private address"),
        ("https://user@acme.example", "contains a user name or password"),
        ("https://user:pass@acme.example", "contains a user name or password"),
        ("https://:@acme.example", "contains a user name or password"),
        ("https://acme.example@10.0.0.1", "contains a user name or password"),
        ("https://acme.example/a b", "contains white space"),
        ("https://acme.example\n", "contains white space"),
        ("https://acme.example/\u00a0", "contains white space"),
        ("https://acme.example\\@evil.example", "contains characters that no address has"),
        ("https://acme.example/\x00", "contains characters that no address has"),
        ("https://acme.example/\u202egpj", "contains characters that no address has"),
        ("https://acme.example/\ud800", "contains characters that no address has"),
        ("https://acme.example:99999", "cannot be read: Port out of range"),
        ("https://acme.example:x", "cannot be read: "),
        ("https://[::1", "cannot be read: "),
        ("https://acme.example/" + "x" * 2_048, "is longer than 2,048 characters"),
    ],
)
def test_anything_else_is_named(url: str, says: str) -> None:
    assert problem_of(url).startswith(says)


def test_nothing_is_ever_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the rule asked the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert problem_of("https://acme.example/a") == ""


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_has_a_problem(text: str) -> None:
    for url in (text, f"https://{text}", f"https://acme.example/{text}"):
        problem = problem_of(url)
        assert isinstance(problem, str)
        if not problem:
            assert url.isprintable()
            assert "." in url
