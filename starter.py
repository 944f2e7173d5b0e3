"""The command line `wharfinger`: mounts what cli/ has, one file per noun."""

import os
import sys

import typer

from cli import (
    advisories,
    demo,
    doctor,
    gc,
    init,
    mail,
    policy,
    product,
    publisher,
    scan,
    secrets,
    staff,
    status,
    submission,
    up,
)

app = typer.Typer(
    name="wharfinger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Takes container images in, examines them, and lets them into a hub when they are fit.",
)
for verbs in (up, demo, doctor, init, submission, status, scan, gc):
    verbs.add_to(app)
for noun in (publisher, product, staff, advisories, mail, policy, secrets):
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])


def main() -> None:
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:  # `wharfinger queue | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None  # as a shell counts SIGPIPE


if __name__ == "__main__":
    main()
