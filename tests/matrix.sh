#!/usr/bin/env bash
# Runs the tests on every driver, system and set of limits that can be had here, row after row, and
# prints a table. What a row needs is installed (native tools) or unpacked into build-matrix
# (everything foreign); what cannot be had makes a row 'not here'. Fails if a row has failed.
# usage: matrix.sh [ROW...], default: all but `gpu` where there is none
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source samples/packages.sh
source tests/steps.sh
logs=$PWD/build-matrix/logs
mkdir -p "$logs"
source tests/matrix/foreign.sh
source tests/matrix/rows.sh
source tests/matrix/systems.sh

# row, driver or system, what is run there, function and its arguments
rows=(
    "lavapipe|lavapipe x86-64|all suites|row_lavapipe"
    "vectors-128|lavapipe, subgroups of 4|all suites|row_vectors 128"
    "vectors-512|lavapipe, subgroups of 16|all suites|row_vectors 512"
    "swiftshader|SwiftShader x86-64|all suites|row_swiftshader"
    "minimum|lavapipe, limits of Vulkan, Android|kernels, attention, models|row_limits \
vulkan-minimum"
    "validation|Khronos layer: core, synchronization|all suites|row_validated"
    "gpu-assisted|Khronos layer: GPU-assisted|kernels for GPUs, models|row_gpu_assisted"
    "practices|Khronos layer: best practices|kernels, attention, models|row_practices"
    "sanitizers|lavapipe: ASan, UBSan|all suites|row_sanitized"
    "threads|lavapipe, SwiftShader: TSan|contexts in threads|row_threads"
    "soak|lavapipe x86-64|10,000 attentions|row_soak"
    "large|lavapipe, 4 GiB of tensors|attend within 256 MiB|row_large"
    "radv|RADV, compiled only|every kernel, four GPUs|row_radv"
    "arm64|lavapipe arm64 (QEMU)|kernels, selftest, classify|row_arm64"
    "windows|lavapipe, Windows x86-64 (Wine)|selftest, attend, classify|row_windows"
    "gpu|a GPU of this machine|all suites, selftest, bench|row_gpu"
)

# A row says which driver it has used by a line "driver: ...".
print_table()
{
    local row name driver how result rc seconds outcome version
    local format='%-36s  %-28s  %-9s  %7s  %s\n'
    # shellcheck disable=SC2059 # the format is the line above
    printf "$format" driver how result seconds version
    for row in "${rows[@]}"; do
        IFS='|' read -r name driver how _ <<<"$row"
        result=$(step_file "$name" result)
        [ -f "$result" ] || continue
        read -r rc seconds _ <"$result"
        outcome=FAILED
        [ "$rc" = 0 ] && outcome=passed
        [ "$rc" = "$NOT_HERE" ] && outcome="not here"
        version=$(sed -n 's/^driver: //p' "$(step_file "$name" log)" | head -n 1)
        # shellcheck disable=SC2059
        printf "$format" "$driver" "$how" "$outcome" "$seconds" "$version"
    done
}

rm -f "$logs"/*.result
step packages need_basic_packages || exit 1
find_lavapipe || { echo "there is no lavapipe (mesa-vulkan-drivers)"; exit 1; }
step build build_tests || exit 1
for row in "${rows[@]}"; do
    IFS='|' read -r name _ _ command <<<"$row"
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    # shellcheck disable=SC2086 # a function and its arguments
    step "$name" $command
done

echo
report_failures
failed=$?
print_table | tee "$logs/table"
exit $failed
