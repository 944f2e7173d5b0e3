"""What a manifest may say, and what becomes of one that says something else."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import digest_of
from models.errors import PUBLISHERS_ERRORS, ImageTooLarge, MalformedImage, UnsupportedImage, WharfingerError
from models.policy import ImageLimits
from registry.manifests import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Manifest,
    parse_manifest,
    require_attestation,
    require_image,
    require_within,
)
from registry.references import parse_repository, require_tag
from tests.registry.scripted import CONFIG, index, manifest

DIGEST = digest_of(b"layer")
FIELDS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "platform", "os"]
FIELDS += ["architecture", "variant", "urls", "annotations"]


def layer(**changes: Any) -> dict[str, Any]:
    return {"mediaType": OCI_LAYER, "digest": DIGEST, "size": 5, **changes}


def parsed(**changes: Any) -> Manifest:
    return parse_manifest(manifest(b"layer", **changes))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b'"text"',
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xef\xbb\xbf{}",
        '{"schemaVersion": 2}'.encode("utf-16"),
        b'{"size": 1' + b"0" * 5_000 + b"}",
        b'{"size": NaN}',
        b'{"schemaVersion": 2, "schemaVersion": 2}',
        b'{"schemaVersion": 2, "layers": [], "layers": [1]}',
        b"\x00" * 100,
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedImage):
        parse_manifest(content)


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.cncf.helm.config.v1+json",
        "text/html",
        "x" * 10_000,
        ["a", "list"],
        {"a": "table"},
        7,
    ],
)
def test_an_unknown_media_type_is_refused(kind: object) -> None:
    with pytest.raises(UnsupportedImage, match="is no image that the hub takes"):
        parsed(mediaType=kind)


def test_a_manifest_need_not_say_what_it_is() -> None:
    assert parse_manifest(b'{"schemaVersion": 2, "layers": []}').media_type == OCI_MANIFEST
    assert parse_manifest(b'{"schemaVersion": 2, "manifests": []}').media_type == OCI_INDEX
    assert parse_manifest(b'{"layers": []}', f"{DOCKER_MANIFEST}; charset=utf-8").media_type == DOCKER_MANIFEST
    with pytest.raises(UnsupportedImage, match="schema version 1"):
        parse_manifest(b'{"schemaVersion": 1}')


@pytest.mark.parametrize(
    ("kind", "field"), [(OCI_INDEX, "layers"), (DOCKER_LIST, "config"), (OCI_MANIFEST, "manifests")]
)
def test_nothing_is_an_image_and_an_index_at_once(kind: str, field: str) -> None:
    """CVE-2021-41190: two clients would read two things, and the scanner sees one of them."""
    with pytest.raises(MalformedImage, match="an image and an index at once"):
        parse_manifest(json.dumps({"schemaVersion": 2, "mediaType": kind, field: []}).encode())


@pytest.mark.parametrize("name", ["Layers", "LAYERS", "layer\u017f", "Config", "mediatype", "MediaType", "Manifests"])
def test_a_field_that_go_would_take_for_another_is_refused(name: str) -> None:
    """JSON readers in Go take any case, and the last one of several: docker would run what we never saw."""
    with pytest.raises(MalformedImage, match="write '"):
        parsed(**{name: []})


def test_the_same_is_true_inside_of_descriptors() -> None:
    for field in ("Digest", "SIZE", "url\u017f"):
        with pytest.raises(MalformedImage, match="write '"):
            parsed(layers=[layer(**{field: DIGEST})])
    with pytest.raises(MalformedImage, match="write '"):
        parse_manifest(index(("linux/amd64", manifest()), platform={"os": "linux", "OS": "linux"}))


@pytest.mark.parametrize(
    "layers",
    [
        None,
        {},
        "layers",
        [None],
        ["layer"],
        [layer(digest=None)],
        [layer(digest="sha256:short")],
        [layer(digest=DIGEST.upper())],
        [layer(digest="sha512:" + "a" * 128)],
        [layer(digest="sha256:../../../etc/passwd")],
        [layer(size=None)],
        [layer(size=-1)],
        [layer(size=5.0)],
        [layer(size=True)],
        [layer(size="5")],
        [layer(size=2**63)],
        [layer(size=10**4000)],
        [layer(), layer(size=6)],
    ],
)
def test_a_descriptor_that_lies_or_says_nothing_is_refused(layers: object) -> None:
    with pytest.raises(MalformedImage):
        _ = parsed(layers=layers).layers


@pytest.mark.parametrize(
    "said",
    [
        layer(urls=["https://elsewhere.example/layer"]),
        layer(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        layer(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        layer(mediaType=OCI_LAYER + "+gzip+encrypted"),
        layer(mediaType="application/vnd.in-toto+json"),
        layer(mediaType="application/octet-stream"),
        layer(mediaType=""),
        layer(mediaType=["a", "list"]),
    ],
)
def test_layers_that_lie_elsewhere_or_cannot_be_looked_into_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedImage):
        _ = parsed(layers=[said]).layers


@pytest.mark.parametrize(
    "config",
    [
        {"mediaType": "application/vnd.cncf.helm.config.v1+json"},
        {"mediaType": "application/vnd.docker.plugin.v1+json"},
        {"mediaType": "application/vnd.oci.empty.v1+json"},
        {"mediaType": None},
    ],
)
def test_what_is_no_container_image_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedImage, match="this is no container image"):
        require_image(parsed(config={"digest": digest_of(CONFIG), "size": len(CONFIG), **config}))


@pytest.mark.parametrize("config", [None, [], "config", {"mediaType": "x"}])
def test_a_manifest_without_a_config_is_refused(config: object) -> None:
    with pytest.raises(MalformedImage):
        require_image(parsed(config=config))


@pytest.mark.parametrize(
    "platform", [{"os": "li/nux"}, {"os": ["linux"]}, {"os": "linux", "architecture": "a" * 41}, {"os": "linux\n"}]
)
def test_a_platform_is_a_plain_name(platform: dict[str, Any]) -> None:
    top = parse_manifest(index(("linux/amd64", manifest()), platform=platform))
    with pytest.raises(MalformedImage, match="is no platform"):
        top.images()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"layers": 1}, "has 2 layers; at most 1"),
        ({"compressed_bytes": 9}, "has 10 bytes; at most 9"),
        ({"config_bytes": 1024}, "config has 2,000 bytes"),
    ],
)
def test_what_passes_a_limit_is_refused_with_the_limit(limits: dict[str, int], words: str) -> None:
    image = parse_manifest(manifest(b"layer", b"other", config_blob=b" " * 2_000))
    with pytest.raises(ImageTooLarge, match=words):
        require_within(image, ImageLimits(**limits))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "team/app",
        "registry.example.com",
        "registry.example.com/",
        "registry.example.com/Team/app",
        "registry.example.com/team/app:1.0",
        "registry.example.com/team/../app",
        "registry.example.com/team//app",
        "registry.example.com/team/app@" + DIGEST,
        "https://registry.example.com/team/app",
        "user:password@registry.example.com/team/app",
        "registry.example.com:port/team/app",
        "registry.example.com/team/app\n",
        "registry example.com/team/app",
        "registry.example.com/" + "a" * 300,
        "-x.example.com/app",
        "régistry.example.com/team/app",
    ],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(WharfingerError, match="is no repository"):
        parse_repository(text)


def test_repositories_are_taken_apart() -> None:
    for text in ("127.0.0.1:5000/a", "localhost/team/app", "[::1]:5000/team/app__x", "r.example.com/a/b/c-d.e_f"):
        assert str(parse_repository(text)) == text
    assert str(parse_repository("docker.io/nginx")) == "docker.io/library/nginx"
    assert str(parse_repository("docker.io/team/app")) == "docker.io/team/app"


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a b", "a/b", "a" * 129, "1.0\n", "sha256:abc", "ä"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(WharfingerError, match="is no tag"):
        require_tag(tag)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([DIGEST, "sha256:"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=5),
    max_leaves=12,
)


@given(
    document=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6) | ANYTHING,
    kind=st.sampled_from(["", OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST]),
    named=st.booleans(),
)
def test_whatever_a_manifest_says_the_answer_is_the_taxonomys(document: Any, kind: str, named: bool) -> None:
    if isinstance(document, dict) and named:
        document["mediaType"] = kind
    with contextlib.suppress(*PUBLISHERS_ERRORS):
        read = parse_manifest(json.dumps(document).encode(), kind)
        for look in (
            lambda: require_within(require_image(read), ImageLimits()),
            lambda: read.images(),
            lambda: read.attestations(),
            lambda: require_attestation(read),
        ):
            with contextlib.suppress(*PUBLISHERS_ERRORS):
                look()
