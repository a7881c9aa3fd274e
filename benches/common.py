"""What benches that compare the worker with PyTorch share: the nodes of a spec, their weights, a worker's jobs."""
import json, os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# As the coordinator starts its workers.
ENVIRONMENT = dict(os.environ, MALLOC_MMAP_THRESHOLD_="17179869184", MALLOC_TRIM_THRESHOLD_="17179869184")


def arguments(parser, name):
    """What all of these benches are asked for."""
    parser.add_argument("--cases", default=None, help="names with commas; all unless written")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--short", action="store_true", help="a minute, to see that it works")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target/benches" / name)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target/release", help="where ablate and its worker are")


def nodes(given, spec, names):
    """Runs nodes of a spec; all that are done: what is known of each and its folder, by name."""
    for name in names:
        call = [given.programs / "ablate", "--results", given.results, "run", spec, "--until", name]
        ended = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ended.returncode != 0:
            sys.exit(f"{' '.join(map(str, call))} ended with {ended.returncode}:\n{ended.stdout}")
    return done(given)


def done(given):
    """All nodes that are done, as `nodes` tells of them."""
    known = {}
    for path in sorted((given.results / "nodes").glob("*-*")):
        if (path / "node.json").exists():
            node = json.loads((path / "node.json").read_text())
            known[node["name"]] = (node, path)
    return known


def weights(path):
    """Tensors of a .safetensors file; floats of 32 bits."""
    import torch
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    at = lambda e: torch.frombuffer(bytearray(raw[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]]), dtype=torch.float32)
    return {name: at(e).reshape(e["shape"]) for name, e in header.items()}


def network(node, folder):
    """The network of a train node in PyTorch, with its last weights."""
    from nets import build
    net = build(node["settings"]["model"], json.loads((folder / "dataset.json").read_text())["side"])
    missing, unknown = net.load_state_dict(weights(folder / "last.safetensors"), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unknown:
        sys.exit(f"not the same network: {missing[:3]} are missing, {unknown[:3]} are unknown")
    return net


def write_job(given, folder, job):
    """Writes a worker's job whose files go to `folder`; the path of the job."""
    (folder / "work").mkdir(), (folder / "trajectory").mkdir()
    job = dict(dict(name="bench", attempt=1, work=str(folder / "work"), trajectory=str(folder / "trajectory"),
                    checkpoint_seconds=1e6, device=given.device.replace("cuda", "cuda:0")), **job)
    (folder / "job.json").write_text(json.dumps(job))
    return folder / "job.json"


def start_worker(given, folder, job):
    """Starts the worker on a job whose files go to `folder`."""
    command = [given.programs / "ablate-worker", write_job(given, folder, job)]
    environment = dict(ENVIRONMENT, RAYON_NUM_THREADS=str(job["threads"]))
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run(command, environment=None):
    """Runs a program; what it printed, and the most memory it had in MB."""
    command = [str(word) for word in command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    return out, usage.ru_maxrss / 1024
