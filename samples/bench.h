/* bench: what a benchmark is made of. bench.c reads options into `bench_options` and walks all
 * combinations; bench_run*.c measure one; bench_write.c, bench_html.c and bench_compare.c show
 * rows. adamra-bench.1 says what a row's fields mean. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_SCHEMA 1

enum bench_pass { PASS_CORE, PASS_LAYER, PASS_ENCODER, PASS_OP };
enum bench_status { ROW_OK, ROW_SKIPPED, ROW_WRONG };

extern const char *const bench_pass_names[];   /* "core", "layer", "encoder", "op" */
extern const char *const bench_status_names[]; /* "ok", "skipped", "wrong" */

/* One combination and what was measured. Text is owned by the run that it belongs to. */
struct bench_row {
    uint32_t device;       /* index, as `adamra devices` lists */
    const char *attention; /* kind; NULL for an op */
    enum bench_pass pass;
    const char *dtype; /* "f32", "f16" */
    const char *rates; /* "1,2,4,8"; "" where the kind has none */
    const char *kv;    /* "per-head", "shared" */
    const char *op;    /* "linear:MxKxN"; NULL unless pass is op */
    uint64_t n, d, batch, groups, d_model;
    enum bench_status status;
    const char *reason;                       /* "" when ok */
    double ms_min, ms_median, ms_p95, ms_max; /* the rest is 0 unless ok */
    double *samples_ms;
    size_t sample_count;
    double host_ms_median, first_ms, first_warm_ms;
    double tokens_per_s, ns_per_token;
    double operations, bytes, gflops, gbytes_per_s;
    double limit_share;
    uint64_t input_bytes, output_bytes, peak_device_bytes;
};

struct bench_device {
    uint32_t index;
    const char *name, *type, *uuid, *driver, *driver_version, *api_version;
    double copy_gbytes_per_s, f32_gflops, f16_gflops; /* measured; f16 0 where not possible */
    uint64_t tuned; /* kinds of calls that run a kernel that `adamra tune` has chosen */
};

/* A kernel of a plan, with --profile. */
struct bench_kernel {
    size_t row; /* index into rows */
    const char *name, *candidate;
    double ms, share, gbytes_per_s, gflops, limit_share;
};

/* The length at which adamra becomes faster than `against`, interpolated in log n; n 0: not
 * reached. `row` is the index of an adamra row of that series, for its options. `unlisted`: the
 * length of a run that n rests on and that is no row, as it was only made to find it; 0: none. */
struct bench_crossover {
    uint32_t device;
    const char *against;
    double n;
    size_t row;
    uint64_t unlisted; /* not in result files */
};

/* All of one run, or of one result file that was read back. */
struct bench_results {
    const char *version, *date; /* ISO 8601 UTC */
    const char *build_compiler, *build_type, *build_commit;
    const char **command;
    size_t command_count;
    struct bench_device *devices;
    size_t device_count;
    struct bench_row *rows;
    size_t row_count;
    struct bench_crossover *crossovers;
    size_t crossover_count;
    struct bench_kernel *kernels;
    size_t kernel_count;
};

/* ---- bench_write.c, bench_md.c: one set of fields in every format; false and errno on a write
 * error ---- */
bool bench_write_md(FILE *file, const struct bench_results *results);
bool bench_write_csv(FILE *file, const struct bench_results *results);
bool bench_write_json(FILE *file, const struct bench_results *results);
bool bench_write_jsonl(FILE *file, const struct bench_results *results);

/* ---- bench_read.c: result files (json) back into results; NULL after one line on standard error
 * that names the file, the key and what was expected; *exit_status is then 3 for what the file
 * says, else 1 ---- */
struct bench_results *bench_read(const char *path, int *exit_status);
void bench_results_destroy(struct bench_results *results);

/* ---- bench_compare.c: a line per matching row: ratio, spread, faster, slower or same ---- */
bool bench_compare(FILE *file, const struct bench_results *current,
                   struct bench_results *const *others, const char *const *names, size_t count);

/* ---- bench_html.c: one self-contained page over one or several result sets; 0 or an exit
 * status ---- */
int bench_html(const char *path, const struct bench_results *const *results, size_t count);
/* Whether a page could be written there now, without leaving anything; 0 or an exit status, whose
 * reason has been said. */
int bench_page_check(const char *path);
/* bench_svg.c: the page's main plot (time against length) as a stand-alone SVG file. */
int bench_svg(const char *path, const struct bench_results *const *results, size_t count);

#endif
