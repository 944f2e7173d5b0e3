"""Components of one image: what trivy found, what our own pass adds, and no product twice."""

from models.scans import Component, ComponentState
from scanning.components import System, merged
from scanning.identify import Identified, ShippedBinary

DEBIAN = System("debian", "12")


def binary(
    path: str = "opt/web",
    layer: str = "sha256:1",
    product: str = "nginx",
    version: str = "1.22.1",
    removed: bool = False,
) -> ShippedBinary:
    cpe = f"cpe:2.3:a:f5:{product}:{version}:*:*:*:*:*:*:*"
    return ShippedBinary(Identified(product, version, cpe, 0.9, f"{product}/{version}", path), layer, removed)


def test_a_binary_of_no_package_is_a_component() -> None:
    assert merged((), (), DEBIAN, (binary(),)) == (
        Component(
            purl="pkg:generic/nginx@1.22.1",
            ecosystem="",
            name="nginx",
            version="1.22.1",
            layer="sha256:1",
            evidence="binary signature: nginx/1.22.1",
            confidence=0.9,
            cpe="cpe:2.3:a:f5:nginx:1.22.1:*:*:*:*:*:*:*",
            path="opt/web",
        ),
    )


def test_files_of_one_layer_that_are_the_same_product_are_one_component() -> None:
    found = merged((), (), DEBIAN, (binary("b"), binary("a"), binary("c", "sha256:2"), binary("d", removed=True)))
    assert [(one.path, one.layer, one.state, one.evidence) for one in found] == [
        ("a", "sha256:1", ComponentState.PRESENT, "binary signature: nginx/1.22.1 (2 files)"),
        ("c", "sha256:2", ComponentState.PRESENT, "binary signature: nginx/1.22.1"),
        ("d", "sha256:1", ComponentState.REMOVED, "binary signature: nginx/1.22.1"),
    ]


def test_a_product_that_a_package_is_with_the_same_version_is_not_repeated() -> None:
    package = Component(purl="pkg:bitnami/nginx@1.22.1", ecosystem="Bitnami", name="nginx", version="1.22.1")
    assert merged((package,), (), DEBIAN, (binary(),)) == (package,)


def test_a_package_that_only_has_the_products_name_does_not_hide_it() -> None:
    package = Component(purl="pkg:npm/nginx@1.22.1", ecosystem="npm", name="nginx", version="1.22.1")
    assert [one.purl for one in merged((package,), (), DEBIAN, (binary(),))] == [
        "pkg:generic/nginx@1.22.1",
        "pkg:npm/nginx@1.22.1",
    ]
