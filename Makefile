# `make demo` and `make test` are all that a fresh machine needs: Rust, a C compiler, python3 with pip.

PREFIX ?= $(HOME)/.local
CARGO ?= cargo
LIBTORCH_READY = tools/fetch-libtorch.sh

.PHONY: demo test test-golden test-slurm lint bench bench-training bench-sampling bench-measures bench-data bench-startup bench-growth bench-cuda install libtorch build python fuzz

demo: libtorch
	$(CARGO) build --release --workspace --bins
	target/release/ablate run experiments/quickstart.yaml

build: libtorch
	$(CARGO) build --release --workspace --bins

libtorch:
	@$(LIBTORCH_READY)

# The fake worker and the worker itself are built first: tests of the coordinator start them.
test: libtorch
	$(CARGO) build --workspace --bins --examples
	$(CARGO) test --workspace

# A Python with PyTorch, NumPy, pandas and Playwright (3 GB), with which some tests read what we write; without it they skip.
python: .venv/.ready

.venv/.ready:
	python3 -m venv .venv
	.venv/bin/pip install --quiet torch==2.11.0 numpy pandas safetensors matplotlib pyarrow tensorboard playwright diffusers
	touch $@

# Each fuzz target for a minute; needs `cargo install cargo-fuzz`. `make test` runs all of them briefly.
fuzz: libtorch
	for target in spec npy event idx safetensors; do \
	    LD_LIBRARY_PATH=$(CURDIR)/libtorch/lib RUSTC_BOOTSTRAP=1 \
	    cargo fuzz run $$target -- -max_total_time=60 || exit 1; done

# The parts that need a real Slurm, on daemons of their own; as root it installs Debian's packages first (14 s).
test-slurm: libtorch
	tests/slurm/install.sh
	$(CARGO) build --bins --examples
	$(CARGO) test --package ablate --test slurm

test-golden: libtorch
	$(CARGO) test --package ablate-worker --test golden_diffusion --test golden_cosmology -- --nocapture --test-threads=1

lint: libtorch
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Each a table of docs/performance.md, beside its peers: `make bench-training ARGS="--cases notebook --threads 2"`.
bench-training: build python
	.venv/bin/python benches/training/training.py $(ARGS)

bench-sampling: build python
	.venv/bin/python benches/sampling/sampling.py $(ARGS)

bench-measures: build .venv/.peers
	$(CARGO) build --release --package ablate-worker --examples
	.venv/bin/python benches/measures/measures.py $(ARGS)

bench-data: build python
	.venv/bin/python benches/data.py $(ARGS)

bench-startup: build python
	.venv/bin/python benches/startup.py $(ARGS)

bench-growth: build python
	.venv/bin/python benches/training/growth.py $(ARGS)

# On a machine with an NVIDIA GPU: all that it is measured for, in ten minutes.
bench-cuda: build python
	benches/cuda.sh .venv/bin/python

bench: bench-training bench-sampling bench-measures bench-data bench-startup
	$(CARGO) build --release --examples
	python3 benches/overhead.py
	python3 benches/planning.py
	python3 benches/dispatch.py
	.venv/bin/python benches/particle_mesh.py

# What measures are compared with; versions of PyTorch's as in `python`, which some of them would replace.
.venv/.peers: .venv/.ready
	.venv/bin/pip install --quiet torch==2.11.0 torchvision==0.26.0 Pylians powerbox torch-fidelity
	touch $@

# Programs into PREFIX/bin, libtorch into PREFIX/lib/ablate, where the worker looks for it.
install: build
	install -d $(PREFIX)/bin $(PREFIX)/lib/ablate
	install target/release/ablate target/release/ablate-worker $(PREFIX)/bin/
	if [ -z "$$LIBTORCH$$LIBTORCH_USE_PYTORCH" ]; then cp -R libtorch/lib/. $(PREFIX)/lib/ablate/; fi
