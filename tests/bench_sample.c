#include "bench_sample.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTHS 4
#define SAMPLES 5

static struct arena arena;

/* An allocation that tests need not check. */
static void *make(size_t count, size_t size)
{
    void *memory = arena_alloc(&arena, count, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* Milliseconds at length n. */
static const struct {
    const char *name, *rates, *kv;
    double per_token, per_pair;
} kinds[] = {
    {"adamra", "1,2,4,8", "per-head", 0.001, 0},
    {"softmax", "", "shared", 0, 2.5e-7},
    {"linear", "", "shared", 0.0005, 0},
};

/* Samples around a median that are 1 % apart. */
static void fill_figures(struct bench_row *row, double ms)
{
    row->sample_count = SAMPLES;
    row->samples_ms = make(SAMPLES, sizeof(double));
    for (size_t i = 0; i < SAMPLES; i++) {
        row->samples_ms[i] = ms * (0.98 + 0.01 * (double)i);
    }
    row->ms_min = row->samples_ms[0];
    row->ms_median = ms;
    row->ms_p95 = row->samples_ms[SAMPLES - 1];
    row->ms_max = row->samples_ms[SAMPLES - 1];
    row->host_ms_median = ms + 0.25;
    row->first_ms = ms + 12.5;
    row->first_warm_ms = ms + 2.5;
    row->tokens_per_s = (double)row->n / ms * 1e3;
    row->ns_per_token = row->n ? ms * 1e6 / (double)row->n : 0;
    row->operations = 4.0 * 64 * (double)(row->n + 1);
    row->bytes = 1024.0 * (double)(row->n + 1);
    row->gflops = row->operations / ms / 1e6;
    row->gbytes_per_s = row->bytes / ms / 1e6;
    row->limit_share = fmin(1, row->gbytes_per_s / 20);
    row->input_bytes = row->n * 1536;
    row->output_bytes = row->n * 256;
    row->peak_device_bytes = row->attention && !strcmp(row->attention, "softmax") ? 0 : 1 << 20;
}

static void fill_row(struct bench_row *row, uint32_t device, size_t kind, size_t length,
                     double scale)
{
    double n = 1024 * pow(4, (double)length);
    *row = (struct bench_row){.device = device,
                              .attention = kinds[kind].name,
                              .pass = PASS_CORE,
                              .dtype = "f32",
                              .rates = kinds[kind].rates,
                              .kv = kinds[kind].kv,
                              .n = (uint64_t)n,
                              .d = 64,
                              .batch = 1,
                              .groups = 1,
                              .d_model = 512,
                              .status = ROW_OK,
                              .reason = ""};
    if (length + 1 == LENGTHS && kind > 0) {
        row->status = kind == 1 ? ROW_SKIPPED : ROW_WRONG;
        row->reason = kind == 1 ? "would take <1 h>, \"too\" long, by far" : "differs by 0.5";
    } else {
        fill_figures(row, scale * (kinds[kind].per_token * n + kinds[kind].per_pair * n * n));
    }
}

static void fill_devices(struct bench_results *results, const struct sample_spec *spec)
{
    results->devices = make(results->device_count, sizeof(*results->devices));
    for (uint32_t i = 0; i < results->device_count; i++) {
        char *name = make(1, 32), *uuid = make(1, 40);
        snprintf(name, 32, "Device %u", i);
        snprintf(uuid, 40, "00000000-0000-0000-0000-00000000000%u", i);
        if (i == 0) {
            name = (char *)(spec->device ? spec->device : "Device <0> & \"co\"");
        }
        results->devices[i] = (struct bench_device){.index = i,
                                                    .name = name,
                                                    .type = i ? "cpu" : "discrete",
                                                    .uuid = uuid,
                                                    .driver = "made up",
                                                    .driver_version = "1.2.3",
                                                    .api_version = "1.3.280",
                                                    .copy_gbytes_per_s = 20.5 / (i + 1),
                                                    .f32_gflops = 100.25 / (i + 1),
                                                    .f16_gflops = i ? 0 : 180.5,
                                                    .tuned = 2 * i};
    }
}

static void fill_extras(struct bench_results *results, const struct sample_spec *spec)
{
    if (spec->encoder) {
        struct bench_row *row = &results->rows[results->row_count++];
        fill_row(row, 0, 0, 1, 3);
        row->pass = PASS_ENCODER;
    }
    if (spec->op) {
        struct bench_row *row = &results->rows[results->row_count++];
        *row = (struct bench_row){.device = 0,
                                  .pass = PASS_OP,
                                  .dtype = "f16",
                                  .rates = "",
                                  .kv = "per-head",
                                  .op = "linear:512x512x2048",
                                  .batch = 1,
                                  .groups = 1,
                                  .status = ROW_OK,
                                  .reason = ""};
        fill_figures(row, 2.5);
        row->ns_per_token = 0;
    }
    if (spec->profile) {
        results->kernel_count = 2;
        results->kernels = make(2, sizeof(*results->kernels));
        results->kernels[0] =
            (struct bench_kernel){0, "state", "tile 64x64", 0.75, 0.75, 12.5, 30.5, 0.625};
        results->kernels[1] =
            (struct bench_kernel){0, "readout", "lane", 0.25, 0.25, 8.25, 20.5, 0.4375};
    }
}

struct bench_results *sample_results(const struct sample_spec *spec)
{
    static const char *command[] = {"adamra", "bench", "--n", "1024-65536*4"};
    struct bench_results *results = make(1, sizeof(*results));
    double scale = spec->scale > 0 ? spec->scale : 1;
    *results = (struct bench_results){.version = "0.1.0",
                                      .date = "2026-01-02T03:04:05Z",
                                      .build_compiler = "gcc 14.2.0",
                                      .build_type = "release",
                                      .build_commit = "0123abc",
                                      .command = command,
                                      .command_count = ARRAY_SIZE(command),
                                      .device_count = spec->devices ? spec->devices : 1};
    fill_devices(results, spec);
    results->rows =
        make(results->device_count * ARRAY_SIZE(kinds) * LENGTHS + 2, sizeof(*results->rows));
    results->crossovers = make(results->device_count * 2, sizeof(*results->crossovers));
    for (uint32_t device = 0; device < results->device_count; device++) {
        size_t first = results->row_count;
        for (size_t i = 0; i < LENGTHS * ARRAY_SIZE(kinds); i++) {
            fill_row(&results->rows[results->row_count++], device, i % ARRAY_SIZE(kinds),
                     i / ARRAY_SIZE(kinds), scale * pow(2, device));
        }
        results->crossovers[results->crossover_count++] =
            (struct bench_crossover){device, "softmax", 4000.5, first};
        results->crossovers[results->crossover_count++] =
            (struct bench_crossover){device, "linear", 0, first};
    }
    fill_extras(results, spec);
    return results;
}

size_t sample_points(const struct bench_results *results)
{
    size_t points = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        points += results->rows[i].status == ROW_OK && results->rows[i].n > 0;
    }
    return points;
}

void sample_finish(void)
{
    arena_finish(&arena);
}

/* ---- text and files ---- */

char *sample_written(bool (*write)(FILE *, const struct bench_results *),
                     const struct bench_results *results)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(file);
    ck_assert(write(file, results));
    fclose(file);
    return text;
}

const char *sample_file(const char *text)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof(paths[0]), "%s/adamra-bench-XXXXXX", folder ? folder : "/tmp");
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, text, strlen(text)), strlen(text));
    close(descriptor);
    return path;
}

char *sample_read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0;
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_ge(getdelim(&text, &size, 0, file), 0);
    fclose(file);
    return text;
}
