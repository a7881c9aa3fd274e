#!/usr/bin/env python3
"""Short nodes on a Slurm cluster of four machines with four CPUs each, on this machine: by pilots, by a job for each, by
one array, and by Snakemake's Slurm executor; and how long it takes to take up what runs while Slurm knows a thousand jobs.

    cargo build --release --bins --examples && python3 benches/slurm.py [--nodes 1000] [--snakemake N]

All of them do the same: a node writes a small file. Pilots also make a durable record of each (digests, rows). The
daemons of the cluster share this machine's cores with the work. Needs Debian's Slurm (tests/slurm/install.sh);
Snakemake comes by pip into a folder of its own."""
import argparse, os, pathlib, re, subprocess, sys, tempfile, time

from dispatch import ABLATE, FAKE, ROOT, TRIVIAL

UP, DOWN = ROOT / "tests/slurm/up.sh", ROOT / "tests/slurm/down.sh"

SITE = """
sbatch: { partition: main, cpus-per-task: 4, mem: 400, time: 30 }
most: 4
slots: 4
devices: cpu:4
idle: 30s
poll: 1s
"""
SNAKEFILE = """
rule all:
    input: expand("out/{{i}}", i=range({n}))
rule one:
    output: "out/{{i}}"
    shell: "echo {{wildcards.i}} > {{output}}"
"""


def call(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Cluster:
    def __enter__(self):
        self.folder = f"/tmp/ablate-bench-{os.getpid()}"
        own = dict(os.environ, SLURM_TEST_DIR=self.folder)
        conf = re.search(r"SLURM_CONF=(\S+)", call([UP], env=own)).group(1)
        self.env = dict(own, SLURM_CONF=conf, ABLATE_WORKER=str(FAKE), ABLATE_FAKE_STEPS="1", CI="1")
        return self

    def __exit__(self, *_):
        subprocess.run([DOWN], env=self.env, capture_output=True)

    def wait_until_empty(self):
        while call(["squeue", "-h", "-t", "R,PD,CG"], env=self.env).strip():
            time.sleep(0.2)


def pilots(n):
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "spec.yaml").write_text(TRIVIAL.format(n=n))
        pathlib.Path(folder, "site.yaml").write_text(SITE)
        begin = time.perf_counter()
        done = subprocess.run([ABLATE, "run", "spec.yaml", "--on", "site.yaml"], cwd=folder, env=cluster.env,
                              capture_output=True, text=True)
        span = time.perf_counter() - begin
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        return span, done.stderr.count("submitted as job")


def jobs(n):
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        for i in range(n):
            call(["sbatch", "-o", "/dev/null", "-p", "main", "--mem=50", "--wrap", f"echo {i} > {folder}/{i}"], env=cluster.env)
        cluster.wait_until_empty()
        span = time.perf_counter() - begin
        assert len(os.listdir(folder)) == n, len(os.listdir(folder))
        return span, n


def array(n):
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        call(["sbatch", "-o", "/dev/null", "-p", "main", "--mem=50", f"--array=0-{n - 1}", "--wrap",
              f"echo $SLURM_ARRAY_TASK_ID > {folder}/$SLURM_ARRAY_TASK_ID"], env=cluster.env)
        cluster.wait_until_empty()
        span = time.perf_counter() - begin
        assert len(os.listdir(folder)) == n, len(os.listdir(folder))
        return span, 1


def snakemake(n):
    venv = pathlib.Path(tempfile.gettempdir(), "ablate-bench-snakemake")
    if not (venv / "bin/snakemake").exists():
        call([sys.executable, "-m", "venv", venv])
        call([venv / "bin/pip", "install", "-q", "snakemake", "snakemake-executor-plugin-slurm"])
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "Snakefile").write_text(SNAKEFILE.format(n=n))
        env = dict(cluster.env, PATH=f"{venv}/bin:{os.environ['PATH']}")
        # Its job steps do not hand SLURM_CONF on: they look where Slurm looks by itself.
        usual = pathlib.Path("/etc/slurm/slurm.conf")
        if usual.exists() and not usual.is_symlink():
            sys.exit(f"{usual} is another cluster's")
        usual.parent.mkdir(exist_ok=True)
        usual.unlink(missing_ok=True)
        usual.symlink_to(cluster.env["SLURM_CONF"])
        begin = time.perf_counter()
        try:
            call([venv / "bin/snakemake", "--executor", "slurm", "--jobs", "16", "--default-resources",
                  "slurm_partition=main", "mem_mb=200", "runtime=10", "--slurm-init-seconds-before-status-checks", "5",
                  "--seconds-between-status-checks", "2", "--slurm-status-command", "squeue", "--latency-wait", "5"], cwd=folder, env=env)
        finally:
            usual.unlink()
        return time.perf_counter() - begin, n


def reattach():
    """Seconds from the start of a run until it has taken up four running nodes, while a thousand jobs wait."""
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "spec.yaml").write_text(TRIVIAL.format(n=16))
        pathlib.Path(folder, "site.yaml").write_text(SITE)
        env = dict(cluster.env, ABLATE_FAKE="slow maps 20000")
        log = pathlib.Path(folder, "log")
        start = lambda: subprocess.Popen([ABLATE, "run", "spec.yaml", "--on", "site.yaml"], cwd=folder, env=env,
                                         stdout=subprocess.DEVNULL, stderr=log.open("w"))
        first = start()
        while log.read_text().count("start  ") < 16:
            time.sleep(0.05)
        first.kill()
        first.wait()
        name = call(["squeue", "-h", "-o", "%j"], env=cluster.env).split()[0]
        call(["sbatch", "--hold", "-J", name, "--array=0-999", "-o", "/dev/null", "--wrap", "true"], env=cluster.env)
        begin = time.perf_counter()
        second = start()
        while log.read_text().count("taken up from") < 16:
            time.sleep(0.005)
        span = time.perf_counter() - begin
        second.kill()
        return span


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--snakemake", type=int, default=0, help="so many nodes for Snakemake too")
    given = parser.parse_args()
    ways = [("pilots", given.nodes, pilots), ("one array", given.nodes, array), ("a job each", given.nodes, jobs)]
    if given.snakemake:
        ways.append(("Snakemake", given.snakemake, snakemake))
    print(f"{'':12} {'nodes':>6} {'seconds':>8} {'submissions':>12} {'a node':>9} {'ratio':>6}")
    ours = None
    for name, n, way in ways:
        seconds, submissions = way(n)
        each = seconds / n
        ours = ours or each
        print(f"{name:12} {n:6} {seconds:8.1f} {submissions:12} {1000 * each:6.0f} ms {each / ours:6.1f}", flush=True)
    print(f"16 running nodes taken up while 1,000 jobs are known: {reattach():.2f} s")


if __name__ == "__main__":
    main()
