#!/usr/bin/env python3
"""`ablate serve` with ten thousand nodes and fifty clients on this machine. Needs target/release/ablate and the fake worker:

    cargo build --release --bins --examples && python3 benches/serve.py [--nodes 10000] [--clients 50]

Each client follows the events and asks what every screen asks, all at once. `first` is the first time that anybody asks,
`then` what clients wait once the answer is known; a change makes all answers be found anew. With Playwright (`make python`)
and Chromium a page is opened, too, and typed into.
"""
import argparse, http.client, json, os, pathlib, platform, statistics, subprocess, tempfile, threading, time, urllib.parse

root = pathlib.Path(__file__).resolve().parent.parent
ablate = root / "target/release/ablate"
fake = root / "target/release/examples/fake-worker"


def spec(nodes):
    # A chain is a training, its samples and its scores.
    seeds, rates = 10, max(1, round(nodes / 3 / 10))
    values = ", ".join(f"{1e-5 * (i + 1):.6g}" for i in range(rates))
    return f"""question: how fast is the live page?
vars: {{ rate: 0.5, seed: 0 }}
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 16, maps: 40 }} }} }}
  net: {{ train: {{ data: maps, optimizer: {{ adamw: {{ learning_rate: $rate }} }}, steps: 100, seed: $seed }} }}
  draw: {{ sample: {{ from: net, sampler: {{ ddim: {{ steps: 10 }} }}, count: 8, seed: $seed }} }}
  score: {{ evaluate: {{ samples: draw, reference: maps, measures: [power_spectrum] }} }}
sweeps:
  main: {{ product: {{ rate: [{values}] }}, seeds: {seeds} }}
"""


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--nodes", type=int, default=10_000)
    arguments.add_argument("--clients", type=int, default=50)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "spec.yaml").write_text(spec(arguments.nodes))
        environment = dict(os.environ, ABLATE_WORKER=str(fake), CI="1")
        begin = time.perf_counter()
        subprocess.run([ablate, "run", "spec.yaml"], cwd=folder, env=environment, check=True, capture_output=True)
        print(f"{arguments.nodes} nodes of no work on {platform.processor() or platform.machine()}, "
              f"{os.cpu_count()} cores: run in {time.perf_counter() - begin:.0f} s")
        begin = time.perf_counter()
        served = subprocess.Popen([ablate, "serve", "--listen", "127.0.0.1:0"], cwd=folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            address = urllib.parse.urlparse(served.stdout.readline().strip())
            print(f"ready after {time.perf_counter() - begin:.2f} s, {memory(served.pid):.0f} MB")
            token = address.query.split("token=")[1]
            measure(address.netloc, token, arguments.clients, served.pid)
            page(address.geturl())
        finally:
            served.kill()


def measure(place, token, clients, pid):
    head = {"Authorization": f"Bearer {token}"}

    def get(connection, path):
        begin = time.perf_counter()
        connection.request("GET", path, headers=head)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return time.perf_counter() - begin, body

    connection = http.client.HTTPConnection(place)
    key = json.loads(get(connection, "/api/spec/nodes")[1])["keys"][1]
    screens = {
        "nodes": "/api/spec/nodes", "run": "/api/spec/run", "offers": "/api/spec/offers",
        "results": "/api/spec/results?sweep=main&columns=score.power_spectrum.error",
        "curves": "/api/spec/lines?sweep=main&node=score.power_spectrum&series=power_spectrum&column=mean",
        "samples": "/api/spec/samples?sweep=main&node=draw&seed=0", "graph": "/api/spec/graph",
        "node": f"/api/spec/node/{key}",
    }
    # Something nobody has asked yet, so that the first answers are not known.
    alone = {}
    for name, path in screens.items():
        alone[name] = get(connection, path + ("&" if "?" in path else "?") + "fresh=1")
    waits = {name: [] for name in screens}
    start = threading.Barrier(clients)

    def client(i):
        follow = http.client.HTTPConnection(place)
        follow.request("GET", "/events/spec", headers=head)
        events = follow.getresponse()
        assert events.readline().startswith(b"event: ")
        mine = http.client.HTTPConnection(place)
        start.wait()
        for turn in range(10):
            for name, path in screens.items():
                waits[name].append(get(mine, path)[0])
        follow.close()

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    print(f"{'':10}{'first':>10}{'then, median':>14}{'95 %':>10}{'size':>10}")
    for name in screens:
        first, body = alone[name]
        spans = sorted(waits[name])
        print(f"{name:10}{1e3 * first:>7.0f} ms{1e3 * statistics.median(spans):>11.1f} ms"
              f"{1e3 * spans[int(.95 * len(spans))]:>7.1f} ms{len(body) / 1024:>7.0f} kB")
    asked = sum(len(spans) for spans in waits.values())
    print(f"{clients} clients: {asked} answers in {took:.1f} s, {asked / took:.0f} a second; {memory(pid):.0f} MB")


def page(address):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return print("no Playwright: no page was opened")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        opened = browser.new_page()
        begin = time.perf_counter()
        opened.goto(address)
        opened.wait_for_selector("main[data-shown=run]")
        shown = time.perf_counter() - begin
        opened.goto(opened.url.split("#")[0] + "#/spec/graph")
        opened.wait_for_selector("main[data-shown=graph]")
        opened.keyboard.press("/")
        spans = []
        for text in ["train", " seed=7", " rate"]:
            before = opened.locator(".picks output").inner_text()
            begin = time.perf_counter()
            opened.keyboard.type(text)
            if text != " rate":
                opened.wait_for_function("before => document.querySelector('.picks output').textContent !== before", arg=before)
                spans.append(time.perf_counter() - begin)
        print(f"page: shown after {shown:.2f} s; a filter is answered within {1e3 * max(spans):.0f} ms, 250 of them a pause in typing")
        browser.close()


if __name__ == "__main__":
    main()
