#!/usr/bin/env python3
"""Kills `ablate`, its workers or both, again and again, over the quickstart in small with the real worker,
and compares what is left with what an undisturbed run leaves: every file that has a digest, every row,
times aside. Half of the kills come at named moments (src/moment.rs), half at random instants.

    make build && python3 benches/chaos/chaos.py --kills 200 --seed 1

Prints a line for each kind of kill and ends with 1 at the first difference. A run of 200 takes about ten
minutes on two cores."""
import argparse, collections, hashlib, os, pathlib, random, shutil, signal, sqlite3, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = """\
use: quickstart.yaml
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 200 } } }
  net: { train: { model: { unet: { width: 8 } }, steps: 60, validation: { every: 20, items: 8 } }, run: { checkpoint: 200ms } }
  draw: { sample: { count: 24, batch: 8 } }
sweeps: { main: { seeds: 1 } }
"""
COORDINATOR = [f"{word} {name}" for name in ("claim", "rows") for word in ("within", "after")] + [
    f"{word} {name}" for name in ("job.json", "node.json", "publish") for word in ("before", "after")
] + ["after attempt", "after release"]
WORKER = ["within event"] + [
    f"{word} {name}" for word in ("before", "after")
    for name in ("checkpoint", "history.csv", "metrics.json", "costs.json", "samples.png", "dataset.json")
]
# They tell of times and of what was tried; nothing reads them.
UNCOMPARED = {"log.txt", "events.jsonl", "costs.json"}
TABLES = {
    "experiments": "name, question, seeds", "points": "*", "coordinates": "*", "edges": "*", "metrics": "*",
    "nodes": "key, kind, name, folder, settings, identity, arithmetic", "series": "*", "artefacts": "*",
    "claims": "*", "damage": "*",
}


def left(results):
    """Digests of files and rows of tables, by name."""
    found = {}
    for path in sorted((results / "nodes").rglob("*")):
        if path.is_file() and path.name not in UNCOMPARED:
            found[str(path.relative_to(results))] = hashlib.sha256(path.read_bytes()).hexdigest()
    with sqlite3.connect(results / "ablate.sqlite") as database:
        for table, columns in TABLES.items():
            rows = {str(row) for row in database.execute(f"SELECT {columns} FROM {table}")}
            found[table] = {row for row in rows if table != "artefacts" or not any(n in row for n in UNCOMPARED)}
        twice = "SELECT node FROM attempts WHERE outcome = 'done' GROUP BY node HAVING count(*) > 1"
        found["nodes that ran twice"] = database.execute(twice).fetchall()
    return found


class Project:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "experiments").mkdir()
        (self.folder / "configs/models").mkdir(parents=True)
        for name in ("experiments/quickstart.yaml", "configs/models/unet-tiny.yaml"):
            (self.folder / name).write_text((ROOT / name).read_text())
        (self.folder / "experiments/chaos.yaml").write_text(SMALL)
        self.results = self.folder / "results"
        self.published = {}

    def start(self, order=None):
        environment = dict(os.environ, CI="1", LD_LIBRARY_PATH=str(ROOT / "libtorch/lib"))
        if order:
            environment["ABLATE_KILL"] = str(order)
        return subprocess.Popen(
            [ROOT / "target/release/ablate", "run", "experiments/chaos.yaml"], cwd=self.folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "said.txt", "w"),
        )

    def workers(self):
        for path in (self.results / "workers").glob("*.pid"):
            try:
                pid = int(path.read_text())
                if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("ablate-worker"):
                    yield pid
            except (OSError, ValueError):
                pass

    def look(self):
        """What is published stays as it is."""
        for path in (self.results / "nodes").glob("*/node.json"):
            stat = path.stat()
            now = (stat.st_ino, stat.st_mtime_ns)
            assert self.published.setdefault(path, now) == now, f"{path} was published twice"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder in which something went wrong")
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        project = Project(folder)
        assert project.start().wait() == 0, (project.folder / "said.txt").read_text()
        whole, wanted = time.time() - begin, left(project.results)
    print(f"undisturbed: {whole:.1f} s, {len(wanted)} files and tables", flush=True)
    kills, rounds, lost = collections.Counter(), 0, 0.0
    named = [(moment, "coordinator") for moment in COORDINATOR] + [(moment, "worker") for moment in WORKER]
    while kills.total() < asked.kills:
        folder = tempfile.mkdtemp()
        project, begin, history = Project(folder), time.time(), []
        try:
            while True:
                order = None
                if random.random() < 0.5:
                    moment, who = random.choice(named)
                    order = project.folder / "kill"
                    order.write_text(f"{random.choice([1, 1, 2, 4])} {moment}")
                run = project.start(order)
                try:
                    run.wait(random.uniform(0.05, whole / 2) if order is None else whole)
                    if order is not None and not order.exists():
                        kills[f"{who} {moment}"] += 1
                        history.append(f"{who} {moment}")
                except subprocess.TimeoutExpired:
                    victims = random.choice(["coordinator", "worker", "both"])
                    hit = [run.pid] if victims != "worker" else []
                    hit += list(project.workers()) if victims != "coordinator" else []
                    for pid in hit:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                    kills[f"{victims} at random"] += 1
                    history.append(f"{victims} after {time.time() - begin:.2f} s")
                code = run.wait()
                if order is not None:
                    order.unlink(missing_ok=True)
                project.look()
                if code == 0:
                    break
                assert code == -signal.SIGKILL, (code, (project.folder / "said.txt").read_text())
            found = left(project.results)
            for name in sorted(wanted.keys() | found.keys()):
                if wanted.get(name) != found.get(name):
                    raise AssertionError(f"{name} differs\n  {wanted.get(name)}\n  {found.get(name)}")
            rounds, lost = rounds + 1, lost + time.time() - begin - whole
        except AssertionError as problem:
            print(f"{problem}\nkilled: {', '.join(history)}" + (f"\nsee {folder}" if asked.keep else ""))
            sys.exit(1)
        finally:
            if not (asked.keep and sys.exc_info()[0]):
                shutil.rmtree(folder)
    for name, n in sorted(kills.items()):
        print(f"{n:4} {name}")
    print(f"{kills.total()} kills in {rounds} rounds: files and rows are those of an undisturbed run; "
          f"a kill cost {lost / kills.total():.1f} s")


if __name__ == "__main__":
    main()
