/* softmax: y_i = softmax(q_i k^T / sqrt(dk)) v over the valid keys. One online kernel: never an
 * n x m matrix in memory. */
#include "attn/softmax.h"
#include <assert.h>
#include <math.h>

struct graph_call *softmax_add(struct graph *graph, const struct attn_shape *shape,
                               const struct attn_io *io)
{
    const struct attn_layout *q = &io->q_layout, *y = &io->y_layout;
    const struct attn_layout *k = &io->k[0].layout, *v = &io->v[0].layout;
    struct graph_call *call = graph_add_call(graph, &op_softmax);
    assert(q->start == 0 && y->start == 0);
    call->params.softmax = (struct softmax_params){
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
    call->tensors[SOFTMAX_Q] = io->q;
    call->tensors[SOFTMAX_K] = io->k[0].tensor;
    call->tensors[SOFTMAX_V] = io->v[0].tensor;
    call->tensors[SOFTMAX_KEY_LENGTHS] = io->key_lengths;
    call->tensors[SOFTMAX_QUERY_LENGTHS] = io->query_lengths;
    call->tensors[SOFTMAX_Y] = io->y;
    return call;
}

static status build(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io)
{
    softmax_add(graph, shape, io);
    return graph_status(graph);
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
