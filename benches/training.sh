#!/bin/sh
# Runs training.py in a virtual environment with PyTorch 2.11, made once.
set -eu
cd "$(dirname "$0")/.."
if [ ! -x .venv/bin/python ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet torch==2.11.0 numpy
fi
exec .venv/bin/python benches/training.py
