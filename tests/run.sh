#!/usr/bin/env bash
# Builds and runs all tests: style, suites on two drivers, on one under validation, sanitizers, fuzz
# targets, an installed copy. Installs what is missing of what that needs. Needs no GPU. Ends with
# the sum of all of Check's summaries; fails if anything has failed.
#   run.sh --matrix [ROW...]   all drivers, systems and limits that can be had here: matrix.sh
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
if [ "${1:-}" = --matrix ]; then
    exec bash tests/matrix.sh "${@:2}"
fi
source samples/packages.sh
source tests/steps.sh

run_suites() # ICD
{
    on_driver "$1" "$build/tests/adamra_tests"
}

# Thousands of failures in turn (tag long) are run once, where that is fast; the matrix runs them
# everywhere, and all suites on lavapipe without the layer.
run_long()
{
    CK_INCLUDE_TAGS=long run_suites "$lavapipe"
}

# Nothing compiled is kept there: each context that the tests make compiles its kernels again. So
# what the host does whatever the driver (tag host) is left to lavapipe; the matrix runs all there.
run_swiftshader()
{
    fetch_swiftshader || return
    CK_EXCLUDE_TAGS="long program host" run_suites "$swiftshader"
}

# The layer sees nothing of a program that is started; that is run under sanitizers.
run_validated()
{
    CK_EXCLUDE_TAGS="long program" ADAMRA_TEST_VALIDATE=1 run_suites "$lavapipe"
}

# In two parts, beside each other.
run_sanitized_library() # PART/PARTS
{
    build_sanitized && ADAMRA_TEST_PART=$1 CK_EXCLUDE_TAGS="long program kernels" run_sanitized
}

run_sanitized_program()
{
    build_sanitized && CK_INCLUDE_TAGS=program run_sanitized
}

run_fuzz_targets()
{
    local folder=$PWD/build-fuzz source target
    CC=clang configure "$folder" -Dfuzz=true -Db_lundef=false --buildtype=debugoptimized || return 1
    for source in tests/fuzz/fuzz_*.c; do
        target=${source##*fuzz_} target=${target%.c}
        meson compile -C "$folder" "fuzz_$target" || return 1
        # New inputs go to the build folder, the first one; the corpus is only read.
        mkdir -p "$folder/corpus_$target"
        "$folder/tests/fuzz/fuzz_$target" -runs="${ADAMRA_TEST_FUZZ:-20000}" -seed=1 \
            -max_len=4096 -verbosity=0 -artifact_prefix="$folder/" "$folder/corpus_$target" \
            "tests/fuzz/corpus_$target" || return 1
    done
}

# Only where PyTorch is installed: it is large, and nothing else needs it.
compare_with_pytorch()
{
    /usr/bin/python3 -c 'import torch, numpy' 2>/dev/null || return "$NOT_HERE"
    on_driver "$lavapipe" /usr/bin/python3 samples/pytorch/compare.py --passes core,layer --n 300 \
        --d 16 --d-model 32 --rounds 1 --build "$build"
}

compile_for_amd()
{
    bash tests/amd.sh "$build/tests/amd_kernels"
}

show_page()
{
    on_driver "$lavapipe" bash tests/html.sh "$build/samples/adamra"
}

# A library that keeps none: what is left are two words of the compiler's.
has_no_global_state()
{
    size -A "$build/api/libadamra.so" |
        awk '$1 ~ /^\.(data|bss|tdata|tbss)$/ { n += $2; print } END { exit n > 16 }'
}

# A program that has functions of its own of names that the engine uses, with the static library.
use_static() # ROOT PREFIX
{
    local archive
    archive=$(find "$1" -name libadamra.a) || return 1
    if nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | grep -v '^adamra_'; then
        echo "libadamra.a has global names that do not begin with adamra_"
        return 1
    fi
    echo 'int fail, log_line, gpu_buffer_create, file_load;' >"$build/own_names.c"
    # shellcheck disable=SC2046 # flags are words
    cc $(pkg-config --define-variable=prefix="$1$2" --cflags adamra) samples/hello_attention.c \
        "$build/own_names.c" -o "$build/hello_attention_static" -Wl,-Bstatic \
        $(pkg-config --define-variable=prefix="$1$2" --libs adamra) -Wl,-Bdynamic \
        $(pkg-config --libs jansson) -lm -ldl -pthread &&
        on_driver "$lavapipe" "$build/hello_attention_static"
}

# Programs outside of the tree, built with what pkg-config says of an installed copy.
use_installed()
{
    local root=$build/installed prefix pc sample
    meson install -C "$build" --destdir "$root" --quiet || return 1
    pc=$(find "$root" -name adamra.pc) && prefix=$(sed -n 's/^prefix=//p' "$pc")
    local -x PKG_CONFIG_PATH=${pc%/*}
    for sample in hello_attention embed_vulkan; do # the second one includes its built shader
        # shellcheck disable=SC2046 # flags are words
        cc $(pkg-config --define-variable=prefix="$root$prefix" --cflags adamra) \
            -I"$build/samples" "samples/$sample.c" -o "$build/${sample}_installed" \
            $(pkg-config --define-variable=prefix="$root$prefix" --libs adamra) -lvulkan -lm &&
            LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'libadamra.so.0.1')") \
                on_driver "$lavapipe" "$build/${sample}_installed" || return 1
    done
    use_static "$root" "$prefix" && [ -f "$root$prefix/share/man/man1/adamra.1" ]
}

# In the order in which they are started, by two lanes: the one that is free takes the next. Much of
# the time a driver compiles kernels, on one processor. What the suites under sanitizers run is
# compiled by then.
steps=(
    "style|bash tests/style.sh"
    "suites on lavapipe under the validation layer|run_validated"
    "suites on SwiftShader|run_swiftshader"
    "build with sanitizers|build_sanitized"
    "program under ASan and UBSan|run_sanitized_program"
    "half of the suites under ASan and UBSan|run_sanitized_library 1/2"
    "the other half|run_sanitized_library 2/2"
    "fuzz targets|run_fuzz_targets"
    "failures in turn on lavapipe|run_long"
    "comparison with PyTorch|compare_with_pytorch"
    "kernels for AMD, compiled only|compile_for_amd"
    "a benchmark's page in a browser|show_page"
    "installed copy|use_installed"
    "no global state|has_no_global_state"
)

# The number of the next step.
take_step()
{
    local next=0
    {
        flock 8
        [ ! -f "$logs/next" ] || read -r next <"$logs/next"
        echo $((next + 1)) >"$logs/next"
    } 8>"$logs/next.lock"
    echo "$next"
}

run_lane()
{
    local next name command
    while next=$(take_step) && [ "$next" -lt ${#steps[@]} ]; do
        IFS='|' read -r name command <<<"${steps[$next]}"
        # shellcheck disable=SC2086 # a command and its arguments
        step "$name" $command
    done
}

# What Check has counted in all steps, as one more line of its own.
sum_checks()
{
    sed -nE 's/^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$/\1 \2 \3/p' \
        "$logs"/*.log | awk '
        { checks += $1; wrong += $2 + $3; failures += $2; errors += $3 }
        END { printf "%d%%: Checks: %d, Failures: %d, Errors: %d\n",
                  checks ? 100 * (checks - wrong) / checks : 0, checks, failures, errors }'
}

rm -f "$logs"/*.result "$logs"/*.log "$logs/next"
step packages need_basic_packages || exit 1
find_lavapipe || { echo "there is no lavapipe (mesa-vulkan-drivers)"; exit 1; }
step build build_tests || exit 1
run_lane &
run_lane
wait

echo
report_failures
failed=$?
sum_checks
exit $failed
