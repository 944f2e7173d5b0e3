"""`wharfinger init`: a submission folder to begin with."""

import os
from pathlib import Path
from typing import Annotated

import typer

from activities.policy import PolicyInForce
from cli import sample
from cli.context import Json, console, load_settings, runs, write_json
from models.errors import NotAllowed


@runs
async def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write; it is made when there is none.")],
    name: Annotated[str, typer.Option(help="Product name; the folder's name when not given.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files that are there.")] = False,
    json_: Json = False,
) -> None:
    """Write a submission folder: product.toml with every item explained, icon, screenshot, description, licence."""
    policy = PolicyInForce(load_settings().policy_place).current()
    files = sample.files(_product_name(name, folder), policy)
    if folder.exists() and not folder.is_dir():
        raise NotAllowed(f"{folder} is a file: name a folder.")
    # a link that leads nowhere is there as well
    there = sorted(file for file in files if os.path.lexists(folder / file))
    if there and not force:
        raise NotAllowed(f"{folder} has {', '.join(there)} already: nothing is written. --force overwrites.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        _write(folder / file, content, overwrite=force)
    if json_:
        write_json({"folder": folder, "files": sorted(files)})
        return
    console.print(f"[bold]Written:[/] {len(files)} files in {folder}.")
    console.print(f"Next: edit {folder / 'product.toml'}, then  wharfinger submit {folder} --dry-run", markup=False)


def _product_name(name: str, folder: Path) -> str:
    """`my-ledger/` -> `My ledger`."""
    words = name.strip() or folder.resolve().name.replace("-", " ").replace("_", " ").strip()
    words = "".join(letter for letter in words if letter.isprintable())
    return words[:1].upper() + words[1:] if words else "Harbour Ledger"


def _write(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Never through a link: what it leads to is not ours. Errors: OSError."""
    if not overwrite:
        with path.open("xb") as file:
            file.write(content)
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)


def add_to(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(init)
