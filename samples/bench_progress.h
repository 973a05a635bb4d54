/* bench_progress: what `adamra bench` says on standard error while it runs. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include "bar.h"
#include "bench.h"

struct progress {
    struct bar bar;
    bool lines; /* with --verbose: one for each row */
    uint32_t total, done;
};

/* Nothing is shown with `quiet`; a bar only on a terminal. */
void progress_begin(struct progress *progress, uint32_t total, bool quiet, bool verbose);
/* Says what runs now. Cheap: draws ten times a second at most. */
void progress_show(struct progress *progress, const char *what);
/* One more combination is done; row: what came of it. */
void progress_add(struct progress *progress, const char *what, const struct bench_row *row);
/* Removes the bar. */
void progress_end(struct progress *progress);

#endif
