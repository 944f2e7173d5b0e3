"""What an image's build instructions say, as its history keeps them: which of them do what the rules warn of."""

import re
from collections.abc import Iterator

from models.images import ImageFacts

#: of an instruction in a report, characters
_LONGEST_SHOWN = 200
#: of an instruction or a name that is looked at, characters: what follows is nobody's honest work
_LONGEST = 4_096
_LONGEST_NAME = 100
#: names of variables whose value nobody else should know
_PASSWORD_NAME = re.compile(r"(password|passwd|passphrase|(^|[_.-])(pass|pwd|pw))$", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"(secret|(^|[_.-])token|(api|access|private|secret|encryption|signing)_?key|credentials?)$", re.IGNORECASE
)
_ASSIGNMENT = re.compile(r"\b([A-Za-z_][A-Za-z0-9_.-]{0,99})=(\"[^\"]*\"|'[^']*'|[^\s;&|]+)")
_BEARER = re.compile(r"(?i)(authorization:\s*\S+\s+|://[^/\s:@]+:)([^\s@\"']+)")
#: `|2 A=1 B=2 /bin/sh -c ...`: build arguments, which the history of every image shows
_ARGUMENTS = re.compile(r"^(?:RUN\s+)?\|[0-9]+\s+(.*?)\s*(?:/bin/(?:ba|da|a)?sh\s+-[a-z]*c|\[|$)", re.DOTALL)
_COMMANDS = re.compile(r"&&|\|\||[;|\n]")
_PACKAGE_MANAGERS = frozenset({"apt-get", "apt", "aptitude", "apk", "yum", "dnf", "microdnf", "zypper"})
_UPDATES = frozenset({"update", "check-update", "makecache", "refresh"})
_INSTALLS = frozenset({"install", "add", "upgrade", "dist-upgrade", "full-upgrade", "build-dep", "groupinstall", "in"})
_UNVERIFIED = re.compile(
    r"--allow-unauthenticated|--force-yes|AllowUnauthenticated[= ]+(?:true|1|yes)|--allow-untrusted|--nogpgcheck|"
    r"--no-gpg-checks?|\[[^\[\]]*trusted=yes[^\[\]]*\]|--trusted-host|strict-ssl[ =]+false|http\.sslVerify[ =]+false|"
    r"GIT_SSL_NO_VERIFY=\S+|NODE_TLS_REJECT_UNAUTHORIZED=0|PYTHONHTTPSVERIFY=0|--no-check-certificate"
)
_CURL = re.compile(r"\bcurl\b")
_INSECURE = re.compile(r"\s(-[A-Za-z]*k[A-Za-z]*|--insecure)(?=\s|$)")
_DOWNLOAD = re.compile(r"\b(?:curl|wget)\b")
_INTERPRETERS = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "python", "python3", "perl", "node", "ruby"})
_SUBSTITUTED = re.compile(
    r"\b(?:sh|bash|zsh|dash|ash|ksh|eval|source)\s+(?:-[a-z]{0,9}c\s+)?[\"']?[<$]\(\s*(?:curl|wget)\b"
)
_ADD = re.compile(r"(?:/bin/sh -c #\(nop\)\s+)?ADD\s")


def all_of(facts: ImageFacts) -> list[str]:
    made = [layer.instruction for layer in facts.layers if layer.instruction]
    return [instruction[:_LONGEST] for instruction in (*made, *facts.empty_instructions)]


def shown(instruction: str) -> str:
    """For a report, which is read by more people than the image: secrets are not repeated."""
    masked = _ASSIGNMENT.sub(_masked, instruction[:_LONGEST])
    masked = _BEARER.sub(r"\1…", masked)
    return masked if len(masked) <= _LONGEST_SHOWN else masked[: _LONGEST_SHOWN - 1] + "…"


def _masked(assignment: re.Match[str]) -> str:
    return f"{assignment[1]}=…" if is_secret(assignment[1]) else assignment[0]


def is_secret(name: str) -> bool:
    """Whether a variable is called as one that holds a secret."""
    return is_password(name) or _SECRET_NAME.search(name[-_LONGEST_NAME:]) is not None


def is_password(name: str) -> bool:
    return _PASSWORD_NAME.search(name[-_LONGEST_NAME:]) is not None


def arguments(instruction: str) -> Iterator[tuple[str, str]]:
    """(name, value) of the build arguments that an instruction ran with."""
    if found := _ARGUMENTS.match(instruction):
        for argument in _ASSIGNMENT.finditer(found[1]):
            yield argument[1], argument[2].strip("\"'")


def only_updates(instruction: str) -> bool:
    """Package lists are updated, and nothing is installed by the same instruction."""
    updates = False
    for command in _COMMANDS.split(instruction):
        words = command.split()
        start = next((number for number, word in enumerate(words) if _name(word) in _PACKAGE_MANAGERS), None)
        if start is None:
            continue
        said = set(words[start + 1 :])
        if said & _INSTALLS:
            return False
        updates = updates or bool(said & _UPDATES)
    return updates


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def adds(instruction: str) -> bool:
    return _ADD.match(instruction) is not None


def unverified(instruction: str) -> str:
    """What switches a check of signatures or certificates off; empty when nothing does."""
    if found := _UNVERIFIED.search(instruction):
        return found[0]
    for command in _COMMANDS.split(instruction):
        if (curl := _CURL.search(command)) and (found := _INSECURE.search(command, curl.end())):
            return f"curl {found[1]}"
    return ""


def runs_download(instruction: str) -> bool:
    """What was fetched goes into an interpreter, by a pipe or by a substitution."""
    if _SUBSTITUTED.search(instruction):
        return True
    for line in re.split(r"&&|[;\n]", instruction):
        fetched = False
        for command in line.split("|"):
            words = command.removeprefix("&").split()
            program = words[1:2] if words[:1] == ["sudo"] else words[:1]
            if fetched and program and _name(program[0]) in _INTERPRETERS:
                return True
            fetched = fetched or _DOWNLOAD.search(command) is not None
    return False
