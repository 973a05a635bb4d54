#!/usr/bin/env bash
# Builds and runs all tests: style, suites on two drivers and under validation, sanitizers, fuzz
# targets, an installed copy. Installs what is missing of what that needs. Needs no GPU. Ends with
# Check's summary of the suites on lavapipe; fails if anything has failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
source samples/packages.sh
build=$PWD/build-test
logs=$build/logs
failures=()
reasons=()
mkdir -p "$logs"

# Runs a command under a heading, keeps what it prints, and notes its failure.
step() # NAME COMMAND...
{
    echo
    echo "== $1"
    local start=$SECONDS log=$logs/${1//[^A-Za-z0-9]/_}.log
    if "${@:2}" > >(tee "$log") 2>&1; then
        echo "-- $1: passed in $((SECONDS - start)) s"
    else
        echo "-- $1: FAILED after $((SECONDS - start)) s"
        failures+=("$1")
        reasons+=("$log")
        return 1
    fi
}

# What failed and why, last, so that the end of a long log is enough to act on.
report_failures()
{
    local i
    for i in "${!failures[@]}"; do
        echo "FAILED: ${failures[i]}"
        grep -E ':[FE]:|ERROR: |runtime error|FAILED|No space|Killed' "${reasons[i]}" | tail -n 20
        tail -n 5 "${reasons[i]}"
    done
}

on_driver() # ICD COMMAND...: runs a command on one Vulkan driver and no other
{
    VK_DRIVER_FILES=$1 VK_ICD_FILENAMES=$1 "${@:2}"
}

configure() # FOLDER OPTION...
{
    [ -f "$1/build.ninja" ] || meson setup "$1" -Dtests=true "${@:2}"
}

build_tests()
{
    configure "$build" -Dwerror=true --buildtype=debugoptimized && meson compile -C "$build"
}

# Chromium carries SwiftShader, another software driver; without the package it is left out.
fetch_swiftshader()
{
    local folder=$build/swiftshader
    swiftshader=$folder/usr/lib/chromium/vk_swiftshader_icd.json
    [ -f "$swiftshader" ] && return
    mkdir -p "$folder"
    (cd "$folder" && { apt-get download chromium-common || { apt-get -qq update &&
        apt-get download chromium-common; }; } && dpkg -x chromium-common_*.deb . &&
        rm chromium-common_*.deb) >/dev/null 2>&1
    [ -f "$swiftshader" ]
}

run_suites() # ICD
{
    on_driver "$1" "$build/tests/adamra_tests"
}

run_validated()
{
    ADAMRA_TEST_VALIDATE=1 run_suites "$lavapipe"
}

run_sanitized()
{
    local folder=$PWD/build-asan library
    CC=clang configure "$folder" -Db_sanitize=address,undefined -Db_lundef=false \
        --buildtype=debugoptimized && meson compile -C "$folder" || return 1
    # The tests also ask for more memory than there is, which malloc answers with NULL.
    # A driver that is unloaded at the end cannot be named in a report and so not be told from the
    # engine: it is kept loaded.
    library=$(sed -n 's/.*"library_path": *"\(.*\)".*/\1/p' "$lavapipe")
    LD_PRELOAD=$library ASAN_OPTIONS=allocator_may_return_null=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        LSAN_OPTIONS=suppressions=$PWD/tests/leaks.txt:print_suppressions=0 \
        on_driver "$lavapipe" "$folder/tests/adamra_tests"
}

run_fuzz_targets()
{
    local folder=$PWD/build-fuzz target
    CC=clang configure "$folder" -Dfuzz=true -Db_lundef=false --buildtype=debugoptimized || return 1
    for target in safetensors config; do
        meson compile -C "$folder" "fuzz_$target" || return 1
        # New inputs go to the build folder, the first one; the corpus is only read.
        mkdir -p "$folder/corpus_$target"
        "$folder/tests/fuzz/fuzz_$target" -runs=20000 -seed=1 -max_len=4096 -verbosity=0 \
            -artifact_prefix="$folder/" "$folder/corpus_$target" "tests/fuzz/corpus_$target" ||
            return 1
    done
}

# A program outside of the tree, built with what pkg-config says of an installed copy.
use_installed()
{
    local root=$build/installed prefix pc
    meson install -C "$build" --destdir "$root" --quiet || return 1
    pc=$(find "$root" -name adamra.pc) && prefix=$(sed -n 's/^prefix=//p' "$pc")
    local -x PKG_CONFIG_PATH=${pc%/*}
    # shellcheck disable=SC2046 # flags are words
    cc $(pkg-config --define-variable=prefix="$root$prefix" --cflags adamra) \
        samples/hello_attention.c -o "$build/hello_installed" \
        $(pkg-config --define-variable=prefix="$root$prefix" --libs adamra) -lm &&
        LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'libadamra.so.0')") \
            on_driver "$lavapipe" "$build/hello_installed" &&
        [ -f "$root$prefix/share/man/man1/adamra.1" ]
}

find_lavapipe()
{
    local icds=(/usr/share/vulkan/icd.d/lvp_icd*.json)
    lavapipe=${icds[0]}
    [ -f "$lavapipe" ]
}

step packages need_packages gcc libc6-dev meson ninja-build pkg-config libvulkan-dev \
    libvulkan-volk-dev glslang-tools libjansson-dev mesa-vulkan-drivers check clang \
    vulkan-validationlayers || exit 1
step lavapipe find_lavapipe || exit 1
step build build_tests || exit 1
step style bash tests/style.sh
step "suites on lavapipe" run_suites "$lavapipe"
if fetch_swiftshader; then
    step "suites on SwiftShader" run_suites "$swiftshader"
else
    echo "suites on SwiftShader: skipped, Debian's package chromium-common cannot be had"
fi
step "suites under the validation layer" run_validated
step "suites under ASan and UBSan" run_sanitized
step "kernels for AMD, compiled only" bash tests/amd.sh "$build/tests/amd_kernels"
step "a benchmark's page in a browser" on_driver "$lavapipe" bash tests/html.sh \
    "$build/samples/adamra"
step "fuzz targets" run_fuzz_targets
step "installed copy" use_installed

echo
report_failures
grep 'Checks:' "$logs/suites_on_lavapipe.log" | tail -n 1
[ ${#failures[@]} -eq 0 ]
