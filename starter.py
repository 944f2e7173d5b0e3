"""The command line `wharfinger`: mounts what cli/ has, one file per noun."""

import sys

import typer

from cli import advisories, demo, mail, publisher, scan, staff, submission, up

app = typer.Typer(
    name="wharfinger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Takes container images in, examines them, and lets them into a hub when they are fit.",
)
for verbs in (up, submission, scan, demo):
    verbs.add_to(app)
for name, noun in (("publisher", publisher), ("staff", staff), ("advisories", advisories), ("mail", mail)):
    app.add_typer(noun.app, name=name)


def main() -> None:
    try:
        app()
    except BrokenPipeError:  # `wharfinger queue | head`
        sys.stderr.close()


if __name__ == "__main__":
    main()
