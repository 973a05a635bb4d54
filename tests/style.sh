#!/usr/bin/env bash
# Keeps the limits that hold for the sources. Prints every violation, fails if there is one.
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1
violations=0

# Reads violations, a line each.
report()
{
    local line
    while IFS= read -r line; do
        echo "style: $line"
        violations=$((violations + 1))
    done
}

sources()
{
    local pattern=()
    for suffix in "$@"; do
        pattern+=(-o -name "*.$suffix")
    done
    find api engine samples shaders tests \( "${pattern[@]:1}" \) -type f | sort
}

limit_lines() # LIMIT, file names on standard input
{
    xargs wc -l | awk -v limit="$1" \
        '$2 != "total" && $1 > limit { print $2 ": " $1 " lines, at most " limit }'
}

limit_functions() # a function body runs from a line "{" to a line "}"
{
    sources c | xargs awk -v limit=60 '
        /^{/ { start = FNR }
        /^}/ { if (start && FNR - start - 1 > limit)
                   print FILENAME ":" start ": function of over " limit " lines"
               start = 0 }'
}

limit_columns()
{
    { sources c h comp glsl sh; find . -name meson.build -not -path './build*'; } |
        xargs grep -nE '^.{101}' | cut -c 1-60 | sed 's/$/...: over 100 columns/'
}

limit_modules() # of the library; those of tests alone are no part of it
{
    local count
    count=$(sed '/^coop_check_rows/,/^]/d' shaders/meson.build |
        grep -cE "^ *\['[a-z0-9_]+', '[a-z0-9_]+\.comp'")
    [ "$count" -ge 1 ] || echo "shaders/meson.build: no rows found"
    [ "$count" -le 40 ] || echo "shaders/meson.build: $count SPIR-V modules, at most 40"
}

# No include of a higher layer: the layers in order, lowest first.
check_layers()
{
    local layers=(engine/base engine/gpu engine/ops engine/attn engine/model api samples)
    local rank higher name
    for rank in "${!layers[@]}"; do
        for higher in "${layers[@]:$((rank + 1))}"; do
            for name in "$higher"/*.h; do
                # as "gpu/gpu.h"; those of api and samples by their plain name
                name=${name#engine/} name=${name#api/} name=${name#samples/}
                grep -nE "#include [\"<]${name}[\">]" "${layers[$rank]}"/*.[ch] |
                    sed "s#\$#: ${layers[$rank]} is below $higher#"
            done
        done
    done
}

# A declaration follows its comment; destroy may follow create, read write, and create its type.
check_documentation()
{
    awk '
        /^ADAMRA_API/ {
            match($0, /adamra_[a-z0-9_]+\(/)
            name = substr($0, RSTART, RLENGTH - 1)
            paired = (name ~ /_destroy$/ && last ~ /_create\(|_load\(/) ||
                     (name ~ /_read$/ && last ~ /_write\(/) ||
                     (name ~ /_create$/ && last ~ /^typedef struct/)
            if (!comment && !paired)
                print FILENAME ":" FNR ": " name " is not documented"
        }
        /^(ADAMRA_API|typedef)/ { last = $0 }
        NF { comment = /\*\/$/ }' api/adamra.h api/adamra_vulkan.h api/adamra_tune.h
}

check_header_alone()
{
    local cc
    read -ra cc <<<"${CC:-cc}" # may be two words, as "ccache gcc"
    local cxx=${CXX:-} header
    [ -n "$cxx" ] || cxx=$(command -v c++ || command -v clang++)
    for header in adamra adamra_vulkan adamra_tune; do
        echo "#include \"$header.h\"" |
            "${cc[@]}" -x c -std=c11 -Wall -Wextra -pedantic -Werror -fsyntax-only -Iapi - 2>&1
        echo "#include \"$header.h\"" | "${cxx:-c++}" -x c++ -std=c++11 -Wall -Wextra -pedantic \
            -Werror -fsyntax-only -Iapi - 2>&1
    done
}

check_environment()
{
    local name
    for name in $(sources c | xargs grep -ohE 'getenv\("[A-Za-z0-9_]+' | cut -d '"' -f 2 | sort -u)
    do
        grep -q "$name" README.md || echo "README.md: environment variable $name is not named"
    done
}

check_library_is_quiet()
{
    grep -nwE '(abort|exit|_Exit|printf|fprintf|puts|putchar|perror) ?\(' api/*.c engine/*/*.c |
        sed 's/$/: the library does not end the program and does not print/'
}

check_top_level()
{
    local allowed=" api engine shaders samples tests meson.build meson_options.txt README.md \
CONTRIBUTING.md LICENSE CHANGELOG.md .clang-format .editorconfig .gitignore .ci .git "
    local entry
    for entry in .[!.]* *; do
        case "$allowed" in *" $entry "*) continue ;; esac
        git check-ignore -q "$entry" 2>/dev/null || [[ $entry == build* ]] ||
            echo "$entry: not one of the entries of the top level"
    done
    [ "$(find .ci -type f | tr '\n' ' ')" = ".ci/run " ] || echo ".ci: holds more than run"
}

report < <(sources c h | limit_lines 400)
report < <(sources comp glsl | limit_lines 150)
report < <(echo meson.build | limit_lines 100)
report < <(limit_functions)
report < <(limit_columns)
report < <(limit_modules)
report < <(check_layers)
report < <(check_documentation)
report < <(check_header_alone)
report < <(check_environment)
report < <(check_library_is_quiet)
report < <(check_top_level)

echo "style: $violations violations"
[ "$violations" -eq 0 ]
