/* bigbird: softmax over blocks of keys: some that all see, those around the query's own, and some
 * drawn by a hash (after Zaheer et al. 2020, arXiv 2007.14062). The softmax kernel with the runs of
 * keys that each block of queries sees. */
#include "attn/bigbird_runs.h"
#include "attn/softmax.h"

const struct bigbird_pattern bigbird_defaults = {
    .block = 64, .global_blocks = 2, .window = 3, .random_blocks = 3};

static status build(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io)
{
    struct bigbird_runs runs;
    if (shape->n == 0)
        return softmax_add(graph, shape, io, &(struct softmax_runs){0});
    status result = bigbird_runs_init(&shape->bigbird, shape->n, &runs);
    if (result)
        return result;
    result =
        softmax_add(graph, shape, io, &(struct softmax_runs){runs.words, shape->bigbird.block});
    bigbird_runs_finish(&runs);
    return result;
}

/* Allowed pairs of a query and a key, lengths aside. */
static double count_pairs(const struct bigbird_runs *runs, uint32_t block, uint32_t n)
{
    double pairs = 0;
    for (uint64_t first = 0; first < n; first += block) {
        const uint32_t *bounds = &runs->words[first / block];
        for (uint32_t word = bounds[0]; word < bounds[1]; word += 2)
            pairs +=
                (double)size_min(block, n - first) * (runs->words[word + 1] - runs->words[word]);
    }
    return pairs;
}

static status cost(const struct attn_shape *shape, bool shared_kv, double *operations,
                   double *bytes)
{
    struct bigbird_runs runs;
    (void)shared_kv; /* one head: nothing to share */
    softmax_count(shape, 0, operations, bytes);
    if (shape->n == 0)
        return STATUS_OK;
    status result = bigbird_runs_init(&shape->bigbird, shape->n, &runs);
    if (result)
        return result;
    softmax_count(shape, count_pairs(&runs, shape->bigbird.block, shape->n), operations, bytes);
    bigbird_runs_finish(&runs);
    return STATUS_OK;
}

const struct attn_kind attn_bigbird = {.name = "bigbird", .build = build, .cost = cost};
