/* The attention kinds written out in double precision, step by step and with no thought for speed:
 * what graphs, reference loops and kernels are all compared with. */
#include "attention_cases.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double phi(const adamra_attention_params *p, double x)
{
    if (p->feature_map == ADAMRA_RELU)
        return fmax(x, 0);
    return x > 0 ? x + 1 : exp(x);
}

static bool is_kind(const struct attention_case *c, const char *kind)
{
    return strcmp(c->params.kind ? c->params.kind : "adamra", kind) == 0;
}

/* Row t of a [B, G, heads, rows, width] tensor. */
static const float *row_of(const float *data, const adamra_attention_params *p, uint32_t heads,
                           uint32_t rows, uint32_t width, const uint32_t at[3], uint32_t t)
{
    size_t head = heads > 1 ? at[2] : 0;
    size_t block = ((size_t)at[0] * p->groups + at[1]) * heads + head;
    return data + (block * rows + t) * width;
}

static const float *key_row(const struct attention_case *c, const uint32_t at[3], uint32_t t)
{
    uint32_t heads = c->params.shared_keys ? 1 : c->params.heads;
    return row_of(c->k, &c->params, heads, c->params.keys, c->params.key_width, at, t);
}

static const float *value_row(const struct attention_case *c, const uint32_t at[3], uint32_t t)
{
    uint32_t heads = c->params.shared_values ? 1 : c->params.heads;
    return row_of(c->v, &c->params, heads, c->params.keys, c->params.value_width, at, t);
}

/* Pools column `column` of rows [first, end). */
static double pool(const struct attention_case *c,
                   const float *(*row)(const struct attention_case *, const uint32_t[3], uint32_t),
                   const uint32_t at[3], uint32_t first, uint32_t end, uint32_t column)
{
    bool max = c->params.pooling == ADAMRA_MAX;
    double pooled = max ? -INFINITY : 0;
    for (uint32_t t = first; t < end; t++) {
        double x = row(c, at, t)[column];
        pooled = max ? fmax(pooled, x) : pooled + x / (end - first);
    }
    return pooled;
}

/* S_h [dk][dv + 1], its last column z_h. */
static double *head_state(const struct attention_case *c, const uint32_t at[3], uint32_t length)
{
    uint32_t dk = c->params.key_width, dv = c->params.value_width, rate = c->rates[at[2]];
    double *state = calloc((size_t)dk * (dv + 1), sizeof(*state));
    ck_assert_ptr_nonnull(state);
    for (uint64_t first = 0; first < length; first += rate) {
        uint32_t end = (uint32_t)(first + rate < length ? first + rate : length);
        for (uint32_t column = 0; column <= dv; column++) {
            double value = column < dv ? pool(c, value_row, at, (uint32_t)first, end, column) : 1;
            for (uint32_t k = 0; k < dk; k++)
                state[k * (dv + 1) + column] +=
                    phi(&c->params, pool(c, key_row, at, (uint32_t)first, end, k)) * value;
        }
    }
    return state;
}

/* y += weight * A_h(q) */
static void read_out(const struct attention_case *c, const double *state, const float *q,
                     double weight, float *y)
{
    uint32_t dk = c->params.key_width, dv = c->params.value_width;
    double normaliser = c->params.eps > 0 ? c->params.eps : 1e-6;
    for (uint32_t k = 0; k < dk; k++)
        normaliser += phi(&c->params, q[k]) * state[k * (dv + 1) + dv];
    for (uint32_t column = 0; column < dv; column++) {
        double sum = 0;
        for (uint32_t k = 0; k < dk; k++)
            sum += phi(&c->params, q[k]) * state[k * (dv + 1) + column];
        y[column] += (float)(weight * sum / normaliser);
    }
}

void attention_logits(const struct attention_case *c, uint32_t b, uint32_t g, uint32_t i,
                      double logits[ADAMRA_MAX_HEADS])
{
    const adamra_attention_params *p = &c->params;
    size_t query = ((size_t)b * p->groups + g) * p->queries + i;
    for (uint32_t h = 0; h < p->heads; h++) {
        size_t row = (size_t)g * p->heads + h;
        if (c->logits) {
            logits[h] = c->logits[query * p->heads + h];
            continue;
        }
        logits[h] = c->bias ? c->bias[row] : 0;
        for (uint32_t k = 0; k < p->key_width; k++)
            logits[h] += (double)c->weight[row * p->key_width + k] * c->q[query * p->key_width + k];
    }
}

/* Weight of every head for a query; records the choice for top1. */
static void route(const struct attention_case *c, const uint32_t at[3], uint32_t i, double *weights)
{
    const adamra_attention_params *p = &c->params;
    uint32_t best = 0;
    double sum = 0;
    attention_logits(c, at[0], at[1], i, weights);
    for (uint32_t h = 1; h < p->heads; h++)
        if (weights[h] > weights[best])
            best = h;
    double largest = weights[best];
    for (uint32_t h = 0; h < p->heads; h++)
        sum += weights[h] = exp(weights[h] - largest);
    for (uint32_t h = 0; h < p->heads; h++)
        weights[h] /= p->routing == ADAMRA_TOP1 && h != best ? INFINITY : sum;
    if (p->routing == ADAMRA_TOP1) {
        size_t query = ((size_t)at[0] * p->groups + at[1]) * p->queries + i;
        c->head[query] = (int32_t)best;
        c->prob[query] = (float)weights[best];
    }
}

static void oracle_multires(const struct attention_case *c, uint32_t b, uint32_t g, uint32_t length,
                            uint32_t queries)
{
    const adamra_attention_params *p = &c->params;
    bool routed = is_kind(c, "adamra") && p->routing != ADAMRA_NONE;
    double *states[ADAMRA_MAX_HEADS], weights[ADAMRA_MAX_HEADS];
    for (uint32_t h = 0; h < p->heads; h++)
        states[h] = head_state(c, (uint32_t[3]){b, g, h}, length);
    for (uint32_t i = 0; i < queries; i++) {
        uint32_t at[3] = {b, g, 0};
        if (routed)
            route(c, at, i, weights);
        for (uint32_t h = 0; h < p->heads; h++) {
            uint32_t streams = routed ? 1 : p->heads;
            at[2] = h;
            const float *q = row_of(c->q, p, streams, p->queries, p->key_width, at, i);
            size_t y = (size_t)(row_of(c->y, p, streams, p->queries, p->value_width, at, i) - c->y);
            if (!routed || weights[h] > 0)
                read_out(c, states[h], q, routed ? weights[h] : 1, c->y + y);
        }
    }
    for (uint32_t h = 0; h < p->heads; h++)
        free(states[h]);
}

/* PCG's output permutation (O'Neill 2014). */
static uint32_t hash32(uint32_t x)
{
    uint32_t state = x * 747796405U + 2891336453U;
    uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737U;
    return (word >> 22) ^ word;
}

/* bigbird: marks the key blocks that query block i of `blocks` attends to. */
static void choose_blocks(const adamra_bigbird *p, uint32_t i, uint32_t blocks, bool *chosen)
{
    uint32_t count = 0, half = p->window / 2;
    for (uint32_t j = 0; j < blocks; j++) {
        bool near = j + half >= i && j <= i + half;
        chosen[j] = i < p->global_blocks || j < p->global_blocks || near;
        count += chosen[j];
    }
    uint32_t left = blocks - count, wanted = p->random_blocks < left ? p->random_blocks : left;
    for (uint32_t attempt = 0; wanted > 0; attempt++) {
        uint32_t j = hash32(hash32(hash32(p->seed) ^ i) ^ attempt) % blocks;
        wanted -= !chosen[j];
        chosen[j] = true;
    }
}

/* Which keys query i may attend to; lengths aside. */
static void allow_keys(const struct attention_case *c, uint32_t i, bool *allowed)
{
    static const adamra_bigbird defaults = {64, 2, 3, 3, 0};
    const adamra_bigbird *bigbird = c->params.bigbird ? c->params.bigbird : &defaults;
    uint32_t keys = c->params.keys, blocks = (keys - 1) / bigbird->block + 1;
    bool sparse = is_kind(c, "bigbird"), *chosen = calloc(blocks, sizeof(*chosen));
    ck_assert_ptr_nonnull(chosen);
    if (sparse)
        choose_blocks(bigbird, i / bigbird->block, blocks, chosen);
    for (uint32_t t = 0; t < keys; t++)
        allowed[t] = !sparse || chosen[t / bigbird->block];
    free(chosen);
}

/* y = softmax over the allowed of `length` keys; zeros where there is none. scores: scratch. */
static void attend(const struct attention_case *c, const uint32_t at[3], uint32_t i,
                   uint32_t length, const bool *allowed, double *scores)
{
    const adamra_attention_params *p = &c->params;
    const float *q = row_of(c->q, p, 1, p->queries, p->key_width, at, i);
    size_t y = (size_t)(row_of(c->y, p, 1, p->queries, p->value_width, at, i) - c->y);
    double largest = -INFINITY, sum = 0;
    for (uint32_t t = 0; t < length; t++) {
        scores[t] = 0;
        for (uint32_t k = 0; k < p->key_width; k++)
            scores[t] += (double)q[k] * key_row(c, at, t)[k] / sqrt(p->key_width);
        if (allowed[t])
            largest = fmax(largest, scores[t]);
    }
    for (uint32_t t = 0; t < length; t++)
        sum += scores[t] = allowed[t] ? exp(scores[t] - largest) : 0;
    for (uint32_t column = 0; column < p->value_width && sum > 0; column++) {
        double mean = 0;
        for (uint32_t t = 0; t < length; t++)
            if (allowed[t])
                mean += scores[t] * value_row(c, at, t)[column];
        c->y[y + column] = (float)(mean / sum);
    }
}

static void oracle_softmax(const struct attention_case *c, uint32_t b, uint32_t g, uint32_t length,
                           uint32_t queries)
{
    const uint32_t at[3] = {b, g, 0};
    double *scores = calloc((size_t)length + 1, sizeof(*scores));
    bool *allowed = calloc((size_t)c->params.keys + 1, sizeof(*allowed));
    ck_assert_ptr_nonnull(scores);
    ck_assert_ptr_nonnull(allowed);
    for (uint32_t i = 0; i < queries && length; i++) {
        allow_keys(c, i, allowed);
        attend(c, at, i, length, allowed, scores);
    }
    free(scores);
    free(allowed);
}

void attention_oracle(const struct attention_case *c)
{
    const adamra_attention_params *p = &c->params;
    for (uint32_t b = 0; b < p->batch; b++)
        for (uint32_t g = 0; g < p->groups; g++) {
            uint32_t length = c->key_lengths ? c->key_lengths[b] : p->keys;
            uint32_t queries = c->query_lengths ? c->query_lengths[b] : p->queries;
            if (is_kind(c, "softmax") || is_kind(c, "bigbird"))
                oracle_softmax(c, b, g, length, queries);
            else
                oracle_multires(c, b, g, length, queries);
        }
}
