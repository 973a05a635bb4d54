/* The core pass: the attention alone, router logits given. */
#include "attention_form.h"
#include "bench_check.h"
#include "bench_work.h"
#include "ops/random.h"
#include <stdlib.h>

struct core {
    struct attention_form form;
    tensor_id tensors[SLOT_COUNT];
};

static status build(struct work *work)
{
    const struct work_spec *spec = &work->spec;
    adamra_attention_params params = work_attention(spec);
    params.shared_keys = params.shared_values = spec->shared_kv;
    struct logger *log = work->device->log;
    struct core *core = work->state = calloc(1, sizeof(*core));
    if (!core) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for an attention");
    }
    status result = attention_form_init(log, &params, &core->form);
    if (result != STATUS_OK) {
        return result;
    }
    result = attention_form_build(&core->form, &(struct attention_variant){0}, &work->graph,
                                  core->tensors);
    if (result != STATUS_OK) {
        return fail(log, result, "bench: no memory for the graph of an attention");
    }
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &core->form.slots[i];
        if (core->tensors[i] == NO_TENSOR) {
            continue;
        }
        if (slot->type == ELEMENT_U32) {
            work_add_words(work, core->tensors[i], slot->rows, FILL_COUNT, spec->n);
        } else {
            work_add_rows(work, core->tensors[i], i == SLOT_Y ? WORK_OUTPUT : WORK_INPUT,
                          slot->type, slot->rows, slot->width, slot->stride);
        }
    }
    work->operations = core->form.operations;
    work->bytes = core->form.bytes;
    return STATUS_OK;
}

/* ---- check ---- */

/* The keys and values of one (batch row, group). */
struct block {
    const struct work *work;
    const struct core *core;
    uint64_t index; /* of the block: b * G + g */
    double *row;    /* [d] */
};

static void add_mean(const struct block *block, enum slot_index slot, uint32_t head, uint64_t first,
                     uint64_t end, double *mean)
{
    const struct attn_shape *shape = &block->core->form.shape;
    const struct number_rows *rows = &work_find(block->work, block->core->tensors[slot])->rows;
    uint64_t heads = block->work->spec.shared_kv ? 1 : shape->heads;
    uint64_t start = (block->index * heads + (heads == 1 ? 0 : head)) * shape->m;
    for (uint32_t c = 0; c < rows->width; c++) {
        mean[c] = 0;
    }
    for (uint64_t t = first; t < end; t++) {
        numbers_row(block->work->numbers, rows, start + t, block->row);
        for (uint32_t c = 0; c < rows->width; c++) {
            mean[c] += block->row[c] / (double)(end - first);
        }
    }
}

static void block_means(const void *user, uint32_t head, uint64_t first, uint64_t end, double *key,
                        double *value)
{
    add_mean(user, SLOT_K, head, first, end, key);
    add_mean(user, SLOT_V, head, first, end, value);
}

/* Row `index` of block (b, g), by the formula. memory: 2 d numbers, and the heads' logits. */
static status reference_row(const struct work *work, struct block *block, uint32_t index,
                            double *memory, double *out)
{
    const struct core *core = work->state;
    const struct attn_shape *shape = &core->form.shape;
    double *q = memory, *logits = memory + 2 * (size_t)shape->dk, prob = 1;
    uint64_t row = block->index * shape->n + index;
    struct row_query query = {.q = q, .index = index};
    block->row = memory + shape->dk;
    numbers_row(work->numbers, &work_find(work, core->tensors[SLOT_Q])->rows, row, q);
    if (work->spec.kind->multires) {
        numbers_row(work->numbers, &work_find(work, core->tensors[SLOT_LOGITS])->rows, row, logits);
        query.head = check_route(logits, shape->heads, &prob, NULL);
    }
    const struct row_source source = {block_means, block, shape->dv};
    status result = check_row(work->device->log, work->spec.kind, shape, &source, &query, out);
    for (uint32_t c = 0; c < shape->dv; c++) {
        out[c] *= prob;
    }
    return result;
}

static status check(struct work *work, struct work_error *error)
{
    const struct core *core = work->state;
    const struct attn_shape *shape = &core->form.shape;
    struct random random = random_seed(1);
    uint32_t rows = check_rows(shape->n, (uint64_t)shape->dk + shape->dv);
    uint32_t d = shape->dk;
    double *memory = calloc(4 * (size_t)d + ADAMRA_MAX_HEADS, sizeof(*memory));
    if (!memory) {
        return fail(work->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a check");
    }
    double *reference = memory, *row = memory + d;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < rows && result == STATUS_OK; i++) {
        /* The last row, the first one, which sees all keys with bigbird too, then any. */
        const uint32_t ends[] = {shape->n - 1, 0};
        uint32_t index =
            i < ARRAY_SIZE(ends) ? ends[i] : random_between(&random, 0, shape->n - 1);
        struct block block = {.work = work, .core = core};
        block.index = i ? random_between(&random, 0, shape->batch * shape->groups - 1) : 0;
        result = reference_row(work, &block, index, memory + 2 * (size_t)d, reference);
        if (result == STATUS_OK) {
            result =
                work_read_row(work, core->tensors[SLOT_Y], block.index * shape->n + index, row);
        }
        work_compare(error, row, reference, d);
    }
    free(memory);
    return result;
}

static uint32_t check_length(const struct work_spec *spec)
{
    return spec->n;
}

static void finish(struct work *work)
{
    free(work->state);
}

const struct work_pass work_core = {build, check, check_length, finish};
