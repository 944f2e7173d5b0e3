"""The tools whose orders of versions ours have to keep to, asked for many pairs in one process, and pairs to ask about.

A pair's second version is often the first with one character more, less or another: that is where orders differ.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scanning.version_keys import InvalidVersion
from scanning.versions import compare

#: (a, <, = or >, b)
Relation = tuple[str, str, str]

_SECONDS = 3600
_SIGNS = {-1: "<", 0: "=", 1: ">"}
_NODE_FOLDERS = ("/usr/share/nodejs", "/usr/lib/node_modules/npm/node_modules", "/usr/lib/node_modules")
_COMPOSER = Path("/usr/share/php/Composer/Semver/autoload.php")
_MAVEN_JARS = ("/usr/share/maven/lib", "/usr/share/java", "/usr/share/maven-repo/org/apache/maven/maven-artifact")


@dataclass(frozen=True, slots=True)
class Answer:
    """How many of the relations the tool could judge, and those that it denies, each as `a < b: it says >`."""

    judged: int
    denied: list[str]


@dataclass(frozen=True, slots=True)
class Oracle:
    """A tool, a maker of versions as its ecosystem has them, and how it is asked."""

    ecosystem: str
    tool: str
    make: Callable[[random.Random], str]
    is_here: Callable[[], object]
    ask: Callable[[list[Relation]], Answer]
    #: share of the pairs whose second version is the first one changed
    alike: float = 0.7


def answered(oracle: Oracle, pairs: int, seed: int) -> Answer:
    """At least that many pairs which the tool can judge."""
    judged, denied = 0, []
    while judged < pairs:
        answer = oracle.ask(list(relations(oracle, pairs - judged + 10, seed + judged)))
        judged += answer.judged
        denied += answer.denied
    return Answer(judged, denied)


def relations(oracle: Oracle, count: int, seed: int) -> Iterator[Relation]:
    """That many pairs that we can read, with what we say of them."""
    chance = random.Random(seed)  # noqa: S311
    made = 0
    while made < count:
        a = oracle.make(chance)
        b = _changed(a, chance) if chance.random() < oracle.alike else oracle.make(chance)
        try:
            yield a, _SIGNS[compare(oracle.ecosystem, a, b)], b
        except InvalidVersion:
            continue
        made += 1


def _changed(version: str, chance: random.Random) -> str:
    """One character more, less or another, of those that it has or that orders treat in their own ways."""
    place = chance.randrange(len(version))
    other = chance.choice(version + "0019.-~+aZ")
    way = chance.randrange(3)
    return version[:place] + ("" if way == 0 else other) + version[place + (way != 1) :] or "0"


def _of(chance: random.Random, choices: str) -> str:
    return chance.choice(choices.split(" "))


def _numbers(chance: random.Random, most: int, least: int = 1, zeros: bool = True) -> str:
    some = ["0", "1", "2", "9", "10", "11", "99", "2024"] + ["00", "01", "010"] * zeros
    return ".".join(chance.choice(some) for _ in range(chance.randint(least, most)))


def debian_version(chance: random.Random) -> str:
    epoch = _of(chance, "    0: 1: 2:")
    middle = "".join(chance.choice("0019azAZ.+~") for _ in range(chance.randint(0, 4)))
    end = _of(
        chance, " -1 -1+b1 -0ubuntu1 -1~bpo12+1 +dfsg-2 -1+deb12u3 -00 -0 -1.1 ~rc1-1 +git20240101-1 -1-1 -1a -1~"
    )
    return f"{epoch}{_numbers(chance, 4)}{middle}{end}"


def npm_version(chance: random.Random) -> str:
    before = ""
    if chance.random() < 0.6:
        parts = [
            _of(chance, "alpha beta rc 0 1 2 10 11 x-y Z a1 1a - -1 0a next canary")
            for _ in range(chance.randint(1, 4))
        ]
        before = "-" + ".".join(parts)
    build = _of(chance, "     +build +5 +a.b.1")
    return f"{_of(chance, '     v =')}{_numbers(chance, 3, 3, zeros=False)}{before}{build}"


def go_version(chance: random.Random) -> str:
    end = _of(
        chance, "    -rc.1 -rc.2 -beta -alpha.1.2 -0 -0.20200101000000-0123456789ab -rc.1.0.20200101000000-abcdefabcdef"
    )
    return f"v{_numbers(chance, 3, 3, zeros=False)}{end}{_of(chance, '    +incompatible +dirty')}"


def go_release(chance: random.Random) -> str:
    """From 1.21 on, the first release is 1.21.0: `go1.21` names the language, before its candidates."""
    minor = chance.choice((2, 9, 20, 21, 22))
    ends = ".0 .1 .9 .10 rc1 rc2 beta1 rc10 .1-acme .3-acme.2" + " " * (minor < 21)
    return f"go1.{minor}{_of(chance, ends)}"


def maven_version(chance: random.Random) -> str:
    end = [
        _of(
            chance,
            " -SNAPSHOT -alpha-1 -beta1 .RC1 -rc2 -1 .Final -GA -sp1 -m3 a1 -jre .v2024 -x -0 -cr1 -redhat-1 .1 -b",
        )
    ]
    if chance.random() < 0.3:
        end.append(_of(chance, "-SNAPSHOT -1 .2 -a -sp -foo"))
    return _numbers(chance, 4, zeros=False) + "".join(end)


def rpm_version(chance: random.Random) -> str:
    tail = "".join(_of(chance, "a b1 ~rc1 ~ ^ ^git1 .el9 _4 +x p1 .0") for _ in range(chance.randint(0, 3)))
    release = _of(chance, "  -1 -1.el9 -2.el8_4 -10.el9 -1~bpo -0.1.rc1")
    return f"{_of(chance, '   0: 1: 2:')}{_numbers(chance, 4)}{tail}{release}"


def gem_version(chance: random.Random) -> str:
    end = _of(chance, "    .pre .rc1 .rc.1 .a .b2 .beta.10 -java -1 a b1 .0.pre .pre.1.0 .alpha")
    return _numbers(chance, 5) + end


def composer_version(chance: random.Random) -> str:
    end = _of(
        chance,
        "    -alpha -alpha1 -alpha.2 -beta2 b3 -RC1 rc2 -RC.10 -p1 -patch2 -pl3 -dev -stable +build -beta-dev a1",
    )
    return f"{_of(chance, '   v')}{_numbers(chance, 4, zeros=False)}{end}"


def _dpkg(said: list[Relation]) -> Answer:
    """dpkg answers one question in a process: its own exit status is all that it says."""
    names = {"<": "lt", "=": "eq", ">": "gt"}
    script = 'while read -r a how b; do dpkg --compare-versions "$a" "$how" "$b" 2>/dev/null || echo "$a $how $b"; done'
    denied = _asked(["sh", "-c", script], "".join(f"{a} {names[how]} {b}\n" for a, how, b in said))
    return Answer(len(said), denied)


def _answer(command: list[str], said: list[Relation]) -> Answer:
    """Of a program that writes `?` for each relation that it judges, and a line for one that it denies."""
    lines = _asked(command, "".join(" ".join(one) + "\n" for one in said))
    return Answer(lines.count("?"), [line for line in lines if line not in ("?", "")])


_NODE = """
const semver = require(process.argv[1]);
for (const line of require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean)) {
  const [a, how, b] = line.split(' ');
  if (!semver.valid(a) || !semver.valid(b)) continue;
  console.log('?');
  const found = '<=>'[semver.compare(a, b) + 1];
  if (found !== how) console.log(`${a} ${how} ${b}: it says ${found}`);
}
"""


def _node(said: list[Relation]) -> Answer:
    """What it refuses is passed over: we read more than node does (`1.2`)."""
    package = semver_package()
    # Debian keeps what its semver needs beside it, where only Debian's own node looks
    beside = f"NODE_PATH={package.parent}" if package else "NODE_PATH="
    return _answer(["env", beside, "node", "-e", _NODE, str(package)], said)


@cache
def semver_package() -> Path | None:
    """The package semver of node, which comes with npm and as Debian's node-semver."""
    folders = (Path(folder) / "semver" for folder in _NODE_FOLDERS)
    return next((folder for folder in folders if (folder / "package.json").is_file()), None)


_GO_PROGRAM = """package main

import (
	"bufio"
	"fmt"
	"go/version"
	"os"
	"strings"

	"example.org/oracle/semver"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		parts := strings.Fields(lines.Text())
		a, b := parts[0], parts[2]
		var found int
		switch {
		case version.IsValid(a) && version.IsValid(b):
			found = version.Compare(a, b)
		case semver.IsValid(a) && semver.IsValid(b):
			found = semver.Compare(a, b)
		default:
			continue
		}
		fmt.Println("?")
		if sign := string("<=>"[found+1]); sign != parts[1] {
			fmt.Printf("%s: it says %s\\n", lines.Text(), sign)
		}
	}
}
"""


def _go(said: list[Relation]) -> Answer:
    """golang.org/x/mod/semver as Go ships it for itself, and go/version for Go's own releases."""
    root = subprocess.run(
        ["go", "env", "GOROOT"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="wharfinger-go-") as place:
        folder = Path(place)
        (folder / "semver").mkdir()
        source = Path(root) / "src/cmd/vendor/golang.org/x/mod/semver/semver.go"
        (folder / "semver" / "semver.go").write_bytes(source.read_bytes())
        (folder / "go.mod").write_text("module example.org/oracle\n\ngo 1.22\n")
        (folder / "main.go").write_text(_GO_PROGRAM)
        subprocess.run(["go", "build", "-o", "oracle", "."], cwd=folder, check=True, timeout=300)
        return _answer([str(folder / "oracle")], said)


_RPM = """%{lua:
for line in io.lines("/dev/stdin") do
  local a, how, b = line:match("(%S+) (%S+) (%S+)")
  local sign = rpm.vercmp(a, b)
  local found = sign < 0 and "<" or sign > 0 and ">" or "="
  print("?\\n")
  if found ~= how then print(line .. ": it says " .. found .. "\\n") end
end}"""


def _rpm(said: list[Relation]) -> Answer:
    return _answer(["rpm", "--eval", _RPM], said)


_RUBY = """
STDIN.each_line do |line|
  a, how, b = line.split
  next unless Gem::Version.correct?(a) && Gem::Version.correct?(b)
  puts "?"
  found = "<=>"[(Gem::Version.new(a) <=> Gem::Version.new(b)) + 1]
  puts "#{line.chomp}: it says #{found}" if found != how
end
"""


def _ruby(said: list[Relation]) -> Answer:
    return _answer(["ruby", "-e", _RUBY], said)


_PHP = """
require "/usr/share/php/Composer/Semver/autoload.php";
$parser = new Composer\\Semver\\VersionParser;
while (($line = fgets(STDIN)) !== false) {
  [$a, $how, $b] = explode(" ", trim($line));
  try {
    $found = "<=>"[version_compare($parser->normalize($a), $parser->normalize($b)) + 1];
  } catch (UnexpectedValueException $no) {
    continue;
  }
  echo "?\\n";
  if ($found !== $how) echo trim($line), ": it says $found\\n";
}
"""


def _php(said: list[Relation]) -> Answer:
    """Composer's normal form, in PHP's own order."""
    return _answer(["php", "-r", _PHP], said)


def _maven(said: list[Relation]) -> Answer:
    """ComparableVersion's own command compares what follows each other."""
    denied = []
    for start in range(0, len(said), 1000):
        part = said[start : start + 1000]
        command = ["java", "-jar", str(maven_jar()), *(version for a, _, b in part for version in (a, b))]
        lines = [line.split() for line in _asked(command, "") if line.startswith("   ")]
        for (a, how, b), line in zip(part, lines[::2], strict=True):
            found = {"<": "<", ">": ">", "==": "="}[line[1]]
            if found != how:
                denied.append(f"{a} {how} {b}: it says {found}")
    return Answer(len(said), denied)


@cache
def maven_jar() -> Path | None:
    """maven-artifact, as Debian's maven has it."""
    found = (jar for folder in _MAVEN_JARS for jar in sorted(Path(folder).glob("**/maven-artifact*.jar")))
    return next(found, None)


def _asked(command: list[str], said: str) -> list[str]:
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=True, timeout=_SECONDS)
    return done.stdout.splitlines()


ORACLES = {
    "deb": Oracle("Debian", "dpkg --compare-versions", debian_version, lambda: shutil.which("dpkg"), _dpkg),
    "npm": Oracle("npm", "semver of node", npm_version, lambda: shutil.which("node") and semver_package(), _node),
    "go": Oracle("Go", "golang.org/x/mod/semver", go_version, lambda: shutil.which("go"), _go),
    "go releases": Oracle("Go", "go/version", go_release, lambda: shutil.which("go"), _go, alike=0),
    "maven": Oracle("Maven", "ComparableVersion", maven_version, lambda: shutil.which("java") and maven_jar(), _maven),
    "rpm": Oracle("Red Hat", "rpm.vercmp", rpm_version, lambda: shutil.which("rpm"), _rpm),
    "gem": Oracle("RubyGems", "Gem::Version", gem_version, lambda: shutil.which("ruby"), _ruby),
    "composer": Oracle(
        "Packagist", "Composer and version_compare", composer_version, lambda: _COMPOSER.is_file(), _php
    ),
}
