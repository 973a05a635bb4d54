#include "bench_run.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- before ---- */

static const char *rates_text(struct arena *arena, const struct rate_set *rates)
{
    char text[ADAMRA_MAX_HEADS * 11 + 1] = "";
    size_t used = 0;
    for (uint32_t i = 0; rates && i < rates->count; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu32, i ? "," : "",
                                 rates->items[i]);
    }
    return arena_strdup(arena, text);
}

status bench_describe(struct bench_run *run, struct subject *subject)
{
    const struct work_spec *spec = &subject->spec;
    subject->row = (struct bench_row){
        .device = run->device->info.index,
        .attention = spec->kind ? spec->kind->name : NULL,
        .pass = spec->pass,
        .dtype = spec->type == ELEMENT_F16 ? "f16" : "f32",
        .rates = rates_text(&run->arena, spec->rates),
        /* Other kinds have one head. */
        .kv = spec->shared_kv && spec->kind->multires ? "shared" : "per-head",
        .op = spec->pass == PASS_OP ? run->options->op : NULL,
        .n = spec->pass == PASS_OP ? 0 : spec->n,
        .d = spec->d,
        .batch = spec->batch,
        .groups = spec->groups,
        .d_model = spec->d_model,
        .reason = "",
    };
    return subject->row.rates
               ? STATUS_OK
               : fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a row");
}

const char *bench_title(const struct bench_row *row, char *text, size_t size)
{
    int used = snprintf(text, size, "%s", row->op ? row->op : row->attention);
    if (row->rates[0] && used < (int)size) {
        used += snprintf(text + used, size - (size_t)used, " %s", row->rates);
    }
    if (!row->op && used < (int)size) {
        used += snprintf(text + used, size - (size_t)used, " %s n %" PRIu64 " d %" PRIu64,
                         bench_pass_names[row->pass], row->n, row->d);
    }
    if (used < (int)size) {
        snprintf(text + used, size - (size_t)used, " %s", row->dtype);
    }
    return text;
}

static double best_gflops(const struct bench_row *rows, size_t count, const struct bench_row *like)
{
    double best = 0;
    for (size_t i = 0; i < count; i++) {
        const struct bench_row *row = &rows[i];
        bool same = row->device == like->device && row->pass == like->pass &&
                    row->attention == like->attention && strcmp(row->dtype, like->dtype) == 0;
        if (same && row->status == ROW_OK) {
            best = fmax(best, row->gflops);
        }
    }
    return best;
}

double bench_reached_gflops(const struct bench_run *run, const struct bench_row *like)
{
    return fmax(best_gflops(run->results.rows, run->results.row_count, like),
                best_gflops(run->probes, run->probe_count, like));
}

/* ---- times ---- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The value below which `share` of the sorted ones lie, interpolated. */
static double quantile(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    double next = sorted[below + 1 < count ? below + 1 : below];
    return sorted[below] + (at - (double)below) * (next - sorted[below]);
}

static status fill_times(struct bench_run *run, struct subject *subject)
{
    const struct work *work = subject->work;
    struct bench_row *row = &subject->row;
    size_t count = subject->count;
    row->samples_ms = arena_alloc(&run->arena, count, sizeof(*row->samples_ms));
    if (!row->samples_ms) {
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for %zu times", count);
    }
    memcpy(row->samples_ms, subject->device_ms, count * sizeof(*row->samples_ms));
    row->sample_count = count;
    qsort(subject->device_ms, count, sizeof(double), compare_doubles);
    qsort(subject->host_ms, count, sizeof(double), compare_doubles);
    row->ms_min = subject->device_ms[0];
    row->ms_median = quantile(subject->device_ms, count, 0.5);
    row->ms_p95 = quantile(subject->device_ms, count, 0.95);
    row->ms_max = subject->device_ms[count - 1];
    row->host_ms_median = quantile(subject->host_ms, count, 0.5);
    double tokens = (double)row->n * (double)row->batch;
    row->tokens_per_s = tokens / row->ms_median * 1e3;
    row->ns_per_token = tokens > 0 ? row->ms_median * 1e6 / tokens : 0;
    row->operations = work->operations;
    row->bytes = work->bytes;
    row->gflops = work->operations / row->ms_median * 1e-6;
    row->gbytes_per_s = work->bytes / row->ms_median * 1e-6;
    row->input_bytes = work_input_bytes(work);
    row->output_bytes = work_output_bytes(work);
    row->peak_device_bytes = plan_scratch_bytes(work->sets[0].plan);
    return STATUS_OK;
}

/* ---- growing arrays ---- */

/* A zeroed item more at the end of *items, or NULL after a report. */
static void *add_item(struct logger *log, void **items, size_t *count, size_t *space, size_t size)
{
    if (*count == *space) {
        size_t wanted = *space ? 2 * *space : 32;
        void *grown = realloc(*items, wanted * size);
        if (!grown) {
            fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for %zu results", wanted);
            return NULL;
        }
        *items = grown;
        *space = wanted;
    }
    void *item = (char *)*items + (*count)++ * size;
    memset(item, 0, size);
    return item;
}

static status keep_row(struct bench_run *run, const struct bench_row *row)
{
    void *rows = run->probing ? run->probes : run->results.rows;
    struct bench_row *kept =
        run->probing
            ? add_item(&run->log, &rows, &run->probe_count, &run->probe_space, sizeof(*kept))
            : add_item(&run->log, &rows, &run->results.row_count, &run->row_space, sizeof(*kept));
    if (!kept) {
        return STATUS_OUT_OF_HOST_MEMORY;
    }
    *kept = *row;
    *(run->probing ? &run->probes : &run->results.rows) = rows;
    return STATUS_OK;
}

/* ---- profiles ---- */

static status add_kernel(struct bench_run *run, const struct op_call *call, double ms,
                         double total_ms)
{
    void *kernels = run->results.kernels;
    struct bench_kernel *kernel = add_item(&run->log, &kernels, &run->results.kernel_count,
                                           &run->kernel_space, sizeof(*kernel));
    if (!kernel) {
        return STATUS_OUT_OF_HOST_MEMORY;
    }
    run->results.kernels = kernels;
    double operations = 0, bytes = 0;
    call->op->cost(call, &operations, &bytes);
    *kernel = (struct bench_kernel){.row = run->results.row_count - 1,
                                    .name = call->op->name,
                                    .candidate = op_choose(run->device, call)->name,
                                    .ms = ms,
                                    .share = total_ms > 0 ? ms / total_ms : 0};
    if (ms > 0) {
        kernel->gbytes_per_s = bytes / ms * 1e-6;
        kernel->gflops = operations / ms * 1e-6;
    }
    return STATUS_OK;
}

/* The entries are the graph's calls in order, but for those that had nothing to do. */
static status add_kernels(struct bench_run *run, const struct subject *subject, struct plan *plan)
{
    const struct graph *graph = &subject->work->graph;
    const struct gpu_profile_entry *entries;
    uint32_t count, c = 0;
    double total_ms = 0;
    status result = gpu_commands_profile(plan_commands(plan), &entries, &count);
    for (uint32_t i = 0; i < count && result == STATUS_OK; i++) {
        total_ms += entries[i].ms;
    }
    for (uint32_t i = 0; i < count && result == STATUS_OK; i++, c++) {
        while (strcmp(graph->calls[c].op->name, entries[i].label) != 0) {
            c++;
        }
        struct op_call call = graph_call_shape(graph, &graph->calls[c]);
        result = add_kernel(run, &call, entries[i].ms, total_ms);
    }
    return result;
}

static status profile(struct bench_run *run, const struct subject *subject)
{
    struct plan *plan = NULL;
    status result = work_make_plan(subject->work, 0, true, &plan);
    for (uint32_t i = 0; i < 3 && result == STATUS_OK; i++) {
        result = plan_run(plan, NULL); /* the last run counts: warm */
    }
    if (result == STATUS_OK) {
        result = add_kernels(run, subject, plan);
    }
    plan_destroy(plan);
    return result;
}

/* ---- shares of the limit ---- */

/* The larger of what bandwidth and what arithmetic would take, over what was taken. Halves are
 * summed in 32 bits: storage in 16 bits does not lower the rate that is possible. */
static double limit_share(const struct device_rates *rates, const char *dtype, double gflops,
                          double gbytes_per_s)
{
    double rate =
        strcmp(dtype, "f16") == 0 ? fmax(rates->f32_gflops, rates->f16_gflops) : rates->f32_gflops;
    return fmax(gbytes_per_s / rates->copy_gbytes_per_s, gflops / rate);
}

void bench_fill_shares(struct bench_run *run, size_t first_row)
{
    for (size_t i = first_row; i < run->results.row_count; i++) {
        struct bench_row *row = &run->results.rows[i];
        if (row->status == ROW_OK) {
            row->limit_share = limit_share(&run->rates, row->dtype, row->gflops, row->gbytes_per_s);
        }
    }
    for (size_t i = 0; i < run->results.kernel_count; i++) {
        struct bench_kernel *kernel = &run->results.kernels[i];
        if (kernel->row >= first_row) {
            kernel->limit_share = limit_share(&run->rates, run->results.rows[kernel->row].dtype,
                                              kernel->gflops, kernel->gbytes_per_s);
        }
    }
}

/* ---- after ---- */

status bench_add_row(struct bench_run *run, struct subject *subject)
{
    status result = subject->row.status == ROW_OK ? fill_times(run, subject) : STATUS_OK;
    if (result == STATUS_OK) {
        result = keep_row(run, &subject->row);
    }
    if (result == STATUS_OK && !run->probing) {
        subject->index = run->results.row_count - 1;
        result = run->options->profile && subject->ready ? profile(run, subject) : STATUS_OK;
    }
    return result;
}

void bench_show_row(struct bench_run *run, const struct subject *subject)
{
    const struct bench_row *row = &run->results.rows[subject->index];
    char title[128];
    progress_add(&run->progress, bench_title(row, title, sizeof(title)), row);
}
