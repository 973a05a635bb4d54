# shellcheck shell=bash
# Sourced by matrix.sh: rows of this machine's own architecture and system.

# The driver that a command's device belongs to, for the table.
say_driver() # PROGRAM...
{
    "$@" devices | sed -n '1s/^[0-9]*: \(.*\)/driver: \1/p'
}

run_all() # ICD
{
    on_driver "$1" say_driver "$build/samples/adamra"
    on_driver "$1" "$build/tests/adamra_tests"
}

# The suites that touch all kernels and all ways through the engine.
run_central_suites() # ICD
{
    local suite
    on_driver "$1" say_driver "$build/samples/adamra"
    for suite in gpu_pieces gpu_record ops attention stream bigbird encoder model; do
        CK_RUN_SUITE=$suite on_driver "$1" "$build/tests/adamra_tests" || return 1
    done
}

row_lavapipe()
{
    run_all "$lavapipe"
}

# Mesa's cache of compiled code does not tell widths apart: each has a folder of its own.
row_vectors() # BITS
{
    [ "$1" -le 256 ] || grep -qw avx512f /proc/cpuinfo || return "$NOT_HERE"
    local -x LP_NATIVE_VECTOR_WIDTH=$1 MESA_SHADER_CACHE_DIR=$build/shader-cache-$1
    run_all "$lavapipe"
}

row_swiftshader()
{
    fetch_swiftshader || return "$NOT_HERE"
    run_all "$swiftshader"
}

row_limits() # PRESET
{
    ADAMRA_LIMITS=$1 run_central_suites "$lavapipe"
}

row_validated()
{
    ADAMRA_TEST_VALIDATE=1 run_all "$lavapipe"
}

# Runs the central suites with checks of the layer switched on. Errors fail; warnings are advice,
# and listed by kind and name with how often each was said.
run_advised() # CHECK[:CHECK...]
{
    local said=$logs/said.$$ warning='^validation: Validation ((Performance )?Warning)' rc
    ADAMRA_TEST_VALIDATE=1 ADAMRA_TEST_WARNINGS=1 VK_LAYER_ENABLES=$1 \
        run_central_suites "$lavapipe" >"$said" 2>&1
    rc=$?
    grep -vE "$warning" "$said"
    sed -nE "s/$warning: \[ ([^]]*) \].*/\1: \3/p" "$said" | sort | uniq -c
    rm "$said"
    return $rc
}

# The kernels for GPUs, hardly optimised: the layer guards every access, and of the CPUs' unrolled
# loads LLVM then makes code for a minute a kernel.
row_gpu_assisted()
{
    local -x ADAMRA_LIMITS=subgroup_shuffle=0 GALLIVM_PERF=nopt
    local -x MESA_SHADER_CACHE_DIR=$build/shader-cache-guarded
    run_advised VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT
}

# Of all GPUs' vendors too: what is run here is not what it is made for.
row_practices()
{
    local all=VK_VALIDATION_FEATURE_ENABLE_BEST_PRACTICES_EXT
    run_advised $all:VALIDATION_CHECK_ENABLE_VENDOR_SPECIFIC_ALL
}

row_sanitized()
{
    build_sanitized || return 1
    on_driver "$lavapipe" say_driver "$build/samples/adamra"
    run_sanitized
}

# The history is what lets a race be told of threads that ran one after the other.
row_threads()
{
    local folder=$PWD/build-tsan drivers=$lavapipe
    CC=clang configure "$folder" -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized &&
        meson compile -C "$folder" test_threads || return 1
    fetch_swiftshader && drivers+=:$swiftshader
    local -x TSAN_OPTIONS="history_size=7 suppressions=$PWD/tests/races.txt"
    on_driver "$lavapipe" say_driver "$build/samples/adamra"
    on_driver "$drivers" "$folder/tests/test_threads"
}

row_soak()
{
    on_driver "$lavapipe" say_driver "$build/samples/adamra"
    ADAMRA_TEST_SOAK=10000 CK_RUN_SUITE=soak on_driver "$lavapipe" "$build/tests/adamra_tests"
}

row_large()
{
    on_driver "$lavapipe" say_driver "$build/samples/adamra"
    on_driver "$lavapipe" bash tests/large.sh "$build"
}

row_radv()
{
    bash tests/amd.sh "$build/tests/amd_kernels"
}

# Whatever the loader finds that is not a CPU.
row_gpu()
{
    local program=$build/samples/adamra index
    index=$("$program" devices 2>/dev/null |
        sed -n 's/^\([0-9]*\): .*(\(discrete\|integrated\|virtual\), .*/\1/p' | head -n 1)
    [ -n "$index" ] || return "$NOT_HERE"
    local -x ADAMRA_DEVICE=$index
    "$program" devices | sed -n "s/^$index: \(.*\)/driver: \1/p"
    "$build/tests/adamra_tests" && "$program" selftest && "$program" bench
}
