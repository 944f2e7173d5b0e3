"""A submission folder is read whole, whatever is in it: every mistake is named, and nothing outside is touched."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import product_file
from desk.folder import read_file, read_folder
from desk.refusal import problems_of, refuse_unfit
from desk.submissions import examine
from models.content import ContentManifest
from models.errors import InvalidManifest, NotFound
from models.policy import HubPolicy, ManifestLimits
from tests.desk.hubs import read, write_sample

#: what a bomb may cost on a busy machine, seconds; without the guards it is hours, or the memory
_SHORT = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "crane")


def fields(folder: Path) -> list[str]:
    """The fields that have to be mended, by the form and by the rules."""
    found = read(folder)
    return [problem.field for problem in problems_of(examine(found, HubPolicy()), found.problems)]


def problem(folder: Path, field: str) -> str:
    """The one problem of a field."""
    [said] = [problem.message for problem in read(folder).problems if problem.field == field]
    return said


def test_the_sample_is_read_whole(folder: Path) -> None:
    found = read(folder)
    assert found.problems == ()
    manifest = found.manifest
    assert manifest.name == "Crane"
    assert manifest.long_description.startswith("## What Crane does")
    assert manifest.licences[0].text.startswith("End user licence agreement")
    assert [tier.source.tags for tier in manifest.tiers if tier.source] == [("1.0", "1.0.0")] * 2
    assert set(found.pictures) == {manifest.icon, *manifest.screenshots}
    assert fields(folder) == []


def test_five_mistakes_of_form_and_rule_are_all_named_at_once(tmp_path: Path) -> None:
    folder = write_sample(
        tmp_path / "crane",
        short_description=f'short_description = "{"x" * 141}"',
        category='categry = "databases"',
        icon='icon = "nothing.png"',
        documentation='documentation = "http://10.0.0.1/"',
        track='track = "verison"',
    )
    assert set(fields(folder)) == {"short_description", "categry", "category", "icon", "documentation", "track"}
    assert "Did you mean category?" in problem(folder, "categry")
    assert problem(folder, "category") == "is missing."
    assert problem(folder, "icon") == "there is no file nothing.png in the submission folder."


def test_a_field_that_cannot_be_read_is_not_judged_by_the_rules_as_well(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "crane", name="name = 7", tags='tags = "latest"')
    found = read(folder)
    with pytest.raises(InvalidManifest) as refusal:
        refuse_unfit(examine(found, HubPolicy()), found.problems)
    assert [problem.field for problem in refusal.value.problems] == ["name", "tiers.0.source.tags"]
    assert str(refusal.value).startswith("name: input should be a valid string.\n")


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ("tiers = 3", "tiers", "valid tuple"),
        ('tiers = ["Community"]', "tiers.0", "valid dictionary"),
        ('support = "us"', "support", "valid dictionary"),
        ("[support]\nlink = 1\nmail = 'x'", "support.mail", "Did you mean email?"),
        ("[[licences]]\ntitel = 'x'", "licences.0.titel", "Did you mean title?"),
        ("[[licences]]\ntitel = 'x'", "licences.0.title", "is missing."),
        ("screenshots = [1]", "screenshots.0", "name of a file"),
        ("long_description = {}", "long_description", "name of a file"),
        ("[[tiers]]\nname = 'A'\nsla = {}", "tiers.0.sla.hours", "is missing."),
        ("[[tiers]]\nprice = { amount = nan }", "tiers.0.price.amount", "finite number"),
        ("name = 2026-01-01", "name", "valid string"),
        ('name = "a\\u0000b"', "name", "U+0000"),
        (
            "[[tiers]]\nsla = { first_response_hours = 0x" + "f" * 500 + " }",
            "tiers.0.sla.first_response_hours",
            "large",
        ),
    ],
)
def test_every_mistake_names_its_field(tmp_path: Path, line: str, field: str, says: str) -> None:
    (tmp_path / "product.toml").write_text(line, encoding="utf-8")
    assert says in {p.field: p.message for p in read(tmp_path).problems}[field]


def test_credentials_in_the_file_are_refused_and_never_repeated(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "crane", tags='tags = ["1.0"]\nusername = "ada"\npassword = "open-sesame"')
    found = read(folder)
    assert {problem.field for problem in found.problems} == {
        f"tiers.0.source.{name}" for name in ("username", "password")
    }
    assert "open-sesame" not in repr(found)


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ('repository = "example/crane"', "repository", "write it with its registry"),
        ('repository = ""', "repository", "is no repository"),
        ('repository = "https://registry.example.com/crane"', "repository", "is no repository"),
        ('repository = "registry.example.com/Example/Crane"', "repository", "lower-case letters"),
        ('repository = "registry.example.com/crane:1.0"', "repository", "is no repository name"),
        ('tags = ["1.0", ".5"]', "tags.1", "'.5' is no tag"),
        ('tags = ["1.0", ""]', "tags.1", "'' is no tag"),
        ('tags = ["1.0", "2", "1.0"]', "tags.2", "1.0 is given twice."),
    ],
)
def test_what_no_registry_can_have_is_said_at_once(tmp_path: Path, line: str, field: str, says: str) -> None:
    folder = write_sample(tmp_path / "crane", **{line.partition(" ")[0]: line})
    assert [said.field for said in read(folder).problems] == [f"tiers.0.source.{field}"]
    assert says in problem(folder, f"tiers.0.source.{field}")


def test_a_folder_of_images_and_an_archive_are_looked_for_where_they_are_read(tmp_path: Path) -> None:
    for place in ("oci:/nowhere/Crane", "archive:/nowhere/crane.tar"):
        assert read(write_sample(tmp_path / "crane", repository=f'repository = "{place}"')).problems == ()


def test_a_source_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "crane", repository="repository = 7", tags='tags = ["1.0", 2]')
    found = {said.field: said.message for said in read(folder).problems}
    assert set(found) == {"tiers.0.source.repository", "tiers.0.source.tags.1"}
    assert all("valid string" in said for said in found.values())


@pytest.mark.parametrize(
    "name", ["../outside.png", "/etc/hostname", "link.png", "circle.png", "pipe", "folder", "null"]
)
def test_only_files_of_the_folder_are_read(tmp_path: Path, name: str) -> None:
    folder = write_sample(tmp_path / "crane", icon=f'icon = "{name}"')
    (tmp_path / "outside.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "null").symlink_to("/dev/null")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    found = read(folder)
    assert [problem.field for problem in found.problems] == ["icon"]
    assert found.manifest.icon == ""
    assert b"secret" not in found.pictures.values()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_in_place_of_a_file_is_not_opened(folder: Path) -> None:
    (folder / "icon.png").unlink()
    try:
        os.mknod(folder / "icon.png", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero never ends
    except PermissionError:
        pytest.skip("this container makes no devices")
    assert problem(folder, "icon") == "icon.png is no file."


def test_a_pipe_in_place_of_the_manifest_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "product.toml")
    with pytest.raises(InvalidManifest, match=r"product\.toml is no file"):
        read(tmp_path)


def test_a_link_within_the_folder_is_a_file_of_it(folder: Path) -> None:
    (folder / "icon.png").rename(folder / "picture.png")
    (folder / "icon.png").symlink_to("picture.png")
    assert read(folder).problems == ()


def test_files_of_a_gibibyte_are_not_read(folder: Path) -> None:
    for name in ("icon.png", "screenshot.png", "description.md"):
        os.truncate(folder / name, 2**30)
    assert "1,073,741,824 bytes; at most 2,097,152 are allowed" in problem(folder, "icon")
    assert {problem.field for problem in read(folder).problems} == {"icon", "screenshots.0", "long_description"}
    os.truncate(folder / "product.toml", 2**30)
    with pytest.raises(InvalidManifest, match="1,073,741,824 bytes"):
        read(folder)


def test_all_files_together_have_a_limit(folder: Path) -> None:
    small = ManifestLimits(folder_bytes=12_000)
    assert "too large: 12,000 bytes" in str(read_folder(folder, small).problems)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "a", icon='icon = "a\\u0000b"', screenshots=f'screenshots = ["{"x" * 300}", ""]')
    found = {problem.field: problem.message for problem in read(folder).problems}
    assert set(found) == {"icon", "screenshots.0", "screenshots.1"}
    assert len(found["screenshots.0"]) < 300


def test_text_that_is_not_utf_8_is_a_problem_of_its_field(folder: Path) -> None:
    (folder / "description.md").write_bytes(b"Gr\xfc\xdfe")
    assert problem(folder, "long_description") == "is not UTF-8 (byte 2): save it as UTF-8."
    (folder / "product.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(InvalidManifest, match="not UTF-8"):
        read(folder)


def test_where_there_is_no_folder_the_way_to_make_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="wharfinger init"):
        read(tmp_path / "nowhere")
    with pytest.raises(InvalidManifest, match=r"there is no file product\.toml"):
        read(tmp_path)


@pytest.mark.parametrize(
    "bomb",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 100_000,
        "a." * 100_000 + "a = 1",
        "[" + "a." * 100_000 + "a]",
        "x = {" + '"a" . ' * 60_000 + "a = 1}",
        "x = " + "1" * 400_000,
        "x = 0x" + "f" * 400_000,
        "x = 1" + "0" * 400_000 + ".0",
        "x = 9999-99-99",
        "name = '''" + "a.b " * 100_000 + "'''",
        '"' * 400_000,
        "".join(f"k{number} = {number}\n" for number in range(30_000)),
        "[[tiers]]\n" * 40_000,
        "[[tiers]]\n" * 3_000,
        'x = "' + "\\n" * 200_000 + '"',
        "# " + "\x00",
        "",
    ],
    ids=lambda bomb: f"{bomb[:12]!r}",
)
def test_a_bomb_of_toml_is_a_problem_and_takes_no_time(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "product.toml").write_text(bomb, encoding="utf-8")
    begin = time.monotonic()
    found = outcome(lambda: read(tmp_path).problems)
    assert isinstance(found, tuple)
    assert 0 < len(found) <= product_file.MOST_PROBLEMS + 1
    assert time.monotonic() - begin < _SHORT


def outcome(work: Callable[[], object]) -> object:
    """What it returned, or the problems for which it was refused; nothing else may happen."""
    try:
        return work()
    except InvalidManifest as refusal:
        return refusal.problems


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    found = outcome(lambda: product_file.parse(content))
    assert isinstance(found, dict) or found


_NAMES = st.sampled_from([*ContentManifest.model_fields, "link", "repository", "tags", "text", "amount", "x"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_whatever_toml_can_say_becomes_a_manifest_with_its_problems(written: dict[str, Any]) -> None:
    match outcome(lambda: product_file.manifest_of(written)):
        case ContentManifest() as manifest, list():
            assert manifest.digest.startswith("sha256:")
        case found:
            assert found


def test_a_file_is_read_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "icon.png"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(ValueError, match="5 bytes; at most 4"):
        read_file(path, 4)
