#!/bin/sh
# Runs training.py with PyTorch 2.11, in the virtual environment that `make python` makes.
set -eu
cd "$(dirname "$0")/.."
make --quiet python
exec .venv/bin/python benches/training.py
