#include "bench_check.h"
#include "attn/bigbird_runs.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>

#define ROW_BUDGET (UINT64_C(1) << 26) /* numbers of keys that all rows of a check may read */

uint32_t check_rows(uint64_t n, uint64_t d)
{
    uint64_t affordable = ROW_BUDGET / size_max(1, n * d);
    return (uint32_t)size_min(n, size_max(2, size_min(8, affordable)));
}

uint32_t check_route(const double *logits, uint32_t heads, double *prob, double *margin)
{
    uint32_t best = 0;
    for (uint32_t h = 1; h < heads; h++) {
        best = logits[h] > logits[best] ? h : best;
    }
    double sum = 0, next = -INFINITY;
    for (uint32_t h = 0; h < heads; h++) {
        sum += exp(logits[h] - logits[best]);
        next = h != best ? fmax(next, logits[h]) : next;
    }
    *prob = 1 / sum;
    if (margin) {
        *margin = logits[best] - next;
    }
    return best;
}

/* ---- one row ---- */

struct row {
    const struct attn_shape *shape;
    const struct row_source *source;
    const struct row_query *query;
    double *q;          /* [dk]: what is multiplied with keys */
    double *key;        /* [dk] */
    double *value;      /* [value_width] */
    double *sum;        /* [value_width] */
    double weight, top; /* sum of weights; softmax: relative to exp(top) */
};

static double dot_key(const struct row *row)
{
    double sum = 0;
    for (uint32_t f = 0; f < row->shape->dk; f++) {
        sum += row->q[f] * row->key[f];
    }
    return sum;
}

static void add_value(struct row *row, double weight)
{
    row->weight += weight;
    for (uint32_t c = 0; c < row->source->value_width; c++) {
        row->sum[c] += weight * row->value[c];
    }
}

/* adamra and linear: weights are phi(q)^T phi(k) of each segment. */
static status sum_features(struct row *row)
{
    const struct attn_shape *shape = row->shape;
    uint64_t rate = shape->rates[row->query->head];
    for (uint32_t f = 0; f < shape->dk; f++) {
        row->q[f] = feature_map(shape->feature, row->query->q[f]);
    }
    for (uint64_t first = 0; first < shape->m; first += rate) {
        uint64_t end = size_min(shape->m, first + rate);
        row->source->means(row->source->user, row->query->head, first, end, row->key, row->value);
        for (uint32_t f = 0; f < shape->dk; f++) {
            row->key[f] = feature_map(shape->feature, row->key[f]);
        }
        add_value(row, dot_key(row));
    }
    row->weight += (double)shape->eps;
    return STATUS_OK;
}

/* softmax over keys [first, end), added to what the row has. */
static void add_softmax(struct row *row, uint64_t first, uint64_t end)
{
    for (uint64_t t = first; t < end; t++) {
        row->source->means(row->source->user, 0, t, t + 1, row->key, row->value);
        double score = dot_key(row);
        if (score > row->top) {
            double scale = exp(row->top - score);
            row->weight *= scale;
            for (uint32_t c = 0; c < row->source->value_width; c++) {
                row->sum[c] *= scale;
            }
            row->top = score;
        }
        add_value(row, exp(score - row->top));
    }
}

static void scale_query(struct row *row)
{
    for (uint32_t f = 0; f < row->shape->dk; f++) {
        row->q[f] = row->query->q[f] / sqrt(row->shape->dk);
    }
}

static status sum_softmax(struct row *row)
{
    scale_query(row);
    add_softmax(row, 0, row->shape->m);
    return STATUS_OK;
}

static status sum_bigbird(struct row *row)
{
    struct bigbird_runs runs;
    status result = bigbird_runs_init(&row->shape->bigbird, row->shape->n, &runs);
    if (result != STATUS_OK) {
        return result;
    }
    uint32_t block = row->query->index / row->shape->bigbird.block;
    scale_query(row);
    for (uint32_t at = runs.words[block]; at < runs.words[block + 1]; at += 2) {
        add_softmax(row, runs.words[at], runs.words[at + 1]);
    }
    bigbird_runs_finish(&runs);
    return STATUS_OK;
}

static const struct {
    const struct attn_kind *kind;
    status (*sum)(struct row *row);
} sums[] = {
    {&attn_adamra, sum_features},
    {&attn_linear, sum_features},
    {&attn_softmax, sum_softmax},
    {&attn_bigbird, sum_bigbird},
};

status check_row(struct logger *log, const struct attn_kind *kind, const struct attn_shape *shape,
                 const struct row_source *source, const struct row_query *query, double *out)
{
    uint32_t dk = shape->dk, width = source->value_width;
    double *memory = calloc(2 * ((size_t)dk + width), sizeof(*memory));
    status result = memory ? STATUS_UNSUPPORTED : STATUS_OUT_OF_HOST_MEMORY;
    struct row row = {.shape = shape, .source = source, .query = query, .top = -INFINITY};
    for (size_t i = 0; i < ARRAY_SIZE(sums) && memory; i++) {
        if (sums[i].kind == kind) {
            row.q = memory;
            row.key = row.q + dk;
            row.value = row.key + dk;
            row.sum = row.value + width;
            result = sums[i].sum(&row);
        }
    }
    for (uint32_t c = 0; c < width && result == STATUS_OK; c++) {
        out[c] = row.sum[c] / row.weight;
    }
    free(memory);
    if (result != STATUS_OK) {
        fail(log, result, "bench: no %s for a row of the reference of %s",
             result == STATUS_UNSUPPORTED ? "sum" : "memory", kind->name);
    }
    return result;
}
