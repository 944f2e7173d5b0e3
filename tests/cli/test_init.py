"""`wharfinger init` writes a folder that is fit as it stands, and never writes over anything."""

import tomllib
from pathlib import Path

import pytest

from desk.folder import read_folder
from desk.refusal import problems_of
from desk.submissions import examine
from models.content import ContentManifest
from models.policy import HubPolicy, ManifestLimits, Terms
from policies import pictures
from tests.cli.conftest import Shell
from tests.desk.hubs import read

FILES = ["LICENCE.txt", "description.md", "icon.png", "product.toml", "screenshot.png"]


async def test_what_it_writes_passes_every_rule_that_needs_no_image(shell: Shell, tmp_path: Path) -> None:
    written = await shell.json("init", "my-ledger")
    assert (written["folder"], written["files"]) == ("my-ledger", FILES)
    found = read(tmp_path / "my-ledger")
    assert problems_of(examine(found, HubPolicy()), found.problems) == []
    assert examine(found, HubPolicy()) == ()
    assert (await shell.json("submit", "my-ledger", "--dry-run")) == {"findings": [], "blocking": 0}


async def test_every_item_of_the_manifest_is_there_and_explained(shell: Shell, tmp_path: Path) -> None:
    await shell("init", "crane")
    text = (tmp_path / "crane" / "product.toml").read_text(encoding="utf-8")
    assert set(tomllib.loads(text)) == set(ContentManifest.model_fields)
    for item in range(1, 8):
        assert f"# {item}. " in text
    assert "# 8. to 11. " in text
    assert "# 12. " in text
    for category in Terms().categories:
        assert f"#   {category}\n" in text
    manifest = read(tmp_path / "crane").manifest
    assert len(manifest.tiers) == 2
    assert all(tier.source and tier.sla and tier.installation for tier in manifest.tiers)
    icon = pictures.look((tmp_path / "crane" / "icon.png").read_bytes())
    assert (icon.format, icon.width, icon.height) == ("PNG", 512, 512)


async def test_the_hubs_own_policy_is_kept_to(shell: Shell, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[manifest]\nicon_pixels = 700\n[terms]\ncategories = ["boats"]\ncurrencies = ["EUR"]\n')
    await shell("init", "crane", WHARFINGER_POLICY=str(policy))
    mine = HubPolicy(manifest=ManifestLimits(icon_pixels=700), terms=Terms(categories=("boats",), currencies=("EUR",)))
    assert examine(read_folder(tmp_path / "crane", mine.manifest), mine) == ()


@pytest.mark.parametrize(
    ("folder", "options", "name"),
    [
        ("my-ledger", (), "My ledger"),
        ("a_b", (), "A b"),
        ("x", ("--name", 'Größe "9" \\ [x]'), 'Größe "9" \\ [x]'),
        ("-", (), "Harbour Ledger"),
    ],
)
async def test_the_product_is_named(
    shell: Shell, tmp_path: Path, folder: str, options: tuple[str, ...], name: str
) -> None:
    await shell("init", *options, "--", folder)
    assert read(tmp_path / folder).manifest.name == name


async def test_nothing_is_overwritten_unless_it_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "crane"
    folder.mkdir()
    (folder / "product.toml").write_text("mine")
    (folder / "icon.png").symlink_to(tmp_path / "elsewhere.png")
    line = await shell.refused("init", "crane")
    assert "crane has icon.png, product.toml already: nothing is written. --force overwrites." in line
    assert sorted(path.name for path in folder.iterdir()) == ["icon.png", "product.toml"]
    assert (folder / "product.toml").read_text() == "mine"
    await shell("init", "crane", "--force")
    assert read(folder).problems == ()
    # a link is replaced, and what it led to is not touched
    assert not (tmp_path / "elsewhere.png").exists()
    assert sorted(path.name for path in folder.iterdir()) == FILES


async def test_a_folder_that_cannot_be_made_is_named(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file is a file: name a folder." in await shell.refused("init", "file")
    assert "not a directory" in await shell.refused("init", "file/within")


async def test_it_says_what_comes_next(shell: Shell) -> None:
    shown = (await shell("init", "crane")).stdout
    assert "Written: 5 files in crane." in shown
    assert "wharfinger submit crane --dry-run" in shown
