#!/usr/bin/env bash
# What AMD's compiler makes of every kernel, without an AMD GPU: RADV compiles for a null device and
# reports registers, spills and estimated cycles. Prints a row a kernel, the worst of its variants
# (options of the op) in each column; fails on any spill or scratch.
# usage: amd.sh PROGRAM [FAMILY...], PROGRAM built from tests/amd.c
set -uo pipefail
program=$1
shift
families=("$@")
[ ${#families[@]} -gt 0 ] || families=(polaris10 vega10 navi21 gfx1100)
icds=(/usr/share/vulkan/icd.d/radeon_icd*.json)
if [ ! -f "${icds[0]}" ]; then
    echo "AMD: RADV (mesa-vulkan-drivers) is not installed"
    exit 77
fi
export VK_DRIVER_FILES=${icds[0]} VK_ICD_FILENAMES=${icds[0]} RADV_DEBUG=shaderstats,nocache
echo "driver: RADV, $(dpkg-query -Wf 'Mesa ${Version}' mesa-vulkan-drivers 2>/dev/null)"

format='%-10s %-9s %-16s %-4s %8s %6s %6s %7s %6s %8s %8s %8s %11s\n'
# shellcheck disable=SC2059 # the format is the line above
printf "$format" family op candidate type variants sgprs vgprs lds waves spills scratch latency \
    throughput
status=0
for family in "${families[@]}"; do
    RADV_FORCE_FAMILY=$family "$program" 2>&1 | awk -v family="$family" -v format="$format" '
        function finish() { # the figures of one variant, complete
            if (key == "") return
            spills = v["Spilled SGPRs"] + v["Spilled VGPRs"]
            if (!("VGPRs" in v) || spills + v["Scratch size"] > 0) bad = 1
            if (!(key in variants)) order[++kernels] = key
            variants[key]++
            v["spills"] = spills
            for (name in v)
                if (variants[key] == 1 || v[name] > worst[key, name]) worst[key, name] = v[name]
            # of waves, the fewest
            if (variants[key] == 1 || v["Subgroups per SIMD"] < waves[key])
                waves[key] = v["Subgroups per SIMD"]
            key = ""
        }
        $1 == "same" { key = "" }
        $1 == "kernel" { finish(); key = $2 " " $3 " " $4; delete v; next }
        /^[A-Za-z ]+: [0-9]+/ { split($0, part, ": "); v[part[1]] = part[2] + 0 }
        END {
            finish()
            for (i = 1; i <= kernels; i++) {
                k = order[i]
                split(k, word, " ")
                printf format, family, word[1], word[2], word[3], variants[k], worst[k, "SGPRs"],
                    worst[k, "VGPRs"], worst[k, "LDS size"], waves[k], worst[k, "spills"],
                    worst[k, "Scratch size"], worst[k, "Latency"], worst[k, "Inverse Throughput"]
            }
            exit bad || !kernels
        }' || { echo "$family: spills, scratch or nothing made"; status=1; }
done
exit $status
