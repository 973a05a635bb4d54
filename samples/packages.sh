# shellcheck shell=bash
# Sourced by scripts: installs what they need.

# Debian package and how to see that what it brings is there, however it was installed.
declare -A package_probes=(
    [gcc]='command -v cc'
    [libc6-dev]='echo "#include <stdio.h>" | cc -E -'
    [meson]='command -v meson'
    [ninja-build]='command -v ninja'
    [pkg-config]='command -v pkg-config'
    [libvulkan-dev]='echo "#include <vulkan/vulkan.h>" | cc -E -'
    [libvulkan-volk-dev]='echo "#include <volk.c>" | cc -E -'
    [glslang-tools]='command -v glslangValidator'
    [libjansson-dev]='pkg-config --exists jansson'
    [mesa-vulkan-drivers]='compgen -G "/etc/vulkan/icd.d/*.json" ||
                           compgen -G "/usr/share/vulkan/icd.d/*.json"'
    [check]='pkg-config --exists check'
    [clang]='command -v clang && command -v clang++'
    [gcc-aarch64-linux-gnu]='command -v aarch64-linux-gnu-gcc'
    [qemu-user]='command -v qemu-aarch64'
    [gcc-mingw-w64-x86-64]='command -v x86_64-w64-mingw32-gcc'
    [wine64]='command -v wine64 || [ -x /usr/lib/wine/wine64 ]'
    [xvfb]='command -v Xvfb'
    [cmake]='command -v cmake'
    [vulkan-validationlayers]='compgen -G "/usr/share/vulkan/explicit_layer.d/*validation*.json"'
)

# need_packages PACKAGE...: installs those that are missing with apt-get; where there is no
# apt-get, names them and fails.
need_packages()
{
    local package missing=() as_root=()
    for package in "$@"; do
        eval "${package_probes[$package]}" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "missing (names of Debian's packages): ${missing[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    if ! "${as_root[@]}" install -y "${missing[@]}" 2>/dev/null; then
        # The lists of a fresh machine are empty or old.
        "${as_root[@]}" update
        "${as_root[@]}" install -y "${missing[@]}"
    fi
}
