/* softmax: y_i = softmax(q_i k^T / sqrt(dk)) v over the valid keys. One online kernel: never an
 * n x m matrix in memory. */
#include "attn/softmax.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Keys of a part: as many as 60,000 iterations see, of kernels that take four keys at a time and
 * then a quad of their features. A function of the width alone, so that devices agree. */
#define PART_ITERATIONS 60000
#define LEAST_KEYS      4
/* Kernels take up to so many keys at a time: a run counts as whole steps of them. */
#define STEP_KEYS 32

static uint64_t part_keys(const struct attn_shape *shape)
{
    uint64_t steps = PART_ITERATIONS / (size_div_up(shape->dk, 4) + 2);
    return size_max(steps * LEAST_KEYS / STEP_KEYS, 1) * STEP_KEYS;
}

static struct softmax_params params_of(const struct attn_shape *shape, const struct attn_io *io)
{
    const struct attn_layout *q = &io->q_layout, *y = &io->y_layout;
    const struct attn_layout *k = &io->k[0].layout, *v = &io->v[0].layout;
    assert(q->start == 0 && y->start == 0);
    return (struct softmax_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .n = shape->n,
        .m = shape->m,
        .dk4 = (uint32_t)size_div_up(shape->dk, 4),
        .dv4 = (uint32_t)size_div_up(shape->dv, 4),
        .q_batch = (uint32_t)q->batch,
        .q_group = (uint32_t)q->group,
        .q_row = (uint32_t)q->row,
        .k_start = (uint32_t)k->start,
        .k_batch = (uint32_t)k->batch,
        .k_group = (uint32_t)k->group,
        .k_row = (uint32_t)k->row,
        .v_start = (uint32_t)v->start,
        .v_batch = (uint32_t)v->batch,
        .v_group = (uint32_t)v->group,
        .v_row = (uint32_t)v->row,
        .scale = (float)(1 / sqrt(shape->dk)),
        .y_batch = (uint32_t)y->batch,
        .y_group = (uint32_t)y->group,
        .y_row = (uint32_t)y->row,
        .block = (uint32_t)size_max(1, shape->n),
    };
}

static struct graph_call *add_call(struct graph *graph, const struct attn_shape *shape,
                                   const struct attn_io *io)
{
    struct graph_call *call = graph_add_call(graph, &op_softmax);
    call->params.softmax = params_of(shape, io);
    call->tensors[SOFTMAX_Q] = io->q;
    call->tensors[SOFTMAX_K] = io->k[0].tensor;
    call->tensors[SOFTMAX_V] = io->v[0].tensor;
    call->tensors[SOFTMAX_KEY_LENGTHS] = io->key_lengths;
    call->tensors[SOFTMAX_QUERY_LENGTHS] = io->query_lengths;
    call->tensors[SOFTMAX_Y] = io->y;
    return call;
}

/* The call of `words` for the first `blocks` blocks. */
static struct graph_call *add_sparse(struct graph *graph, const struct attn_shape *shape,
                                     const struct attn_io *io, const uint32_t *words,
                                     uint32_t block, uint64_t blocks)
{
    tensor_id runs = graph_add_constant(graph, "softmax runs", ELEMENT_U32, words[blocks], words);
    struct graph_call *call = add_call(graph, shape, io);
    call->options[OPTION_SPARSE] = 1;
    call->params.softmax.n = (uint32_t)size_min(shape->n, blocks * block);
    call->params.softmax.block = (uint32_t)size_min(block, call->params.softmax.n);
    call->tensors[SOFTMAX_RUNS] = runs;
    return call;
}

/* ---- parts ---- */

/* Runs that are cut: of `blocks` blocks, in parts of `keys` keys. */
struct cutter {
    const uint32_t *words;
    uint32_t *out; /* a part's words, as many as there are words at most */
    uint64_t blocks, keys;
};

/* Keys of a block, each run in whole steps. */
static uint64_t block_keys(const uint32_t *words, uint64_t block)
{
    uint64_t keys = 0;
    for (uint32_t word = words[block]; word < words[block + 1]; word += 2)
        keys += size_round_up(words[word + 1] - words[word], STEP_KEYS);
    return keys;
}

/* Appends what keys [first, end) of a block are, counted as block_keys does. */
static void cut_block(const struct cutter *cutter, uint64_t block, uint64_t first, uint64_t end)
{
    const uint32_t *words = cutter->words;
    uint32_t *count = &cutter->out[cutter->blocks];
    uint64_t at = 0;
    for (uint32_t word = words[block]; word < words[block + 1] && at < end; word += 2) {
        uint64_t keys = words[word + 1] - words[word];
        uint64_t low = first - size_min(first, at), high = size_min(keys, end - at);
        at += size_round_up(keys, STEP_KEYS);
        if (low >= high)
            continue;
        cutter->out[(*count)++] = words[word] + (uint32_t)low;
        cutter->out[(*count)++] = words[word] + (uint32_t)high;
    }
}

/* Fills `out` with a part's runs of the blocks [from, to), and none of the others. */
static void cut_part(const struct cutter *cutter, uint64_t part, uint64_t from, uint64_t to)
{
    /* The last word counts while runs are appended. */
    cutter->out[cutter->blocks] = (uint32_t)cutter->blocks + 1;
    for (uint64_t block = 0; block < cutter->blocks; block++) {
        cutter->out[block] = cutter->out[cutter->blocks];
        if (block >= from && block < to)
            cut_block(cutter, block, part * cutter->keys, (part + 1) * cutter->keys);
    }
}

/* Appends the merging of a part into `sum`, or with `last` into Y. */
static void add_merge(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                      uint32_t rows, tensor_id part, tensor_id sum, bool last)
{
    struct graph_call *call = graph_add_call(graph, &op_merge);
    call->params.merge = (struct merge_params){
        .batch = shape->batch,
        .groups = shape->groups,
        .n = rows,
        .dv4 = (uint32_t)size_div_up(shape->dv, 4),
        .y_batch = (uint32_t)io->y_layout.batch,
        .y_group = (uint32_t)io->y_layout.group,
        .y_row = (uint32_t)io->y_layout.row,
    };
    call->options[OPTION_LAST] = last;
    call->tensors[MERGE_PART] = part;
    call->tensors[MERGE_SUM] = sum;
    if (last)
        call->tensors[MERGE_Y] = io->y;
}

/* Appends the calls of the cutter's blocks, of which the one with the most keys has `most`. */
static void add_parts(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                      const struct cutter *cutter, uint32_t block, uint64_t most)
{
    uint64_t row = size_div_up(shape->dv, 4) + 1, parts = size_div_up(most, cutter->keys);
    uint32_t rows = (uint32_t)size_min(shape->n, cutter->blocks * block);
    uint64_t elements = 4 * (uint64_t)shape->batch * shape->groups * rows * row;
    tensor_id sum = graph_add_tensor(graph, "softmax sum", ELEMENT_F32, elements, GRAPH_SCRATCH);
    tensor_id one = graph_add_tensor(graph, "softmax part", ELEMENT_F32, elements, GRAPH_SCRATCH);
    for (uint64_t part = 0; part < parts; part++) {
        cut_part(cutter, part, 0, cutter->blocks);
        struct graph_call *call = add_sparse(graph, shape, io, cutter->out, block, cutter->blocks);
        call->options[OPTION_PARTIAL] = 1;
        call->params.softmax.y_row = (uint32_t)row;
        call->params.softmax.y_group = (uint32_t)(rows * row);
        call->params.softmax.y_batch = (uint32_t)(shape->groups * rows * row);
        call->tensors[SOFTMAX_Y] = part == 0 ? sum : one;
        if (part > 0)
            add_merge(graph, shape, io, rows, one, sum, part + 1 == parts);
    }
}

/* Blocks up to the last one that has too many keys for a call come in parts, all others, before
 * those, in one; it leaves zeros where the parts' rows come. */
static status add_runs(struct graph *graph, const struct attn_shape *shape,
                       const struct attn_io *io, const struct softmax_runs *runs)
{
    uint64_t blocks = size_div_up(shape->n, runs->block), most = 0, keys = part_keys(shape);
    struct cutter cutter = {.words = runs->words, .keys = keys};
    for (uint64_t block = 0; block < blocks; block++) {
        const uint64_t seen = block_keys(runs->words, block);
        if (seen > keys)
            cutter.blocks = block + 1;
        most = size_max(most, seen);
    }
    if (cutter.blocks == 0) {
        add_sparse(graph, shape, io, runs->words, runs->block, blocks);
        return graph_status(graph);
    }
    const uint64_t cut = cutter.blocks;
    cutter.out = malloc(runs->words[blocks] * sizeof(*cutter.out));
    if (!cutter.out)
        return STATUS_OUT_OF_HOST_MEMORY;
    if (cut < blocks) {
        cutter.blocks = blocks;
        cut_part(&cutter, 0, cut, blocks);
        add_sparse(graph, shape, io, cutter.out, runs->block, blocks);
        cutter.blocks = cut;
    }
    add_parts(graph, shape, io, &cutter, runs->block, most);
    free(cutter.out);
    return graph_status(graph);
}

status softmax_add(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                   const struct softmax_runs *runs)
{
    const uint32_t all[] = {2, 4, 0, shape->m};
    if (runs->words)
        return add_runs(graph, shape, io, runs);
    if (shape->m > part_keys(shape) && shape->n > 0)
        return add_runs(graph, shape, io, &(struct softmax_runs){all, shape->n});
    add_call(graph, shape, io);
    return graph_status(graph);
}

static status build(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io)
{
    return softmax_add(graph, shape, io, &(struct softmax_runs){0});
}

void softmax_count(const struct attn_shape *shape, double pairs, double *operations, double *bytes)
{
    double blocks = (double)shape->batch * shape->groups;
    double n = shape->n, m = shape->m, dk = shape->dk, dv = shape->dv;
    *operations = blocks * 2 * pairs * (dk + dv);
    *bytes = blocks * element_bytes(shape->type) * (n * dk + m * (dk + dv) + n * dv);
}

static status cost(const struct attn_shape *shape, bool shared_kv, double *operations,
                   double *bytes)
{
    (void)shared_kv; /* one head: nothing to share */
    softmax_count(shape, (double)shape->n * shape->m, operations, bytes);
    return STATUS_OK;
}

const struct attn_kind attn_softmax = {.name = "softmax", .build = build, .cost = cost};
