/* bench_options: the flags of `adamra bench`, and what its presets fill in. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench.h"
#include "bench_lists.h"
#include "options.h"

enum bench_format { FORMAT_MD, FORMAT_CSV, FORMAT_JSON, FORMAT_JSONL };

/* All of it is set after bench_options_parse, but what a pass does not use. */
struct bench_options {
    struct options common; /* device: a list or "all"; quiet, verbose, help */
    enum bench_pass pass;
    bool pass_given, kv_given, shared_kv, profile, measures; /* measures: not with --preset none */
    struct kind_list kinds;
    struct type_list types;
    struct rate_sets rates;
    struct count_list n, d, d_model, batch, groups;
    const char *op; /* as it was written; product is its sizes */
    struct product_size product;
    const char *model; /* folder */
    uint32_t repetitions;
    double min_seconds, max_seconds; /* of one combination; negative: not given */
    enum bench_format format;
    bool format_given;
    const char *html, *svg; /* paths, or NULL */
    const char *compare[LIST_MAX];
    uint32_t compare_count;
    const char *preset;
};

/* Reads argv; argv[0] is "bench". STATUS_INVALID_ARGUMENT also where flags contradict each other.
 * On failure, too, options_finish(&options->common) frees what it holds. */
status bench_options_parse(struct logger *log, int argc, char **argv,
                           struct bench_options *options);
/* Prints a line for each flag, and what the presets are. */
void bench_options_print(FILE *stream);

#endif
