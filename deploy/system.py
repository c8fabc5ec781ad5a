"""Runs the services of compose.yaml as processes on loopback, where there is no container engine.

    sh deploy/secrets.sh
    python deploy/system.py [--bin FOLDER] [--secrets FOLDER] [--logs FOLDER] [SERVICE...]

Commands, environment, files and health checks are those of compose.yaml. What changes is what
containers change: every `service:port` and every own address is a free port of 127.0.0.1, every
mounted path lies in a folder of its own, and images are programs of this machine (Debian's
postgres and prometheus; no Grafana). Prints {"service", "address"} for each port, and then
{"ready": true}. SIGTERM or Ctrl-C ends all of it. Needs PyYAML, and what the Python services need.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent
PATIENCE = 60.0
"""Seconds that a service may take to be healthy."""

POSTGRES_DATA = "/var/lib/postgresql/data"
IMAGES = {
    "postgres": f"postgres -D {POSTGRES_DATA} -p 5432 -c listen_addresses=127.0.0.1".split()
    + ["-c", "unix_socket_directories="],
    "prom/prometheus": "prometheus --config.file=/etc/prometheus/prometheus.yml "
    "--storage.tsdb.path=/prometheus --web.listen-address=0.0.0.0:9090".split(),
}
"""What the images of others run."""


class Service:
    """One service of compose.yaml, and the process that it is here."""

    def __init__(self, system: "System", name: str):
        self.system, self.name = system, name
        self.spec = system.compose["services"][name]
        self.user = "postgres" if name == "postgres" and os.getuid() == 0 else None
        self.root = system.room(name)
        self.process = None
        self._ports = {}
        self._mount()

    def port(self, number: str) -> int:
        """The free port that stands for this port of the container."""
        if number not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._ports[number] = free.getsockname()[1]
            self.system.tell(
                service=self.name, port=int(number), address=f"127.0.0.1:{self._ports[number]}"
            )
        return self._ports[number]

    def words(self, text: str) -> str:
        """A text of the container as it is meant here."""
        networks = self.spec.get("networks", [])
        own = [networks[name] or {} for name in networks] if isinstance(networks, dict) else []
        own = [re.escape(network["ipv4_address"]) for network in own if "ipv4_address" in network]
        names = "|".join([*self.system.compose["services"], *own])

        def here(found: re.Match) -> str:
            host, number = found.groups()
            service = self.system.service(host) if host[0].isalpha() else self
            return f"127.0.0.1:{service.port(number)}"

        text = re.sub(rf"(?<![\w.-])({names}|0\.0\.0\.0|127\.0\.0\.1):(\d+)", here, text)
        return re.sub(r"\$\{(\w+):-(.*?)\}", lambda found: os.environ.get(found[1], found[2]), text)

    def path(self, inside: str) -> str:
        """Where a path of the container lies here, if it is mounted or in a mounted folder."""
        option, place = re.fullmatch(r"(-[\w.-]*=)?(.*)", inside, re.S).groups()
        here = self.root / place.lstrip("/")
        if place.startswith("/") and (
            here.exists() or (here.parent.exists() and here.parent != self.root)
        ):
            return (option or "") + str(here)
        return inside

    def _mount(self):
        for secret in self.spec.get("secrets", []):
            source = self.system.compose["secrets"][secret]["file"]
            self._place(source, f"/run/secrets/{secret}")
        for mount in self.spec.get("volumes", []):
            source, target = mount.split(":")[:2]
            self._place(source, target)
        for mount in self.spec.get("tmpfs", []):
            (self.root / mount.split(":")[0][1:]).mkdir(parents=True, exist_ok=True)

    def _place(self, source: str, target: str):
        place = self.root / target[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        if not source.startswith("."):
            place.mkdir()
        else:
            secret = source.removeprefix("./secrets/")
            path = DEPLOY / source if secret == source else self.system.secrets / secret
            copy(path, place)

    def command(self) -> list:
        """The entry point of the image, and the command, as they are here."""
        if "build" in self.spec:
            build = self.spec["build"]
            context = DEPLOY / build["context"]
            stages = (context / build.get("dockerfile", "Dockerfile")).read_text().split("\nFROM ")
            stage = next(
                s
                for s in stages
                if re.search(rf" AS {build.get('target', '')}\n", s) or len(stages) == 1
            )
            entry = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", stage, re.M)[1])
        else:
            entry = IMAGES[self.spec["image"].split(":")[0]]
        return self.argv(entry + self.spec.get("command", []))

    def argv(self, words: list) -> list:
        program, *rest = words
        if program == "python":
            program = sys.executable
        elif program.startswith("/usr/bin/doorward"):
            program = self.system.bin / Path(program).name
        elif program in ("postgres", "initdb", "pg_isready", "createdb"):
            program = postgres_programs() / program
            rest = [str(self.port(word)) if word == "5432" else word for word in rest]
        return [str(program), *(self.path(self.words(word)) for word in rest)]

    def start(self):
        for file in (file for file in self.root.rglob("*") if file.suffix in (".toml", ".yml")):
            file.write_text(self.words(file.read_text()))
        environment = os.environ | {
            name: self.path(self.words(value))
            for name, value in self.spec.get("environment", {}).items()
        }
        options = {}
        if self.name == "postgres":
            options = self._prepare_postgres(environment)
        context = DEPLOY / self.spec.get("build", {}).get("context", ".")
        command = self.command()
        if shutil.which(command[0]) is None:
            raise SystemExit(f"{self.name} cannot start: {command[0]} is not there")
        with self._log().open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=context,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **options,
            )
        self._wait()
        if self.name == "postgres":
            self._make_database(environment)

    def _log(self) -> Path:
        return self.system.logs / f"{self.name}.log"

    def _prepare_postgres(self, environment: dict) -> dict:
        """What the image's own entry point does before the first start; initdb wants no root."""
        options = {"user": self.user, "group": self.user} if self.user else {}
        if self.user:
            for place in (self.root, *self.root.rglob("*")):
                shutil.chown(place, self.user, self.user)
        setting = ["-D", POSTGRES_DATA, "-U", environment["POSTGRES_USER"], "-A", "scram-sha-256"]
        setting += [
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            f"--pwfile={environment['POSTGRES_PASSWORD_FILE']}",
        ]
        command = self.argv(["initdb", *setting])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
        return options

    def _make_database(self, environment: dict):
        password = Path(environment["POSTGRES_PASSWORD_FILE"]).read_text()
        command = ["createdb", "-h", "127.0.0.1", "-p", "5432", "-U", environment["POSTGRES_USER"]]
        command = self.argv([*command, environment["POSTGRES_DB"]])
        subprocess.run(command, check=True, env=os.environ | {"PGPASSWORD": password})

    def _wait(self):
        """Until its own health check says yes."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} is not healthy:\n{self._log().read_text()[-2000:]}")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        _, *test = self.spec["healthcheck"]["test"]
        if test[0] == "wget":
            try:
                return urllib.request.urlopen(self.words(test[-1]), timeout=5).status == 200
            except OSError:
                return False
        if test[0] == "pg_isready":
            test += ["-p", "5432"]
        return subprocess.run(self.argv(test), capture_output=True).returncode == 0

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            # A second word for the gateway's lame duck, a last one for anybody else.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class System:
    """Services by name, each with what it needs."""

    def __init__(self, folder: Path, bin: Path, secrets: Path, logs: Path):
        self.folder, self.bin, self.secrets, self.logs = folder, bin, secrets, logs
        self.compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
        self._services = {}
        self._started = []
        self._rooms = contextlib.ExitStack()

    def room(self, name: str) -> Path:
        """A folder that nobody else can enter; beside ours, for the one service of another user."""
        if name == "postgres":
            made = tempfile.TemporaryDirectory(prefix="doorward.postgres.")
            return Path(self._rooms.enter_context(made))
        room = self.folder / name
        room.mkdir(mode=0o700)
        return room

    def tell(self, **line):
        print(json.dumps(line), flush=True)

    def service(self, name: str) -> Service:
        if name not in self._services:
            self._services[name] = Service(self, name)
        return self._services[name]

    def start(self, name: str):
        """Starts what it depends on, and then it; once."""
        service = self.service(name)
        if service in self._started:
            return
        for needed in service.spec.get("depends_on", {}):
            self.start(needed)
        self._started.append(service)
        service.start()

    def end(self):
        # To the last: nobody else knows these processes.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with self._rooms:
            for service in reversed([service for service in self._started if service.process]):
                service.end()


def copy(source: Path, place: Path):
    """Copies a file or a folder. The copy is ours alone from the moment at which it exists, however
    wide the source: others of this machine may be kept out by the folder that it lies in."""
    if source.is_dir():
        place.mkdir(mode=0o700)
        for inside in source.iterdir():
            copy(inside, place / inside.name)
        return
    with source.open("rb") as given:
        made = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(made, "wb") as kept:
            shutil.copyfileobj(given, kept)


def postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bin", type=Path, default=DEPLOY.parent / "target" / "debug")
    parser.add_argument("--secrets", type=Path, default=DEPLOY / "secrets")
    parser.add_argument("--logs", type=Path, help="keep what each service writes in this folder")
    parser.add_argument("service", nargs="*", default=["chat", "prometheus"])
    given = parser.parse_args()
    # Of this process and of all services: logs and databases hold what people wrote.
    os.umask(0o077)
    if not given.secrets.is_dir():
        parser.error(f"{given.secrets} is not there; sh deploy/secrets.sh makes deploy/secrets")
    if given.logs:
        given.logs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="doorward.") as folder:
        logs = (given.logs or Path(folder)).resolve()
        system = System(Path(folder), given.bin.resolve(), given.secrets.resolve(), logs)
        try:
            for name in given.service:
                system.start(name)
            system.tell(ready=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            system.end()


if __name__ == "__main__":
    main()
