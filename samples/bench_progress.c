#include "bench_progress.h"
#include "bench_work.h"
#include <stdio.h>

void progress_begin(struct progress *progress, uint32_t total, bool quiet, bool verbose)
{
    *progress = (struct progress){.lines = verbose && !quiet, .total = total};
    bar_begin(&progress->bar, quiet);
}

void progress_show(struct progress *progress, const char *what)
{
    char text[160];
    snprintf(text, sizeof(text), "%u/%u  %s", progress->done, progress->total, what);
    bar_show(&progress->bar, (double)progress->done / progress->total, text);
}

void progress_add(struct progress *progress, const char *what, const struct bench_row *row)
{
    progress->done++;
    if (!progress->lines) {
        return;
    }
    progress_end(progress);
    if (row->status == ROW_OK) {
        fprintf(stderr, "%s: %.4g ms, %.4g with the host's part, %.4g the first time", what,
                row->ms_median, row->host_ms_median, row->first_ms);
        if (row->first_warm_ms > 0) {
            fprintf(stderr, ", %.4g with kept pipelines", row->first_warm_ms);
        }
        fprintf(stderr, "; %zu runs, %.3g GFLOP/s, %.3g GB/s\n", row->sample_count, row->gflops,
                row->gbytes_per_s);
    } else {
        fprintf(stderr, "%s: %s, %s\n", what, bench_status_names[row->status], row->reason);
    }
}

void progress_end(struct progress *progress)
{
    bar_end(&progress->bar);
}
