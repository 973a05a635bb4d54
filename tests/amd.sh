#!/usr/bin/env bash
# What AMD's compiler makes of every kernel, without an AMD GPU: RADV compiles for a null device and
# reports registers, spills and estimated cycles. Prints a table; fails on any spill or scratch.
# usage: amd.sh PROGRAM [FAMILY...], PROGRAM built from tests/amd.c
set -uo pipefail
program=$1
shift
families=("$@")
[ ${#families[@]} -gt 0 ] || families=(polaris10 vega10 navi21 gfx1100)
icds=(/usr/share/vulkan/icd.d/radeon_icd*.json)
if [ ! -f "${icds[0]}" ]; then
    echo "AMD: skipped, RADV (mesa-vulkan-drivers) is not installed"
    exit 0
fi
export VK_DRIVER_FILES=${icds[0]} VK_ICD_FILENAMES=${icds[0]} RADV_DEBUG=shaderstats,nocache

format='%-10s %-9s %-14s %-4s %6s %6s %7s %8s %8s %10s\n'
# shellcheck disable=SC2059 # the format is the line above
printf "$format" family op candidate type sgprs vgprs lds spills scratch cycles
status=0
for family in "${families[@]}"; do
    RADV_FORCE_FAMILY=$family "$program" 2>&1 | awk -v family="$family" -v format="$format" '
        function show() {
            if (op == "") return
            printf format, family, op, candidate, type, v["SGPRs"], v["VGPRs"], v["LDS size"],
                v["Spilled SGPRs"] + v["Spilled VGPRs"], v["Scratch size"], v["Inverse Throughput"]
            if (v["VGPRs"] == "" || v["Spilled SGPRs"] + v["Spilled VGPRs"] + v["Scratch size"] > 0)
                bad = 1
            kernels++
        }
        $1 == "same" { op = "" }
        $1 == "kernel" { show(); op = $2; candidate = $3; type = $4; delete v; next }
        /^[A-Za-z ]+: [0-9]+/ { split($0, part, ": "); v[part[1]] = part[2] + 0 }
        END { show(); exit bad || !kernels }' ||
        { echo "$family: spills, scratch or nothing made"; status=1; }
done
exit $status
