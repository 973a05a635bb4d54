#!/usr/bin/env bash
# Builds libadamra.so for the app, one for each ABI, into native/. Then, in this folder:
#   gradle assembleDebug
# ANDROID_NDK: the NDK's folder (r28); JANSSON: jansson's unpacked source.
set -euo pipefail
cd "$(dirname "$0")"
: "${ANDROID_NDK:?is not set; expected the folder of the Android NDK}"
: "${JANSSON:?is not set; expected the folder of the source of jansson (2.10 or later)}"
tools=$ANDROID_NDK/toolchains/llvm/prebuilt/linux-x86_64/bin
export PATH=$tools:$PATH
native=$PWD/native

build() # ABI MACHINE
{
    local work=$native/work-$1 root=$native/root-$1
    cmake -S "$JANSSON" -B "$work/jansson" -DANDROID_ABI="$1" -DANDROID_PLATFORM=android-26 \
        -DCMAKE_TOOLCHAIN_FILE="$ANDROID_NDK/build/cmake/android.toolchain.cmake" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$root" -DJANSSON_BUILD_DOCS=OFF \
        -DJANSSON_WITHOUT_TESTS=ON -DJANSSON_EXAMPLES=OFF
    cmake --build "$work/jansson" --target install
    # Vulkan's headers and volk's are those of this machine: they are the same everywhere.
    mkdir -p "$root/include" "$root/lib/pkgconfig"
    local headers
    headers=$(pkg-config --variable=includedir vulkan)
    cp -r "$headers/vulkan" "$headers/vk_video" "$headers/volk.h" "$root/include/"
    printf 'Name: Vulkan\nDescription: headers\nVersion: %s\nCflags: -I%s\n' \
        "$(pkg-config --modversion vulkan)" "$root/include" >"$root/lib/pkgconfig/vulkan.pc"
    [ -f "$work/adamra/build.ninja" ] || PKG_CONFIG_LIBDIR=$root/lib/pkgconfig meson setup \
        --cross-file "../cross/$2-linux-android.ini" -Dsamples=false "$work/adamra" ../..
    meson compile -C "$work/adamra" adamra:shared_library
    mkdir -p "$native/$1"
    cp "$work/adamra/api/libadamra.so" "$native/$1/"
    llvm-strip --strip-unneeded "$native/$1/libadamra.so"
}

build arm64-v8a aarch64
build x86_64 x86_64
