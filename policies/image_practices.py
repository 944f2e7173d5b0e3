"""Best practices for images (domain.md, "Best practices"; CIS Docker Benchmark, section 4), from what an image says of
itself: config, history and layers.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from models.findings import Level
from models.images import ImageFacts
from models.policy import HubPolicy
from models.scans import Component
from policies import instructions
from policies.rules import Area, Evidence


class ImageContext(NamedTuple):
    facts: ImageFacts
    policy: HubPolicy
    now: datetime
    components: Sequence[Component] = ()


IMAGE: Area[ImageContext] = Area("image", "Image")
_R, _G = Level.REQUIREMENT, Level.GUIDELINE

#: labels of the OCI image-spec's annotations that a publisher fills in
_LABELS = ("title", "version", "vendor", "licenses", "description")
#: what package managers leave behind, by folder
_LEFTOVERS = {
    "var/lib/apt/lists": "apt package lists",
    "var/cache/apt": "apt's package cache",
    "var/cache/apk": "apk's package cache",
    "var/cache/yum": "yum's package cache",
    "var/cache/dnf": "dnf's package cache",
    "root/.cache/pip": "pip's cache",
    "root/.npm": "npm's cache",
    "usr/local/share/.cache/yarn": "yarn's cache",
    "root/.cache/go-build": "Go's build cache",
    "root/.cargo/registry": "cargo's cache",
    "root/.gradle": "Gradle's cache",
    "root/.m2/repository": "Maven's cache",
    "tmp": "temporary files",
    "var/tmp": "temporary files",
}
_SUPERVISORS = frozenset({"supervisord", "s6-svscan", "s6-overlay", "runit", "runsvdir", "runit-init", "monit"})
#: what the programs of a base system need to do their work
_SETUID_NEEDED = re.compile(
    r"(usr/)?(local/)?(s?bin|lib(exec)?(/[^/]+)*)/(su|sudo|ping|ping6|mount|umount|passwd|chsh|chfn|gpasswd|newgrp|chage|"
    r"expiry|unix_chkpwd|pam_extrausers_chkpwd|pam_timestamp_check|ssh-agent|ssh-keysign|dbus-daemon-launch-helper|wall|"
    r"write|bbsuid|doas|utempter|polkit-agent-helper-1|pkexec)"
)
#: switches that let everybody in without a password, by the names that well-known images gave them
_BLANK = re.compile(r"allow_(empty|blank|no)_(root_)?password$", re.IGNORECASE)
_YES = frozenset({"1", "yes", "true", "on"})


@IMAGE.rule(
    "non-root",
    _R,
    "The image runs as root",
    why="Whoever breaks out of a process that is root has much less left to break.",
    remedy="Add a user to the image and name it: USER 10001.",
)
def _non_root(context: ImageContext) -> Iterable[Evidence]:
    user = context.facts.user.partition(":")[0].strip()
    if user in ("", "root") or (user.isdigit() and int(user[-20:]) == 0):
        yield Evidence(f"User of the image: {user or 'none given, which is root'}.")


@IMAGE.rule(
    "secrets",
    _R,
    "A secret is in the image",
    why="Everybody who can pull the image can read it, also when a later layer deletes it.",
    remedy="Revoke the secret, rebuild the image without it, and give it at run time or by a build secret.",
)
def _secrets(context: ImageContext) -> Iterable[Evidence]:
    for layer in context.facts.layers:
        for secret in layer.secrets:
            yield Evidence(f"{secret.title} in {secret.path}.", f"layer {layer.index}", f"{secret.rule}:{secret.path}")


@IMAGE.rule(
    "password",
    _R,
    "A password is fixed in the configuration",
    why="Everybody knows a default password, and few change it.",
    remedy="Take it out of ENV and ARG; let the container refuse to start without one.",
)
def _password(context: ImageContext) -> Iterable[Evidence]:
    # the value is never shown: reports are read by more people than the image
    for variable in context.facts.env:
        name, _, value = variable.partition("=")
        if _is_fixed(name, value):
            yield Evidence(f"ENV {name} has a value.", subject=name)
    given = {
        name
        for instruction in instructions.all_of(context.facts)
        for name, value in instructions.arguments(instruction)
        if _is_fixed(name, value)
    }
    for name in sorted(given):
        yield Evidence(f"ARG {name} had a value in the build, and the history keeps it.", subject=f"ARG {name}")


def _is_fixed(name: str, value: str) -> bool:
    """The path of a file that holds the secret is none itself."""
    return bool(value) and instructions.is_secret(name) and not value.startswith(("/", "file:"))


@IMAGE.rule(
    "blank-password",
    _R,
    "A password is blank by default",
    why="Whoever forgets to set one lets everybody in.",
    remedy="Take it out of ENV; let the container refuse to start without a password.",
)
def _blank_password(context: ImageContext) -> Iterable[Evidence]:
    for variable in context.facts.env:
        name, equals, value = variable.partition("=")
        if equals and not value and instructions.is_password(name):
            yield Evidence(f"ENV {name} is empty.", subject=name)
        elif _BLANK.search(name) and value.lower() in _YES:
            yield Evidence(f"ENV {name} is {value}.", subject=name)
        elif name.upper().endswith("_AUTH_METHOD") and value.lower() == "trust":
            yield Evidence(f"ENV {name} is {value}: nobody is asked for a password.", subject=name)


@IMAGE.rule(
    "supervisor",
    _R,
    "A supervisor runs several processes",
    why="The hub's runtime sees one process: what dies behind a supervisor is not noticed.",
    remedy="Run one process in a container, and several containers.",
)
def _supervisor(context: ImageContext) -> Iterable[Evidence]:
    command = " ".join((*context.facts.entrypoint, *context.facts.cmd))
    programs = {word.strip("\"'();&|").rpartition("/")[2] for word in command.split()}
    for word in sorted(programs & _SUPERVISORS):
        yield Evidence(f"Its command is: {instructions.shown(command)}", subject=word)


@IMAGE.rule(
    "command",
    _G,
    "The image has neither entrypoint nor command",
    why="A customer who runs it gets an error.",
    remedy="Name the process with ENTRYPOINT or CMD.",
)
def _command(context: ImageContext) -> Iterable[Evidence]:
    if not context.facts.entrypoint and not context.facts.cmd:
        yield Evidence("Neither is set.")


@IMAGE.rule(
    "healthcheck",
    _G,
    "There is no health check",
    why="A process that hangs looks well from outside.",
    remedy="Add a HEALTHCHECK that asks the service itself.",
)
def _healthcheck(context: ImageContext) -> Iterable[Evidence]:
    check = context.facts.healthcheck
    if check is None or not check.test:
        yield Evidence("The image sets none.")
    elif check.test[0].upper() == "NONE":
        yield Evidence("HEALTHCHECK NONE switches it off.")


@IMAGE.rule(
    "layers",
    _G,
    "The image has many layers",
    why="Every layer is a request when pulled, and what a later one deletes still ships.",
    remedy="Put instructions together that belong together; build in stages.",
)
def _layers(context: ImageContext) -> Iterable[Evidence]:
    count, most = len(context.facts.layers), context.policy.practices.layers
    if count > most:
        yield Evidence(f"{count} layers; at most {most} are recommended.")


@IMAGE.rule(
    "size",
    _G,
    "The image is large",
    why="It is slow to pull, and everything in it has to be kept up to date.",
    remedy="Use a smaller base image, and leave out what the product does not need.",
)
def _size(context: ImageContext) -> Iterable[Evidence]:
    size, most = context.facts.size, context.policy.practices.size_bytes
    if size > most:
        yield Evidence(f"{size / 1e6:,.0f} MB compressed; at most {most / 1e6:,.0f} MB are recommended.")


@IMAGE.rule(
    "leftovers",
    _G,
    "Package lists or caches are in the image",
    why="They only take space, and go out of date.",
    remedy="Remove them in the very instruction that makes them (pip: --no-cache-dir).",
)
def _leftovers(context: ImageContext) -> Iterable[Evidence]:
    least = context.policy.practices.leftovers_bytes
    for folder, what in _LEFTOVERS.items():
        size = sum(layer.bytes_under(folder) for layer in context.facts.layers)
        if size > least:
            yield Evidence(f"{what}: {size:,} bytes in /{folder}.", subject=folder)


@IMAGE.rule(
    "deleted",
    _G,
    "Files were deleted in a later layer and still ship",
    why="The layer below still has them: they can be read, and take space.",
    remedy="Delete files in the instruction that makes them, or build in stages.",
)
def _deleted(context: ImageContext) -> Iterable[Evidence]:
    least = context.policy.practices.leftovers_bytes
    for layer in context.facts.layers:
        size = sum(count for _, count in layer.deleted)
        if size > least:
            first = ", ".join(path for path, _ in layer.deleted[:3])
            yield Evidence(f"{size:,} bytes, as {first}.", f"layer {layer.index}")


@IMAGE.rule(
    "rebuilt",
    _G,
    "The image was built long ago",
    why="What is installed at build time gets no fixes afterwards.",
    remedy="Rebuild it on the present base image.",
)
def _rebuilt(context: ImageContext) -> Iterable[Evidence]:
    created, days = context.facts.created, context.policy.practices.rebuilt_within_days
    if created is None:
        yield Evidence("It does not say when it was built.")
    elif context.now - _aware(created) > timedelta(days=days):
        yield Evidence(f"Built on {created:%Y-%m-%d}; recommended is within {days} days.")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@IMAGE.rule(
    "base",
    _G,
    "The base image is not one of the recommended",
    why="A small, well-kept base gets its fixes soon, and customers know it.",
    remedy="Build on an official base image, such as Alpine or Debian slim.",
)
def _base(context: ImageContext) -> Iterable[Evidence]:
    name = context.facts.os_name.lower()
    if name and name not in context.policy.practices.base_images:
        yield Evidence(f"It is based on {name} {context.facts.os_version}.".replace(" .", "."))


@IMAGE.rule(
    "labels",
    _G,
    "Labels are missing",
    why="Tools and customers read from them what the image is.",
    remedy="Add LABEL org.opencontainers.image.title, .version, .vendor, .licenses and .description.",
)
def _labels(context: ImageContext) -> Iterable[Evidence]:
    labels = context.facts.labels
    missing = [
        name
        for name in _LABELS
        if not (labels.get(f"org.opencontainers.image.{name}") or labels.get(f"org.label-schema.{name}"))
    ]
    if missing:
        yield Evidence(f"Missing: {', '.join(missing)}.")


@IMAGE.rule(
    "licence",
    _G,
    "There is no licence text in the image",
    why="Most licences ask that their text goes with the software.",
    remedy="Copy the licence into the image, for instance to /licenses.",
)
def _licence(context: ImageContext) -> Iterable[Evidence]:
    if not any(layer.licence_files for layer in context.facts.layers):
        yield Evidence("No layer has a file called LICENSE, COPYING or the like.")


@IMAGE.rule(
    "author",
    _G,
    "Nobody is named as its author",
    why="Customers want to know who made it.",
    remedy="Add LABEL org.opencontainers.image.authors.",
)
def _author(context: ImageContext) -> Iterable[Evidence]:
    labels = context.facts.labels
    if not (context.facts.author or labels.get("org.opencontainers.image.authors") or labels.get("maintainer")):
        yield Evidence("There is neither an author nor a label for one.")


@IMAGE.rule(
    "update-alone",
    _G,
    "Package lists are updated in an instruction of their own",
    why="The builder's cache keeps the old lists, and old packages are installed from them (CIS 4.7).",
    remedy="Write update and install into one instruction.",
)
def _update_alone(context: ImageContext) -> Iterable[Evidence]:
    yield from _all_in_one(instructions.only_updates, context, "update")


def _all_in_one(
    is_meant: Callable[[str], bool], context: ImageContext, subject: str, skip: int = 0
) -> Iterable[Evidence]:
    """One finding for all instructions of a kind: they are mended together."""
    found = [text for text in instructions.all_of(context.facts)[skip:] if is_meant(text)]
    if found:
        times = f"{len(found)} times, first: " if len(found) > 1 else ""
        yield Evidence(f"{times}{instructions.shown(found[0])}", subject=subject)


@IMAGE.rule(
    "add",
    _G,
    "ADD is used where COPY would do",
    why="ADD fetches addresses and unpacks archives without being asked (CIS 4.9).",
    remedy="Use COPY.",
)
def _add(context: ImageContext) -> Iterable[Evidence]:
    # the first instruction of all is how a base image gets its root file system
    yield from _all_in_one(instructions.adds, context, "add", skip=1)


@IMAGE.rule(
    "setuid",
    _G,
    "Files run with the rights of their owner",
    why="Every setuid or setgid file is a way up for whoever gets in (CIS 4.8).",
    remedy="Remove the bits where they are not needed: chmod a-s.",
)
def _setuid(context: ImageContext) -> Iterable[Evidence]:
    paths = dict.fromkeys(path for layer in context.facts.layers for path in layer.setuid)
    found = [path for path in paths if not _SETUID_NEEDED.fullmatch(path)]
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield Evidence(f"/{', /'.join(found[:5])}{more}.", subject="setuid")


@IMAGE.rule(
    "unverified",
    _R,
    "Software was installed without being verified",
    why="Whoever sits between the build and the server decides what is in the image (CIS 4.11).",
    remedy="Leave the checks of signatures and certificates on.",
)
def _unverified(context: ImageContext) -> Iterable[Evidence]:
    found: dict[str, str] = {}
    for instruction in instructions.all_of(context.facts):
        if what := instructions.unverified(instruction):
            found.setdefault(what, instruction)
    for what, instruction in found.items():
        yield Evidence(f"{what} in: {instructions.shown(instruction)}", subject=what)


@IMAGE.rule(
    "download-and-run",
    _G,
    "A downloaded script is run unseen",
    why="What it does can be another thing tomorrow.",
    remedy="Copy the script into the build, or check its digest before it runs.",
)
def _download_and_run(context: ImageContext) -> Iterable[Evidence]:
    yield from _all_in_one(instructions.runs_download, context, "download")


@IMAGE.rule(
    "ssh",
    _G,
    "A port for remote logins is exposed",
    why="A container is entered through its runtime; a login service is one more thing to break (CIS 5.6).",
    remedy="Leave the login service out.",
)
def _ssh(context: ImageContext) -> Iterable[Evidence]:
    for port in context.facts.ports:
        if port.partition("/")[0] in ("22", "23"):
            yield Evidence(f"EXPOSE {port}", subject=port)
