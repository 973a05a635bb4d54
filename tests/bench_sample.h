/* bench_sample: made-up benchmark results, and their output as text. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include "bench.h"
#include "support.h"

/* What is asked for. Everything else is filled with legal, made-up values. */
struct sample_spec {
    const char *device; /* its name; NULL: "Device <0> & \"co\"" */
    double scale;       /* of all times; 0: 1 */
    bool encoder;       /* one more row: an encoder's */
    bool op;            /* one more row: a product's */
    bool profile;       /* kernels of the first row */
    uint32_t devices;   /* 0: 1; the others are called "Device 1" and so on, twice as slow each */
};

/* For each device adamra, softmax and linear at four lengths, 1024 to 65536; softmax is skipped at
 * the longest and linear wrong there. The results live until the next call of sample_finish. */
struct bench_results *sample_results(const struct sample_spec *spec);
/* Rows of `results` with status ok and a length: what plots show. */
size_t sample_points(const struct bench_results *results);
/* Frees all results that were made. */
void sample_finish(void);

/* What a writer writes; the caller frees it. The test fails where the writer does. */
char *sample_written(bool (*write)(FILE *, const struct bench_results *),
                     const struct bench_results *results);
/* The text as a file in the temporary folder; static storage until the fourth next call. */
const char *sample_file(const char *text);
/* A whole file; the caller frees it. */
char *sample_read_file(const char *path);

#endif
