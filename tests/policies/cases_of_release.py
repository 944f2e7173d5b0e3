"""Cases of the release set against the page, and of the components that an image ships."""

from tests.policies.cases import Case, of_release, shipping
from tests.policies.samples import pinned_tag, pinned_tier

AMD64 = pinned_tier("Standard", pinned_tag("1.0", amd64=b"amd64"))

FINDS = [
    Case("release.platforms", of_release(AMD64), "No image for linux/arm64/v8", "Standard:1.0"),
    Case("release.platforms", of_release(platforms=("linux/arm64/v9",)), "No image for linux/arm64/v9"),
    Case("release.platforms", of_release(pinned_tier("Pro"), AMD64), "linux/arm64/v8", "Standard:1.0"),
    Case("release.unlisted-platforms", of_release(platforms=("linux/amd64",)), "linux/arm64 is not on the page"),
    Case("image.unneeded", shipping("gcc-12", "bash"), "gcc-12."),
    Case("image.unneeded", shipping("build-base", "musl-dev", ecosystem="Alpine:v3.20"), "build-base, musl-dev."),
    Case("image.unneeded", shipping(*(f"lib{letter}-dev" for letter in "abcdefghij")), "and 2 more"),
]

PASSES = [
    Case("release.platforms", of_release(platforms=("linux/amd64", "linux/arm64"))),
    Case("release.platforms", of_release(AMD64, platforms=("linux/amd64",))),
    Case("release.unlisted-platforms", of_release(platforms=())),
    Case("image.unneeded", shipping("gcc-12-base", "libgcc-s1", "makepasswd", "device-mapper")),
    Case("image.unneeded", shipping("make", "cmake", ecosystem="PyPI")),
]
