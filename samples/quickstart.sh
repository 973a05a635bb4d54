#!/usr/bin/env bash
# Builds adamra and classifies the languages of some texts with it. Can be run again and again.
set -euo pipefail
cd "$(dirname "$0")/.."
source samples/packages.sh

need_packages gcc libc6-dev meson ninja-build pkg-config libvulkan-dev libvulkan-volk-dev \
    glslang-tools libjansson-dev mesa-vulkan-drivers

[ -f build/build.ninja ] || meson setup --buildtype=release build
meson compile -C build
adamra=build/samples/adamra

echo
echo "Vulkan devices"
"$adamra" devices

echo
echo "The language of texts, by the model samples/models/langid"
results=$("$adamra" classify samples/models/langid samples/texts/*.txt README.md)
format='%-28s %-9s %s\n'
# shellcheck disable=SC2059 # the format is the line above
printf "$format" text language probability
while IFS=$'\t' read -r text language probability; do
    # shellcheck disable=SC2059
    printf "$format" "$text" "$language" "$probability"
done <<<"$results"
