#!/bin/sh
# After an installation: makes one object of all those in libadamra.a and the engine's own names
# (gpu_buffer_create, fail) local to it, so that a program may have functions of the same names.
#   hide_names.sh LIBRARY OBJCOPY AR COMPILER...    LIBRARY: below the prefix
set -eu
library=$MESON_INSTALL_DESTDIR_PREFIX/$1 objcopy=$2 ar=$3
shift 3
[ -f "$library" ] || exit 0 # the shared one alone is installed
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$@" -r -nostdlib -Wl,--whole-archive "$library" -Wl,--no-whole-archive -o "$folder/adamra.o"
if ! "$objcopy" --localize-hidden "$folder/adamra.o"; then # as where a cross file names none
    echo "$library keeps all names: $objcopy cannot change objects of this kind" >&2
    exit 0
fi
"$ar" rcs "$folder/libadamra.a" "$folder/adamra.o"
cat "$folder/libadamra.a" >"$library" # which keeps its mode
