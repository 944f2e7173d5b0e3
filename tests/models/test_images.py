"""Release sets, layers and ids."""

import re

from models.addresses import QUEUES, new_id, product_address, publisher_address, scan_address, submission_address
from models.base import digest_of
from models.content import ContentManifest
from models.images import ReleaseSet
from models.lifecycle import CLOSED_STAGES, DORMANT_STAGES, Stage
from tests.policies.samples import DAY, MONDAY, layer, manifest, pinned_tag, pinned_tier, ready, release_set


def test_every_image_of_a_release_set_is_listed_once_in_order() -> None:
    release = release_set(
        pinned_tier("Standard", pinned_tag("1.0"), pinned_tag("1.0.0")),
        pinned_tier("Pro", pinned_tag("1.0", amd64=b"pro", arm64=b"arm64")),
    )
    assert [(repository, image.platform, image.digest) for repository, image in release.images()] == [
        ("registry.example/harbour/standard", "linux/amd64", digest_of(b"amd64")),
        ("registry.example/harbour/standard", "linux/arm64", digest_of(b"arm64")),
        ("registry.example/harbour/pro", "linux/amd64", digest_of(b"pro")),
    ]
    assert ReleaseSet(tiers=()).images() == ()


def test_a_moved_tag_is_another_release_set() -> None:
    before = release_set(pinned_tier("Standard", pinned_tag("1.0")))
    after = release_set(pinned_tier("Standard", pinned_tag("1.0", amd64=b"rebuilt", arm64=b"arm64")))
    assert before.digest != after.digest
    assert before.digest == release_set().digest


def test_the_digest_of_a_manifest_is_that_of_what_it_says() -> None:
    assert manifest().digest == ContentManifest.model_validate(manifest().model_dump()).digest
    assert manifest(name="Other").digest != manifest().digest


def test_bytes_under_folders_are_added() -> None:
    found = layer(folders=(("var", 9), ("var/lib", 7), ("tmp", 2)))
    assert found.bytes_under("var/lib", "tmp") == 9
    assert found.bytes_under("opt") == 0


def test_ids_can_be_read_out_over_the_telephone() -> None:
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{12}", one) for one in ids)


def test_processes_find_one_another_by_name() -> None:
    assert publisher_address("a") == "publisher/a"
    assert product_address("a") == "product/a"
    assert submission_address("a") == "submission/a"
    assert scan_address("a", 2) == "scan/a/2"
    assert len(set(QUEUES)) == len(QUEUES)


def test_a_stage_is_open_dormant_or_closed() -> None:
    assert not CLOSED_STAGES & DORMANT_STAGES
    state = ready().state
    for stage in Stage:
        at = state.model_copy(update={"stage": stage})
        assert (at.closed, at.dormant) == (stage in CLOSED_STAGES, stage in DORMANT_STAGES)


def test_what_is_left_of_a_deadline_is_counted_from_now() -> None:
    state = ready().state
    assert state.remaining(MONDAY + DAY) == 13 * DAY
    assert state.model_copy(update={"deadline": None}).remaining(MONDAY) is None
