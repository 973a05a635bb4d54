/* bench_run: measures what the options ask for. bench_run.c walks devices and combinations,
 * bench_measure.c times the kinds of one combination side by side, bench_rows.c makes rows,
 * bench_warm.c times the first call of a process that finds compiled pipelines. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench_micro.h"
#include "bench_options.h"
#include "bench_progress.h"
#include "bench_work.h"
#include "cli.h"

/* Compiled pipelines of the device at work. */
struct warm_store {
    char *bytes; /* NULL: none */
    size_t size;
};

/* One run of the program; results and all their text live until bench_run_finish. */
struct bench_run {
    struct cli *cli;
    const struct bench_options *options;
    struct bench_results results;
    size_t row_space, device_space, kernel_space;
    struct arena arena;
    struct numbers numbers;
    struct progress progress;
    /* of the device at work */
    struct gpu_device *device;
    struct logger log;             /* errors are kept, not shown: a row may say them */
    struct device_rates rates;     /* the best seen */
    struct bench_model *models[2]; /* by storage type; NULL until they are needed */
    struct warm_store warm;
    bool probing;                  /* rows are for crossovers only: they are not listed */
    struct bench_row *probes;
    size_t probe_count, probe_space;
};

/* Measures all combinations. Ctrl-C ends it early with STATUS_OK; rows that are done stay. On
 * failure, too, bench_run_finish frees what it holds. */
status bench_run(struct cli *cli, const struct bench_options *options, struct bench_run *run);
void bench_run_finish(struct bench_run *run);
/* The folder that --pass encoder reads its model from. */
const char *bench_model_folder(const struct bench_run *run);

/* ---- bench_select.c ---- */

/* What --device names, one selector each; NULL stands for the best device. */
struct bench_selectors {
    const char *items[LIST_MAX];
    uint32_t count;
};
status bench_select(struct bench_run *run, struct bench_selectors *selectors);

/* ---- bench_measure.c ---- */

/* What becomes one row. */
struct subject {
    struct work_spec spec;
    struct work *work;
    struct bench_row row;
    double *device_ms, *host_ms;
    size_t count, space;
    double spent_ms, longest_ms; /* of timed runs, of one of them */
    double warm_ms;              /* of runs before those */
    uint32_t sets;
    bool ready;   /* warmed up and to be timed */
    size_t index; /* of its row in the results, once it is there */
};

/* Measures all of them, interleaved as far as memory goes, and hands each to bench_add_row. Those
 * behind the one at work when Ctrl-C came are left out. */
status bench_measure(struct bench_run *run, struct subject *subjects, uint32_t count);

/* ---- bench_rows.c ---- */

/* Fills in what a row says before it is measured. */
status bench_describe(struct bench_run *run, struct subject *subject);
/* Appends the row of a subject that is done, with its times if it is ok, and with the profile of
 * its kernels if one was asked for. */
status bench_add_row(struct bench_run *run, struct subject *subject);
/* Says that a row is complete. */
void bench_show_row(struct bench_run *run, const struct subject *subject);
/* The most GFLOP/s that a kind has reached on this device so far; 0 where it has not run. */
double bench_reached_gflops(const struct bench_run *run, const struct bench_row *like);
/* Fills in the shares of the device's limit, from its rates, in rows from first_row on. */
void bench_fill_shares(struct bench_run *run, size_t first_row);
/* "softmax n 4096 f32", into static text of the caller's. */
const char *bench_title(const struct bench_row *row, char *text, size_t size);

/* ---- bench_warm.c ---- */

/* Keeps pipelines there. */
struct gpu_store warm_saves(struct warm_store *store);
void warm_finish(struct warm_store *store);
/* The time of the first call on a device that is opened for it and loads the pipelines that the
 * device at work has made. */
status bench_first_warm(struct bench_run *run, const struct work_spec *spec, double *ms);

/* ---- bench_crossover.c ---- */

/* Appends results.crossovers, from results.rows and from probes at lengths that are not listed. */
status bench_find_crossovers(struct bench_run *run);
/* Whether adamra is faster than another kind at the length of `like`, in its series: where that is
 * the shortest length, shorter ones are worth probing. */
bool bench_crossover_below(const struct bench_run *run, const struct bench_row *like);

#endif
