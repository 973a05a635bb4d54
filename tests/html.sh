#!/usr/bin/env bash
# html.sh PROGRAM: loads a page of `adamra bench` in headless Chromium. The console must stay
# silent, and the browser must see every point and as many plots as there are figures. Exit status
# 77 where there is no Chromium.
set -uo pipefail
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$browser" ]; then
    echo "skipped: there is no chromium (Debian's package chromium)"
    exit 77
fi

load() # FILE: the document as the browser has it; its console goes to standard error
{
    "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
        --enable-logging=stderr --dump-dom "file://$1" 2>"$work/browser.log"
}

count() # PATTERN FILE
{
    grep -o -- "$1" "$2" | wc -l
}

expect() # WHAT NUMBER NUMBER
{
    echo "$1: $2, expected $3"
    [ "$2" -eq "$3" ]
}

"$program" bench --quiet --attention adamra,softmax --n 64-1024*4 --d 16 -r 3 --min-seconds 0 \
    -o json --html "$work/page.html" --svg "$work/plot.svg" >"$work/results.json" || exit 1
rows=$(count '"status": "ok"' "$work/results.json")
[ "$rows" -gt 0 ] || exit 1

failed=0
load "$work/page.html" >"$work/page.dom" || failed=1
expect "points in the page" "$(count 'class="point"' "$work/page.dom")" $((3 * rows)) || failed=1
expect "plots" "$(count '<svg' "$work/page.dom")" "$(count '<figure' "$work/page.dom")" || failed=1
grep CONSOLE "$work/browser.log" && failed=1
load "$work/plot.svg" >"$work/plot.dom" || failed=1
expect "points in the picture" "$(count 'class="point"' "$work/plot.dom")" "$rows" || failed=1
grep CONSOLE "$work/browser.log" && failed=1
exit $failed
