#!/bin/sh
# Puts the C++ library of PyTorch (libtorch) into ./libtorch, from the wheels on PyPI.
#
# With LIBTORCH or LIBTORCH_USE_PYTORCH set, the library that is installed already is used and
# nothing is fetched. With an NVIDIA driver on a Linux machine, or LIBTORCH_CUDA=1, everything for
# GPUs comes along (several GB); otherwise the lean half for processors (0.5 GB).
set -eu

version=2.11.0
cudart=13.0.96
cupti=13.0.85
here=$(cd "$(dirname "$0")/.." && pwd)
target=$here/libtorch
wheels=$here/libtorch.wheels

say() { printf '%s\n' "$*" >&2; }
stop() { say "fetch-libtorch: $*"; exit 1; }

if [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
    say "using the installed PyTorch (LIBTORCH_USE_PYTORCH is set)"
    exit 0
fi
if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$target" ]; then
    [ -d "$LIBTORCH/lib" ] || stop "LIBTORCH is $LIBTORCH, which has no lib folder"
    say "using $LIBTORCH (LIBTORCH is set)"
    exit 0
fi
# The stamp is written last: an interrupted fetch is done again, with the wheels it has already.
[ "$(cat "$target/.version" 2>/dev/null)" = "$version" ] && exit 0

python=${PYTHON:-python3}
"$python" -m pip --version >/dev/null 2>&1 || stop "python3 with pip is needed to fetch libtorch; install it, or set LIBTORCH"

system=$(uname -s)-$(uname -m)
full=${LIBTORCH_CUDA:-}
case $system in
    Linux-x86_64)
        [ -e /proc/driver/nvidia/version ] && full=1
        wanted="torch==$version nvidia-cuda-runtime==$cudart nvidia-cuda-cupti==$cupti" ;;
    Darwin-arm64)
        full=
        wanted="torch==$version" ;;
    *) stop "there is no libtorch for $system on PyPI; build one and set LIBTORCH" ;;
esac

# The wheels of PyTorch are the same but for Python's own part, so any Python's will do.
sum_of() {
    case $1 in
        nvidia_cuda_runtime-13.0.96-*x86_64.whl) echo 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 ;;
        nvidia_cuda_cupti-13.0.85-*x86_64.whl) echo 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 ;;
        torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl) echo 7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a ;;
    esac
}

mkdir -p "$wheels"
say "fetching libtorch $version (${full:+with CUDA, }once)"
if [ -n "$full" ]; then
    "$python" -m pip download --quiet --dest "$wheels" "torch==$version" || stop "pip could not fetch the wheels; run this again to go on"
elif [ "$system" = Linux-x86_64 ]; then
    # shellcheck disable=SC2086 # one word a wheel
    "$python" -m pip download --quiet --no-deps --dest "$wheels" --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 $wanted \
        || stop "pip could not fetch the wheels; run this again to go on"
else
    # shellcheck disable=SC2086 # one word a wheel
    "$python" -m pip download --quiet --no-deps --dest "$wheels" $wanted \
        || stop "pip could not fetch the wheels; run this again to go on"
fi

# pip checks each wheel against the index; those pinned here are checked once more.
for wheel in "$wheels"/*.whl; do
    known=$(sum_of "$(basename "$wheel")")
    [ -n "$known" ] || continue
    found=$("$python" -c 'import hashlib,sys; h=hashlib.sha256()
with open(sys.argv[1],"rb") as f:
    for b in iter(lambda: f.read(1<<20), b""): h.update(b)
print(h.hexdigest())' "$wheel")
    [ "$found" = "$known" ] || { rm -f "$wheel"; stop "$(basename "$wheel") does not have the expected checksum; it was removed, run this again"; }
done

rm -rf "$target" "$target.new"
mkdir -p "$target.new/unpacked"
for wheel in "$wheels"/*.whl; do
    "$python" -m zipfile -e "$wheel" "$target.new/unpacked" || { rm -f "$wheel"; stop "$(basename "$wheel") is damaged; it was removed, run this again"; }
done
mkdir -p "$target.new/lib"
mv "$target.new/unpacked/torch/include" "$target.new/include"
if [ "$system" = Darwin-arm64 ] || [ -n "$full" ]; then
    mv "$target.new"/unpacked/torch/lib/* "$target.new/lib/"
    for folder in "$target.new"/unpacked/nvidia/*/lib; do
        [ -d "$folder" ] && mv "$folder"/*.so* "$target.new/lib/" 2>/dev/null
    done
else
    for name in libtorch_cpu.so libc10.so libgomp.so.1; do
        mv "$target.new/unpacked/torch/lib/$name" "$target.new/lib/"
    done
    for name in libcudart.so.13 libcupti.so.13; do
        mv "$target.new"/unpacked/nvidia/*/lib/$name "$target.new/lib/"
    done
    # The lean library has no CUDA half for libtorch.so to name.
    echo 'INPUT(libtorch_cpu.so)' > "$target.new/lib/libtorch.so"
fi
rm -rf "$target.new/unpacked" "$wheels"
echo "$version" > "$target.new/.version"
mv "$target.new" "$target"
say "libtorch $version is in $target"
