#include "bar.h"
#include "base/system.h"
#include "platform.h"
#include <math.h>
#include <stdio.h>

#define BAR_CELLS  24
#define REDRAW_MS  100
#define CLEAR_LINE "\r\033[K"

void bar_begin(struct bar *bar, bool quiet)
{
    *bar = (struct bar){.on = !quiet && platform_is_terminal(stderr),
                        .start_ms = system_clock_ms(),
                        .drawn_ms = -INFINITY};
}

void bar_show(struct bar *bar, double done, const char *what)
{
    double now = system_clock_ms();
    if (!bar->on || now - bar->drawn_ms < REDRAW_MS) {
        return;
    }
    bar->drawn_ms = now;
    char cells[BAR_CELLS + 1];
    for (int i = 0; i < BAR_CELLS; i++) {
        cells[i] = i < done * BAR_CELLS ? '#' : '.';
    }
    cells[BAR_CELLS] = 0;
    char line[256], left[48] = "";
    if (done > 0) {
        snprintf(left, sizeof(left), "  about %.0f s left",
                 ceil((now - bar->start_ms) / done * (1 - done) * 1e-3));
    }
    snprintf(line, sizeof(line), "[%s] %s%s", cells, what, left);
    /* A line that wraps would not be cleared whole. */
    fprintf(stderr, CLEAR_LINE "%.*s", platform_columns(stderr) - 1, line);
    fflush(stderr);
}

void bar_end(struct bar *bar)
{
    if (bar->on && isfinite(bar->drawn_ms)) {
        fprintf(stderr, CLEAR_LINE);
        fflush(stderr);
        bar->drawn_ms = -INFINITY;
    }
}
