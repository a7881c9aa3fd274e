"""What a program needs to be a command node of Ablate: its parameters, its inputs, and where its results go.

One file, no dependencies, Python 3.8 or later. Copy it beside your script, or `pip install ./python`. A script that
uses it still runs by itself: then there are no parameters beside the defaults, and results go to the folder `out`.

    import ablate_node as node

    lr = node.param("lr", 1e-3)
    for step in range(node.start(), 1000):
        ...
        node.progress(step + 1, 1000, loss=loss)
        if node.must_stop() or step % 100 == 99:
            save(node.checkpoint / "state.pt")
            node.saved(step + 1)
            if node.must_stop():
                node.stop()
    node.metric("error", error, better="lower")
"""

import json
import math
import os
import pathlib
import signal
import sys

__all__ = [
    "params", "param", "out", "checkpoint", "threads", "device", "name", "key", "attempt", "input", "inputs",
    "progress", "saved", "start", "must_stop", "stop", "metric", "metrics", "series",
]

_EXIT_STOPPED = 75


def _json(variable, otherwise):
    text = os.environ.get(variable)
    return otherwise if text is None else json.loads(text)


def _folder(variable, otherwise):
    path = pathlib.Path(os.environ.get(variable, otherwise))
    path.mkdir(parents=True, exist_ok=True)
    return path


#: The values under `params`, by name.
params = _json("ABLATE_PARAMS", {})
#: The folder of the node: what is written there is kept.
out = _folder("ABLATE_OUT", "out")
#: A folder that is kept while the node is not finished, from attempt to attempt.
checkpoint = _folder("ABLATE_CHECKPOINT", "out/checkpoint")
#: How many threads the node may use.
threads = int(os.environ.get("ABLATE_THREADS", os.cpu_count() or 1))
#: `cpu` or `cuda:0`; of several GPUs only those of the node are visible.
device = os.environ.get("ABLATE_DEVICE", "cpu")
#: The node's name for people, its key, and the number of this attempt.
name = os.environ.get("ABLATE_NAME", "")
key = os.environ.get("ABLATE_KEY", "")
attempt = int(os.environ.get("ABLATE_ATTEMPT", "1"))

_inputs = {role: [pathlib.Path(path) for path in paths] for role, paths in _json("ABLATE_INPUTS", {}).items()}
_asked_to_stop = False


def _ask(_signal, _frame):
    global _asked_to_stop
    _asked_to_stop = True


try:
    signal.signal(signal.SIGTERM, _ask)
except ValueError:
    # Not in the main thread: then the program ends at once when it is asked to.
    pass


def param(name, otherwise=None):
    """The value of a parameter, or `otherwise` where it is not given."""
    return params.get(name, otherwise)


def inputs(role):
    """The folders of all nodes that are read in a role, in the order of their keys."""
    if role not in _inputs:
        known = ", ".join(sorted(_inputs)) or "nothing"
        raise KeyError(f"nothing is needed as {role!r}; known: {known}")
    return list(_inputs[role])


def input(role):
    """The folder of the node that is read in a role."""
    found = inputs(role)
    if len(found) != 1:
        raise KeyError(f"{len(found)} nodes are read as {role!r}; take inputs({role!r})")
    return found[0]


def _tell(line):
    path = os.environ.get("ABLATE_PROGRESS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


_last = {"step": 0}


def progress(step, total=None, loss=None):
    """Tells how far the program is; call it as often as you like, but not a thousand times a second."""
    _last.clear()
    _last["step"] = int(step)
    if total is not None:
        _last["total"] = int(total)
    line = dict(_last)
    if loss is not None and math.isfinite(float(loss)):
        line["loss"] = float(loss)
    _tell(line)


def saved(step):
    """Tells that the checkpoint holds everything up to this step."""
    (checkpoint / "ablate-step").write_text(str(int(step)), encoding="utf-8")
    _tell({**_last, "step": max(int(step), _last["step"]), "saved": int(step)})


def start():
    """The step up to which an earlier attempt has saved, 0 for the first one."""
    try:
        return int((checkpoint / "ablate-step").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def must_stop():
    """Whether the node is to save and leave: its time is up, or somebody wants to go home."""
    return _asked_to_stop


def stop():
    """Ends the program in the middle of its work; the next run goes on from the checkpoint."""
    sys.exit(_EXIT_STOPPED)


def _number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def _update(file_name, more):
    path = out / file_name
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.update(more)
    aside = path.with_suffix(".aside")
    aside.write_text(json.dumps(known, allow_nan=False), encoding="utf-8")
    aside.replace(path)


def metric(name, value, unit="", better="neither"):
    """Records a number; `better` is `lower`, `higher` or `neither`, unless the spec says."""
    _update("metrics.json", {name: {"value": _number(value), "unit": unit, "better": better}})


def metrics(values):
    """Records several numbers, by name."""
    _update("metrics.json", {name: {"value": _number(value)} for name, value in values.items()})


def series(name, x, y, x_unit="", y_unit=""):
    """Records a curve, such as the loss at each step."""
    x, y = [_number(value) for value in x], [_number(value) for value in y]
    if len(x) != len(y):
        raise ValueError(f"{len(x)} values of x and {len(y)} of y")
    _update("series.json", {name: {"x": x, "y": y, "x_unit": x_unit, "y_unit": y_unit}})
