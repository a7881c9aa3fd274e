#!/usr/bin/env bash
# All that is measured beside PyTorch, on a machine with an NVIDIA GPU, in under ten minutes: training steps in float32,
# TF32 and bfloat16, sampling, data, start-up. The programs are built elsewhere or here:
#
#     make build && benches/cuda.sh [PYTHON]
#
# PYTHON has torch 2.11.0 for CUDA, numpy and diffusers; the worker takes its libtorch from there. Each table has a limit
# of its own, so that a slow card loses rows and not the whole.
set -u
cd "$(dirname "$0")/.."
python=${1:-python3}
torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))') || exit 1
libraries=$(printf ':%s' "$torch"/../nvidia/*/lib)
export LD_LIBRARY_PATH="$torch/lib$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
"$python" -c 'import torch; print("torch", torch.__version__, torch.cuda.get_device_name())' || exit 1
part() {
    echo
    echo "$2"
    timeout "$1" "$python" "${@:3}" --device cuda
}
part 90 "Training steps, launch-bound" benches/training/training.py --threads 1 --cases quickstart,notebook,dit_s2 --precision f32,tf32
part 150 "Training steps, large" benches/training/training.py --threads 1 --cases default,simple_unet_256 --precision tf32,bf16
part 90 "Training steps beside torch.compile" benches/training/training.py --threads 1 --cases notebook,default --precision tf32 --compiled
part 120 "256 samples" benches/sampling/sampling.py --threads 1 --cases notebook_ddim,flow_heun,dit_s2_ddim,default_ddim
part 60 "Data" benches/data.py --maps 6000 --threads 16
echo
echo "Start-up"
timeout 30 "$python" benches/startup.py --short --device cuda
