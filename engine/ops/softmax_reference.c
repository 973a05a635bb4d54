#include "ops/example.h"
#include "ops/reference.h"
#include <math.h>

#define MOST_RUNS 3 /* of a block, in examples */

/* Runs of keys: pairs of words, first and end of each. */
struct runs {
    const uint32_t *begin, *end;
};

/* One query: elements of its row, of row 0 of its keys and values; which keys it sees. */
struct query {
    uint64_t q, k, v, y;
    struct runs runs;
    uint32_t keys; /* valid ones; the runs may go on behind them */
    bool valid;
};

/* What a block of queries sees; `all` is {0, m}, for blocks that see all keys. */
static struct runs block_runs(const struct op_call *call, uint64_t block, const uint32_t all[2])
{
    if (!call->options[OPTION_SPARSE])
        return (struct runs){all, all + 2};
    const uint32_t *words = call->tensors[SOFTMAX_RUNS].host;
    return (struct runs){words + words[block], words + words[block + 1]};
}

static double score(const struct op_call *call, const struct query *query, uint64_t t)
{
    const struct softmax_params *p = &call->params.softmax;
    uint64_t k = query->k + 4 * t * p->k_row;
    double sum = 0;
    for (uint64_t f = 0; f < 4 * (uint64_t)p->dk4; f++)
        sum += tensor_get(&call->tensors[SOFTMAX_Q], query->q + f) *
               tensor_get(&call->tensors[SOFTMAX_K], k + f);
    return p->scale * sum;
}

static double best_score(const struct op_call *call, const struct query *query)
{
    double best = -INFINITY;
    for (const uint32_t *run = query->runs.begin; run < query->runs.end; run += 2)
        for (uint64_t t = run[0]; t < size_min(run[1], query->keys); t++)
            best = fmax(best, score(call, query, t));
    return best;
}

/* Returns the sum of the weights. */
static double softmax_columns(const struct op_call *call, const struct query *query, double best,
                              uint32_t column, uint32_t count)
{
    double sum[REFERENCE_COLUMNS] = {0}, total = 0;
    for (const uint32_t *run = query->runs.begin; run < query->runs.end; run += 2)
        for (uint64_t t = run[0]; t < size_min(run[1], query->keys); t++) {
            double weight = exp(score(call, query, t) - best);
            uint64_t v = query->v + 4 * t * call->params.softmax.v_row + column;
            total += weight;
            for (uint32_t c = 0; c < count; c++)
                sum[c] += weight * tensor_get(&call->tensors[SOFTMAX_V], v + c);
        }
    for (uint32_t c = 0; c < count; c++)
        tensor_set(&call->tensors[SOFTMAX_Y], query->y + column + c,
                   query->valid && total != 0 ? sum[c] / total : 0);
    return total;
}

static void softmax_query(const struct op_call *call, const struct query *query)
{
    uint32_t columns = 4 * call->params.softmax.dv4;
    double best = best_score(call, query), total = 0;
    for (uint32_t c = 0; c < columns; c += REFERENCE_COLUMNS)
        total = softmax_columns(call, query, best, c,
                                (uint32_t)size_min(REFERENCE_COLUMNS, columns - c));
    const double weights[4] = {total > 0 ? best : 0, total};
    for (uint32_t i = 0; i < 4 && call->options[OPTION_PARTIAL]; i++)
        tensor_set(&call->tensors[SOFTMAX_Y], query->y + columns + i, weights[i]);
}

void softmax_reference(const struct op_call *call)
{
    const struct softmax_params *p = &call->params.softmax;
    const uint32_t all[2] = {0, p->m};
    for (uint64_t bg = 0; bg < (uint64_t)p->batch * p->groups; bg++) {
        uint64_t b = bg / p->groups, g = bg % p->groups;
        uint32_t keys = tensor_length(&call->tensors[SOFTMAX_KEY_LENGTHS], (uint32_t)b, p->m);
        uint32_t queries = tensor_length(&call->tensors[SOFTMAX_QUERY_LENGTHS], (uint32_t)b, p->n);
        for (uint64_t i = 0; i < p->n; i++) {
            struct query query = {
                .q = 4 * (b * p->q_batch + g * p->q_group + i * p->q_row),
                .k = 4 * (p->k_start + b * p->k_batch + g * p->k_group),
                .v = 4 * (p->v_start + b * p->v_batch + g * p->v_group),
                .y = 4 * (b * p->y_batch + g * p->y_group + i * p->y_row),
                .runs = block_runs(call, i / p->block, all),
                .keys = keys,
                .valid = i < queries,
            };
            softmax_query(call, &query);
        }
    }
}

/* Query-key pairs of one (b, g), lengths aside; all of them where the runs are not at hand. */
static double count_pairs(const struct op_call *call)
{
    const struct softmax_params *p = &call->params.softmax;
    const uint32_t all[2] = {0, p->m};
    double pairs = 0;
    if (call->options[OPTION_SPARSE] && !call->tensors[SOFTMAX_RUNS].host)
        return (double)p->n * p->m;
    for (uint64_t first = 0; first < p->n; first += p->block) {
        struct runs runs = block_runs(call, first / p->block, all);
        for (const uint32_t *run = runs.begin; run < runs.end; run += 2)
            pairs += (double)size_min(p->block, p->n - first) * (run[1] - run[0]);
    }
    return pairs;
}

void softmax_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct softmax_params *p = &call->params.softmax;
    double blocks = (double)p->batch * p->groups, dk = 4.0 * p->dk4, dv = 4.0 * p->dv4;
    double n = p->n, m = p->m;
    *operations = blocks * 2 * count_pairs(call) * (dk + dv);
    *bytes = blocks * (n * dk * element_bytes(call->tensors[SOFTMAX_Q].type) +
                       m * dk * element_bytes(call->tensors[SOFTMAX_K].type) +
                       m * dv * element_bytes(call->tensors[SOFTMAX_V].type) +
                       n * dv * element_bytes(call->tensors[SOFTMAX_Y].type));
}

void softmax_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct softmax_params *p = &call->params.softmax;
    bool sparse = example_chance(random, 2), partial = example_chance(random, 4);
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->n = example_rows(random, 80);
    p->m = example_rows(random, 80);
    p->dk4 = example_quads(random);
    p->dv4 = example_quads(random);
    p->scale = 1 / sqrtf(4 * (float)p->dk4);
    p->block = sparse ? random_between(random, 1, p->n) : p->n;
    struct span_layout q = example_layout(random, p->groups, 1, p->n, p->dk4);
    struct span_layout k = example_layout(random, p->groups, 1, p->m, p->dk4);
    struct span_layout v = example_layout(random, p->groups, 1, p->m, p->dv4);
    struct span_layout y = example_layout(random, p->groups, 1, p->n, p->dv4 + partial);
    q.start = y.start = 0;
    p->q_batch = (uint32_t)q.batch;
    p->q_group = (uint32_t)q.group;
    p->q_row = (uint32_t)q.row;
    p->k_start = (uint32_t)k.start;
    p->k_batch = (uint32_t)k.batch;
    p->k_group = (uint32_t)k.group;
    p->k_row = (uint32_t)k.row;
    p->v_start = (uint32_t)v.start;
    p->v_batch = (uint32_t)v.batch;
    p->v_group = (uint32_t)v.group;
    p->v_row = (uint32_t)v.row;
    p->y_batch = (uint32_t)y.batch;
    p->y_group = (uint32_t)y.group;
    p->y_row = (uint32_t)y.row;
    example_place(call, SOFTMAX_Q, type, &q, p->batch);
    example_place(call, SOFTMAX_K, type, &k, p->batch);
    example_place(call, SOFTMAX_V, type, &v, p->batch);
    example_tensor(call, SOFTMAX_KEY_LENGTHS, ELEMENT_U32, p->batch);
    example_tensor(call, SOFTMAX_QUERY_LENGTHS, ELEMENT_U32, p->batch);
    example_place(call, SOFTMAX_Y, partial ? ELEMENT_F32 : type, &y, p->batch);
    call->options[OPTION_PARTIAL] = partial;
    call->options[OPTION_SPARSE] = sparse;
    if (sparse)
        example_tensor(call, SOFTMAX_RUNS, ELEMENT_U32,
                       1 + size_div_up(p->n, p->block) * (1 + 2 * MOST_RUNS));
}

/* Gives each block up to MOST_RUNS runs. */
static void draw_runs(struct random *random, const struct op_call *call)
{
    const struct softmax_params *p = &call->params.softmax;
    const struct tensor *runs = &call->tensors[SOFTMAX_RUNS];
    uint64_t blocks = size_div_up(p->n, p->block);
    uint32_t word = (uint32_t)blocks + 1;
    tensor_set_u32(runs, 0, word);
    for (uint64_t block = 0; block < blocks; block++) {
        uint32_t left = random_between(random, 0, MOST_RUNS);
        for (uint32_t end = 0; left > 0 && end < p->m; left--) {
            uint32_t first = random_between(random, end, p->m - 1);
            end = random_between(random, first + 1, p->m);
            tensor_set_u32(runs, word++, first);
            tensor_set_u32(runs, word++, end);
        }
        tensor_set_u32(runs, block + 1, word);
    }
}

void softmax_prepare(struct random *random, const struct op_call *call)
{
    const struct softmax_params *p = &call->params.softmax;
    example_lengths(random, &call->tensors[SOFTMAX_KEY_LENGTHS], p->m);
    example_lengths(random, &call->tensors[SOFTMAX_QUERY_LENGTHS], p->n);
    if (call->options[OPTION_SPARSE])
        draw_runs(random, call);
}
