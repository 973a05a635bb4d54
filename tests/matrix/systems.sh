# shellcheck shell=bash
# Sourced by matrix.sh: rows of other architectures and systems, cross-compiled here.

native_program=$build/samples/adamra

# The flags of `attend` that a golden file names in its metadata.
golden_flags() # FILE
{
    head -c 4096 "$1" |
        grep -aoE '"(rates|routing|pooling|feature-map|eps)": *"[^"]*"' |
        sed -E 's/"([a-z-]*)": *"(.*)"/--\1 \2/'
}

# The languages of all texts, by a program and by the native one: the same, to the letter.
compare_classify() # PROGRAM...
{
    local texts=(samples/texts/*.txt)
    diff <("$@" classify --quiet samples/models/langid "${texts[@]}" | tr -d '\r') \
        <(on_driver "$lavapipe" "$native_program" classify --quiet samples/models/langid \
            "${texts[@]}") && echo "classify: ${#texts[@]} texts as on the native build"
}

# ---- arm64 Linux: the kernels that LLVM makes for NEON, under QEMU ----

build_arm64()
{
    local root=$foreign/arm64/tree folder=$foreign/build-arm64
    local lib=$root/usr/lib/aarch64-linux-gnu
    local -x PKG_CONFIG_LIBDIR=$lib/pkgconfig:$root/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
    configure "$folder" --cross-file samples/cross/aarch64-linux-gnu.ini --buildtype=release \
        -Dwerror=true -Dc_args="--sysroot=$root" -Dc_link_args="--sysroot=$root" &&
        meson compile -C "$folder" samples/adamra:executable test_ops
}

row_arm64()
{
    need_packages gcc-aarch64-linux-gnu qemu-user &&
        fetch_packages "$foreign/arm64" arm64 libc6-dev libvulkan1 libvulkan-dev \
            libvulkan-volk-dev mesa-vulkan-drivers libjansson-dev check || return "$NOT_HERE"
    build_arm64 || return 1
    local root=$foreign/arm64/tree program=$foreign/build-arm64/samples/adamra
    local icd=$root/usr/share/vulkan/icd.d/lvp_icd.aarch64.json
    local -x MESA_SHADER_CACHE_DIR=$foreign/shader-cache-arm64
    local emulated=(on_driver "$icd" qemu-aarch64 -L "$root")
    say_driver "${emulated[@]}" "$program"
    "${emulated[@]}" "$foreign/build-arm64/tests/test_ops" &&
        "${emulated[@]}" "$program" selftest && compare_classify "${emulated[@]}" "$program"
}

# ---- Windows, by MinGW-w64 and Wine, whose Vulkan passes on to the driver of this machine ----

# jansson for Windows, and the headers of Vulkan, which are the same everywhere.
prepare_windows()
{
    local folder=$foreign/windows root=$foreign/windows/tree
    [ -f "$folder/complete" ] && return
    fetch_source "$folder" jansson || return 1
    cmake -S "$folder/jansson" -B "$folder/jansson-build" -DCMAKE_SYSTEM_NAME=Windows \
        -DCMAKE_C_COMPILER=x86_64-w64-mingw32-gcc -DCMAKE_RC_COMPILER=x86_64-w64-mingw32-windres \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$root" -DJANSSON_BUILD_DOCS=OFF \
        -DJANSSON_WITHOUT_TESTS=ON -DJANSSON_EXAMPLES=OFF &&
        cmake --build "$folder/jansson-build" --target install || return 1
    local headers version
    headers=$(pkg-config --variable=includedir vulkan)
    version=$(pkg-config --modversion vulkan)
    cp -r "$headers/vulkan" "$headers/vk_video" "$headers/volk.h" "$root/include/"
    printf 'Name: Vulkan\nDescription: headers\nVersion: %s\nCflags: -I%s\n' "$version" \
        "$root/include" >"$root/lib/pkgconfig/vulkan.pc" && touch "$folder/complete"
}

build_windows()
{
    local -x PKG_CONFIG_LIBDIR=$foreign/windows/tree/lib/pkgconfig
    [ -f "$foreign/build-windows/build.ninja" ] ||
        meson setup "$foreign/build-windows" --cross-file samples/cross/x86_64-w64-mingw32.ini \
            --buildtype=release -Dwerror=true || return 1
    meson compile -C "$foreign/build-windows"
}

on_wine() # PROGRAM ARGUMENT...
{
    WINEPREFIX=$foreign/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" \
        WINEPATH=$foreign/build-windows/api on_driver "$lavapipe" "$wine" "$@" 2>/dev/null
}

# Every golden case through `attend`: the file that it writes is the native build's, to the bit.
compare_attend() # PROGRAM...
{
    local file flags count=0 out=$foreign/attend
    for file in tests/golden/*.safetensors; do
        flags=$(golden_flags "$file")
        [ -n "$flags" ] || continue # cases of models
        local native=(on_driver "$lavapipe" "$native_program")
        # shellcheck disable=SC2086 # flags are words
        "$@" attend --quiet "$file" -o "$out-foreign" $flags &&
            "${native[@]}" attend --quiet "$file" -o "$out-native" $flags &&
            cmp "$out-foreign" "$out-native" || { echo "$file: differs"; return 1; }
        count=$((count + 1))
    done
    [ "$count" -gt 0 ] && echo "attend: $count golden cases as on the native build, to the bit"
}

# Only what the header declares.
check_exports() # LIBRARY
{
    local found
    found=$(x86_64-w64-mingw32-objdump -p "$1" |
        sed -n '/Ordinal\/Name/,/^$/ s/^\t*\[ *[0-9]*\] *//p' | grep -v '^adamra_')
    [ -z "$found" ] || { echo "$1 exports $found"; return 1; }
}

# Wine's Vulkan wants a display: one that nobody sees.
with_display() # COMMAND...
{
    local number rc
    coproc display { exec Xvfb -displayfd 1 -screen 0 640x480x24 -nolisten tcp 2>/dev/null; }
    read -r number <&"${display[0]}" || return 1
    DISPLAY=:$number "$@"
    rc=$?
    # shellcheck disable=SC2154 # coproc sets it
    kill "$display_PID"
    return $rc
}

run_windows()
{
    local program=$foreign/build-windows/samples/adamra.exe
    say_driver on_wine "$program"
    check_exports "$foreign/build-windows/api/libadamra-0.1.dll" &&
        on_wine "$foreign/build-windows/samples/hello_attention.exe" &&
        on_wine "$program" selftest && compare_attend on_wine "$program" &&
        compare_classify on_wine "$program"
}

row_windows()
{
    need_packages gcc-mingw-w64-x86-64 wine64 xvfb cmake || return "$NOT_HERE"
    wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
    prepare_windows || return "$NOT_HERE"
    build_windows || return 1
    with_display run_windows
}
