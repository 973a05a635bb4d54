#include "bench_progress.h"
#include "bench_work.h"
#include "platform.h"
#include <math.h>

#define BAR_CELLS  24
#define REDRAW_MS  100
#define CLEAR_LINE "\r\033[K"

void progress_begin(struct progress *progress, uint32_t total, bool quiet, bool verbose)
{
    *progress = (struct progress){.bar = !quiet && platform_is_terminal(stderr),
                                  .lines = verbose && !quiet,
                                  .total = total,
                                  .start_ms = bench_clock_ms(),
                                  .drawn_ms = -INFINITY};
}

void progress_show(struct progress *progress, const char *what)
{
    double now = bench_clock_ms();
    if (!progress->bar || now - progress->drawn_ms < REDRAW_MS) {
        return;
    }
    progress->drawn_ms = now;
    char cells[BAR_CELLS + 1];
    for (uint32_t i = 0; i < BAR_CELLS; i++) {
        cells[i] = (uint64_t)i * progress->total < (uint64_t)progress->done * BAR_CELLS ? '#' : '.';
    }
    cells[BAR_CELLS] = 0;
    fprintf(stderr, CLEAR_LINE "[%s] %u/%u  %s", cells, progress->done, progress->total, what);
    if (progress->done) {
        double each = (now - progress->start_ms) / progress->done;
        fprintf(stderr, "  about %.0f s left",
                ceil(each * (progress->total - progress->done) * 1e-3));
    }
    fflush(stderr);
}

void progress_add(struct progress *progress, const char *what, const struct bench_row *row)
{
    progress->done++;
    if (!progress->lines) {
        return;
    }
    progress_end(progress);
    if (row->status == ROW_OK) {
        fprintf(stderr, "%s: %.4g ms, %zu runs, %.3g GFLOP/s, %.3g GB/s\n", what, row->ms_median,
                row->sample_count, row->gflops, row->gbytes_per_s);
    } else {
        fprintf(stderr, "%s: %s, %s\n", what, bench_status_names[row->status], row->reason);
    }
}

void progress_end(struct progress *progress)
{
    if (progress->bar) {
        fprintf(stderr, CLEAR_LINE);
        progress->drawn_ms = -INFINITY;
    }
}
