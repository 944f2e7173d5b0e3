"""Cases of the best practices: what an image's config, history and layers say of it."""

from datetime import timedelta
from typing import Any

from models.images import Healthcheck, SecretFact
from tests.policies.cases import Case, built_by, of_image
from tests.policies.samples import DAY, MONDAY, facts, layer

LABELS = facts().labels
SECRET = SecretFact(rule="private-key", title="Private key", path="root/.ssh/id_rsa")


def _left(folder: str, size: int) -> dict[str, Any]:
    return {"layers": (layer(folders=((folder, size),)), layer(1, deleted=((folder, size),)))}


FINDS = [
    *(
        Case("image.non-root", of_image(user=user), says)
        for user, says in (
            ("", "none given, which is root"),
            ("root", "User of the image: root"),
            ("0", "User of the image: 0"),
            ("0:0", "User of the image: 0"),
            ("root:wheel", "User of the image: root"),
            ("000", "User of the image: 000"),
        )
    ),
    Case(
        "image.secrets",
        of_image(layers=(layer(), layer(1, secrets=(SECRET,)))),
        "Private key in root/.ssh/id_rsa",
        "layer 1",
    ),
    *(
        Case("image.password", of_image(env=(f"{name}=hunter2",)), f"ENV {name} has a value")
        for name in (
            "PASSWORD",
            "DB_PASS",
            "MYSQL_ROOT_PASSWORD",
            "admin_passwd",
            "DJANGO_SECRET",
            "GITHUB_TOKEN",
            "API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "STRIPE_APIKEY",
            "PRIVATE_KEY",
            "GOOGLE_CREDENTIALS",
            "REDIS_PWD",
        )
    ),
    Case(
        "image.password",
        built_by("RUN |2 VERSION=1 DB_PASSWORD=hunter2 /bin/sh -c make install # buildkit"),
        "ARG DB_PASSWORD had a value in the build",
    ),
    Case("image.password", built_by("|1 NPM_TOKEN=abc123 /bin/sh -c npm ci"), "ARG NPM_TOKEN had a value"),
    Case("image.blank-password", of_image(env=("DB_PASSWORD=",)), "ENV DB_PASSWORD is empty"),
    Case("image.blank-password", of_image(env=("MYSQL_ALLOW_EMPTY_PASSWORD=yes",)), "is yes"),
    Case("image.blank-password", of_image(env=("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1",)), "is 1"),
    Case("image.blank-password", of_image(env=("POSTGRES_HOST_AUTH_METHOD=trust",)), "nobody is asked"),
    Case("image.supervisor", of_image(cmd=("/usr/bin/supervisord", "-n")), "Its command is: /usr/bin/supervisord -n"),
    Case("image.supervisor", of_image(cmd=("/bin/sh", "-c", "exec supervisord -c x")), "exec supervisord"),
    Case("image.supervisor", of_image(entrypoint=("/sbin/runsvdir",)), "runsvdir"),
    Case("image.command", of_image(cmd=(), entrypoint=()), "Neither is set"),
    Case("image.healthcheck", of_image(healthcheck=None), "The image sets none"),
    Case("image.healthcheck", of_image(healthcheck=Healthcheck()), "The image sets none"),
    Case("image.healthcheck", of_image(healthcheck=Healthcheck(test=("none",))), "switches it off"),
    Case(
        "image.layers",
        of_image(layers=tuple(layer(number) for number in range(41))),
        "41 layers; at most 40 are recommended",
    ),
    Case("image.size", of_image(size=1_500_000_000), "1,500 MB compressed; at most 1,000 MB"),
    # a file deleted in a later layer still ships
    Case("image.leftovers", of_image(**_left("var/lib/apt/lists", 19_000_000)), "apt package lists: 19,000,000 bytes"),
    Case("image.leftovers", of_image(**_left("var/cache/apk", 2_000_000)), "apk's package cache"),
    Case("image.leftovers", of_image(**_left("root/.cache/pip", 200_000)), "pip's cache: 200,000 bytes"),
    Case("image.leftovers", of_image(**_left("usr/local/share/.cache/yarn", 200_000)), "yarn's cache"),
    Case("image.leftovers", of_image(**_left("tmp", 200_000)), "temporary files: 200,000 bytes in /tmp"),
    Case(
        "image.deleted",
        of_image(layers=(layer(), layer(1, deleted=(("opt/build.tar", 5_000_000), ("a", 1))))),
        "5,000,001 bytes, as opt/build.tar, a",
        "layer 1",
    ),
    Case("image.rebuilt", of_image(created=MONDAY - 181 * DAY), "recommended is within 180 days"),
    Case("image.rebuilt", of_image(created=(MONDAY - 181 * DAY).replace(tzinfo=None)), "Built on 2023-09-05"),
    Case("image.rebuilt", of_image(created=None), "It does not say when it was built"),
    Case("image.base", of_image(os_name="CentOS", os_version="7"), "It is based on centos 7."),
    Case("image.base", of_image(os_name="arch", os_version=""), "It is based on arch."),
    Case("image.labels", of_image(labels={}), "Missing: title, version, vendor, licenses, description"),
    Case(
        "image.labels",
        of_image(labels=LABELS | {"org.opencontainers.image.vendor": ""}),
        "Missing: vendor.",
    ),
    Case("image.licence", of_image(layers=(layer(licence_files=()),)), "No layer has a file called LICENSE"),
    Case("image.author", of_image(author=""), "neither an author nor a label"),
    *(
        Case("image.update-alone", built_by(text), text[:60])
        for text in (
            "RUN /bin/sh -c apt-get update # buildkit",
            "/bin/sh -c apt-get -qq update",
            "RUN /bin/sh -c apk update",
            "RUN /bin/sh -c yum -y update",
            "RUN /bin/sh -c apt-get update && rm -rf /tmp/x",
            "RUN /bin/sh -c sudo /usr/bin/apt-get update",
        )
    ),
    Case(
        "image.update-alone",
        built_by("RUN /bin/sh -c apt-get update", "RUN /bin/sh -c apk update"),
        "2 times, first: RUN /bin/sh -c apt-get update",
    ),
    Case("image.add", built_by("ADD app.tar.gz /srv # buildkit"), "ADD app.tar.gz /srv"),
    Case("image.add", built_by("/bin/sh -c #(nop) ADD file:9a in /srv/ "), "ADD file:9a in /srv/"),
    Case(
        "image.add",
        built_by("ADD a /a", "ADD https://x.example/b /b"),
        "2 times, first: ADD a /a",
    ),
    Case("image.setuid", of_image(layers=(layer(setuid=("opt/su", "usr/bin/su")),)), "/opt/su."),
    Case(
        "image.setuid",
        of_image(layers=(layer(setuid=tuple(f"srv/{number}" for number in range(9))), layer(1, setuid=("srv/0",)))),
        "/srv/0, /srv/1, /srv/2, /srv/3, /srv/4 and 4 more",
    ),
    *(
        Case("image.unverified", built_by(f"RUN /bin/sh -c {text}"), says)
        for text, says in (
            ("apt-get install -y --allow-unauthenticated x", "--allow-unauthenticated in:"),
            ("apk add --allow-untrusted x.apk", "--allow-untrusted"),
            ("yum install --nogpgcheck x", "--nogpgcheck"),
            ("echo 'deb [trusted=yes] http://x ./' > /etc/apt/sources.list", "[trusted=yes]"),
            ("pip install --trusted-host pypi.example x", "--trusted-host"),
            ("curl -k https://x -o y", "curl -k"),
            ("curl -fsSLk https://x -o y", "curl -fsSLk in:"),
            ("curl https://x --insecure", "--insecure"),
            ("wget --no-check-certificate https://x", "--no-check-certificate"),
            ("npm config set strict-ssl false", "strict-ssl false"),
            ("git -c http.sslVerify=false clone https://x", "http.sslVerify=false"),
            ("NODE_TLS_REJECT_UNAUTHORIZED=0 node x", "NODE_TLS_REJECT_UNAUTHORIZED=0"),
        )
    ),
    *(
        Case("image.download-and-run", built_by(f"RUN /bin/sh -c {text}"), text[:20])
        for text in (
            "curl -fsSL https://x.example/i.sh | sh",
            "wget -qO- https://x.example/i.sh | sudo bash -s --",
            "curl https://x.example/i.py | python3 -",
            "bash <(curl -s https://x.example/i.sh)",
            'sh -c "$(curl -fsSL https://x.example/i.sh)"',
        )
    ),
    Case("image.ssh", of_image(ports=("8080/tcp", "22/tcp")), "EXPOSE 22/tcp"),
    Case("image.ssh", of_image(ports=("23",)), "EXPOSE 23"),
]

PASSES = [
    *(Case("image.non-root", of_image(user=user)) for user in ("app", "10001:0", "1000", "rooty")),
    Case("image.secrets", of_image()),
    *(
        Case("image.password", of_image(env=(variable,)))
        for variable in (
            "PATH=/usr/bin",
            "DB_PASSWORD_FILE=/run/secrets/db",
            "DB_PASSWORD=/run/secrets/db",
            "DB_PASSWORD=",
            "COMPASS=north",
            "GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568",
            "MAX_TOKENS=100",
            "BYPASS=1",
        )
    ),
    Case("image.password", built_by("RUN |1 VERSION=1.0 /bin/sh -c make DB_PASSWORD_FILE=/x")),
    *(
        Case("image.blank-password", of_image(env=(variable,)))
        for variable in (
            "DB_PASSWORD=x",
            "API_TOKEN=",
            "MYSQL_ALLOW_EMPTY_PASSWORD=no",
            "X_AUTH_METHOD=scram",
            "EMPTY=",
        )
    ),
    Case("image.supervisor", of_image(cmd=("/srv/supervisor/run", "--no-runit"))),
    Case("image.command", of_image(cmd=(), entrypoint=("/srv/app",))),
    Case("image.healthcheck", of_image(healthcheck=Healthcheck(test=("CMD-SHELL", "curl -f http://localhost")))),
    Case("image.layers", of_image(layers=tuple(layer(number) for number in range(40)))),
    Case("image.size", of_image(size=1_000_000_000)),
    Case("image.leftovers", of_image(**_left("var/lib/apt/lists", 100_000))),
    Case("image.deleted", of_image(layers=(layer(1, deleted=(("a", 100_000),)),))),
    Case("image.rebuilt", of_image(created=MONDAY - 180 * DAY)),
    Case("image.rebuilt", of_image(created=MONDAY + timedelta(hours=2))),
    *(Case("image.base", of_image(os_name=name)) for name in ("debian", "Alpine", "ubuntu", "")),
    Case(
        "image.labels",
        of_image(labels={name.replace("org.opencontainers.image", "org.label-schema"): "x" for name in LABELS}),
    ),
    Case("image.licence", of_image(layers=(layer(licence_files=()), layer(1)))),
    Case("image.author", of_image(author="", labels={"maintainer": "ada@acme.example"})),
    Case("image.author", of_image(author="", labels={"org.opencontainers.image.authors": "Ada"})),
    *(
        Case("image.update-alone", built_by(text))
        for text in (
            "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends curl",
            "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y curl; rm -rf /var/lib/apt/lists/*",
            "RUN /bin/sh -c apk add --update curl",
            "RUN /bin/sh -c apk --update add curl",
            "RUN /bin/sh -c apt-get update && apt-get -y upgrade",
            "RUN /bin/sh -c apt-get install -y update-notifier",
            "RUN /bin/sh -c ./manage.py update",
            "RUN /bin/sh -c dnf install -y curl && dnf clean all",
        )
    ),
    Case("image.add", built_by("COPY app /srv # buildkit", "RUN /bin/sh -c adduser app")),
    Case("image.add", of_image(layers=(layer(instruction="ADD alpine-minirootfs-3.20.tar.gz / # buildkit"),))),
    Case(
        "image.setuid",
        of_image(layers=(layer(setuid=("usr/bin/su", "bin/mount", "usr/lib/openssh/ssh-keysign", "usr/bin/chage")),)),
    ),
    *(
        Case("image.unverified", built_by(f"RUN /bin/sh -c {text}"))
        for text in (
            "curl --key client.pem https://x -o y",
            "curl -fsSL https://x -o y",
            "curl https://x | tar xz -k",
            "wget https://x && check -k",
            "apt-get install -y gnupg",
        )
    ),
    *(
        Case("image.download-and-run", built_by(f"RUN /bin/sh -c {text}"))
        for text in (
            "curl -o i.sh https://x.example/i.sh && sha256sum -c sums && sh i.sh",
            "curl https://x.example/a.tgz | tar xz",
            "wget https://x.example/sh",
        )
    ),
    Case("image.ssh", of_image(ports=("2222/tcp", "8022"))),
]
