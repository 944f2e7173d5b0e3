"""Keys of the credentials that publishers give for their private sources."""

import typer

from cli.context import Json, console, load_settings, runs, write_json
from desk.hub import open_database
from models.errors import NotAllowed
from store.secrets import Vault, add_key, forget_keys

app = typer.Typer(no_args_is_help=True, help="Stored credentials: encrypted, and never shown.")


@app.command()
@runs
async def rotate(json_: Json = False) -> None:
    """Encrypt all stored credentials with a fresh key, and forget the older ones.

    Keys of the environment (WHARFINGER_SECRET_KEYS) are yours: put the new one first, call this, then drop the others.
    Restart workers and pages afterwards: what they cannot read until then is tried again, nothing is lost.
    """
    settings = load_settings()
    given = [key.get_secret_value() for key in settings.secret_keys]
    if len(given) == 1:
        raise NotAllowed("WHARFINGER_SECRET_KEYS has one key: put a new one before it, then call this again.")
    async with open_database(settings) as database:
        # the fresh key is in the file before anything is encrypted with it: killed here, nothing is lost
        vault = Vault(given or add_key(settings.home))
        async with database.transaction() as session:
            count = await vault.rotate(session)
        if not given:
            forget_keys(settings.home)
    if json_:
        write_json({"encrypted": count, "keys": "environment" if given else "file"})
        return
    console.print(f"{count} credentials are encrypted with the new key.")
    if given:
        console.print("Now drop the older keys from WHARFINGER_SECRET_KEYS, and restart workers and pages.")
    else:
        console.print("The older keys are forgotten. Restart workers and pages.")
