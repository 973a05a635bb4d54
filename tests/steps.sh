# shellcheck shell=bash
# Sourced by run.sh and matrix.sh, in the root of the sources: steps whose output and outcome are
# kept, software drivers, build folders.
build=$PWD/build-test
logs=$build/logs
mkdir -p "$logs"
# Of the tests' own: a user's cache stays as it is, and all steps share what was compiled once.
export MESA_SHADER_CACHE_DIR=$build/shader-cache XDG_CACHE_HOME=$build/cache
# Of a user's own, these would choose another device than the driver that a step names, or lower
# what it can do, or put layers between.
unset ADAMRA_DEVICE ADAMRA_LIMITS VK_INSTANCE_LAYERS VK_LOADER_LAYERS_ENABLE
# Software drivers take a device's memory from malloc, which is to keep what is freed: on a virtual
# machine page faults may take as long as all else. 32 MiB is the highest threshold there is.
export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=1073741824

NOT_HERE=77 # exit status of a step whose parts cannot be had

step_file() # NAME SUFFIX
{
    echo "$logs/${1//[^A-Za-z0-9]/_}.$2"
}

# Runs a command, then shows what it printed, under a heading and in one piece, so that steps may
# run beside each other. Keeps exit status, seconds and processor seconds.
step() # NAME COMMAND...
{
    local name=$1 start=$SECONDS rc TIMEFORMAT='%U %S' log result
    log=$(step_file "$name" log) result=$(step_file "$name" result)
    echo "-- $name: started"
    echo "running 0 0 $name" >"$result"
    { time "${@:2}" >"$log" 2>&1; } 2>"$result.time"
    rc=$?
    local cpu
    cpu=$(awk '{ printf "%.0f", $1 + $2 }' "$result.time")
    echo "$rc $((SECONDS - start)) $cpu $name" >"$result"
    {
        flock 9
        local outcome="FAILED with exit status $rc"
        [ "$rc" -eq 0 ] && outcome=passed
        [ "$rc" -eq "$NOT_HERE" ] && outcome="skipped, not here"
        echo
        echo "== $name"
        cat "$log"
        echo "-- $name: $outcome after $((SECONDS - start)) s ($cpu s of processor time)"
    } 9>"$logs/lock"
    [ "$rc" -eq 0 ]
}

# What failed and why, last, so that the end of a long log is enough to act on. Fails if anything
# has failed, or was started and has not ended.
report_failures()
{
    local result rc name log failed=0
    for result in "$logs"/*.result; do
        read -r rc _ _ name <"$result"
        case $rc in 0 | "$NOT_HERE") continue ;; esac
        failed=1
        log=${result%.result}.log
        echo "FAILED: $name"
        grep -E ':[FE]:|ERROR: |runtime error|FAILED|No space|Killed' "$log" | tail -n 20
        tail -n 5 "$log"
    done
    return $failed
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

find_lavapipe()
{
    local icds=(/usr/share/vulkan/icd.d/lvp_icd*.json)
    lavapipe=${icds[0]}
    [ -f "$lavapipe" ]
}

swiftshader=$build/swiftshader/usr/lib/chromium/vk_swiftshader_icd.json

# Chromium carries SwiftShader, another software driver; without the package it is left out.
fetch_swiftshader()
{
    local folder=$build/swiftshader
    [ -f "$swiftshader" ] && return
    mkdir -p "$folder"
    (cd "$folder" && { apt-get download chromium-common || { apt-get -qq update &&
        apt-get download chromium-common; }; } && dpkg -x chromium-common_*.deb . &&
        rm chromium-common_*.deb)
    [ -f "$swiftshader" ] || return "$NOT_HERE"
}

# The tests name lavapipe: another driver that is there does not do.
need_basic_packages()
{
    package_probes[mesa-vulkan-drivers]=find_lavapipe
    need_packages gcc libc6-dev meson ninja-build pkg-config libvulkan-dev libvulkan-volk-dev \
        glslang-tools libjansson-dev mesa-vulkan-drivers check clang vulkan-validationlayers
}

# Steps beside each other may ask for it: one builds, the other one waits.
build_sanitized()
{
    {
        flock 7
        CC=clang configure "$PWD/build-asan" -Db_sanitize=address,undefined -Db_lundef=false \
            --buildtype=debugoptimized && meson compile -C "$PWD/build-asan" adamra_tests
    } 7>"$logs/sanitized.lock"
}

run_sanitized()
{
    local library keep_pages=allocator_release_to_os_interval_ms=-1
    # The tests also ask for more memory than there is, which malloc answers with NULL.
    # A driver that is unloaded at the end cannot be named in a report and so not be told from the
    # engine: it is kept loaded. Its buffers too are held back when they are freed, so that new ones
    # take new pages: 32 MiB, not a quarter of a GiB. Pages are not given back, as page faults may
    # take a third of the time.
    library=$(sed -n 's/.*"library_path": *"\(.*\)".*/\1/p' "$lavapipe")
    LD_PRELOAD=$library ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=32:$keep_pages \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        LSAN_OPTIONS=suppressions=$PWD/tests/leaks.txt:print_suppressions=0 \
        on_driver "$lavapipe" "$PWD/build-asan/tests/adamra_tests"
}
