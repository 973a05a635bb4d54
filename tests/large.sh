#!/usr/bin/env bash
# Attention on tensors that are larger than the memory that it may take, here 3 GiB in and 1 GiB out
# within 256 MiB: some rows are checked in double precision, and what a query takes is compared with
# a run that fits. Needs 5 GiB of disk.
# usage: large.sh BUILD [ROWS [BYTES]]
set -euo pipefail
build=$1
rows=${2:-4194304}
bytes=${3:-256M}
folder=$(mktemp -d "${TMPDIR:-/tmp}/adamra-large-XXXXXX")
trap 'rm -rf "$folder"' EXIT

# The median of its runs, in milliseconds: of the device, and of the whole call.
attend()
{
    "$build/samples/adamra" attend "$1" -o "$folder/out.safetensors" --rates 1,2,4,8 --verbose \
        "${@:2}" 2>"$folder/log" || { cat "$folder/log"; return 1; }
    grep -E '^(device|call)' "$folder/log" >&2
    sed -n 's/^call time *\([0-9.]*\) ms.*/\1/p' "$folder/log"
}

"$build/tests/large" write "$folder/in.safetensors" "$rows"
long=$(attend "$folder/in.safetensors" --max-device-memory "$bytes")
grep -q streamed "$folder/log" || { echo "large: it was not streamed"; exit 1; }
"$build/tests/large" check "$folder/in.safetensors" "$folder/out.safetensors"
"$build/tests/large" write "$folder/in.safetensors" 131072
short=$(attend "$folder/in.safetensors")
"$build/tests/large" check "$folder/in.safetensors" "$folder/out.safetensors"
awk -v long="$long" -v rows="$rows" -v short="$short" 'BEGIN {
    printf "%.1f ns a query in pieces, %.1f ns at 131,072 at once: %.2f times\n",
        long * 1e6 / rows, short * 1e6 / 131072, long / rows / (short / 131072) }'
