/* The op pass: one product C [m, n] = A [m, k] W [k, n]. */
#include "bench_check.h"
#include "bench_work.h"
#include "ops/random.h"
#include <stdlib.h>

struct op_tensors {
    tensor_id a, w, c;
};

static status build(struct work *work)
{
    const struct product_size *size = &work->spec.product;
    struct logger *log = work->device->log;
    enum element_type type = work->spec.type;
    uint64_t k4 = size_div_up(size->k, 4), n4 = size_div_up(size->n, 4);
    struct op_tensors *ids = work->state = calloc(1, sizeof(*ids));
    if (!ids) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a product");
    }
    if (size->m * k4 > UINT32_MAX || size->m * n4 > UINT32_MAX || k4 * 4 * n4 > UINT32_MAX) {
        return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                    "a matrix of the product: expected less than 2^32 quads");
    }
    struct graph *graph = &work->graph;
    ids->a = graph_add_tensor(graph, "A", type, size->m * k4 * 4, GRAPH_BOUND);
    ids->w = graph_add_tensor(graph, "W", type, k4 * 4 * n4 * 4, GRAPH_BOUND);
    ids->c = graph_add_tensor(graph, "C", type, size->m * n4 * 4, GRAPH_BOUND);
    struct graph_call *call = graph_add_call(graph, &op_linear);
    call->params.linear = (struct linear_params){.rows = size->m,
                                                 .k4 = (uint32_t)k4,
                                                 .n4 = (uint32_t)n4,
                                                 .a_row = (uint32_t)k4,
                                                 .w_row = (uint32_t)n4,
                                                 .c_row = (uint32_t)n4};
    call->tensors[LINEAR_A] = ids->a;
    call->tensors[LINEAR_W] = ids->w;
    call->tensors[LINEAR_C] = ids->c;
    work_add_rows(work, ids->a, WORK_INPUT, type, size->m, size->k, (uint32_t)k4 * 4);
    work_add_rows(work, ids->w, WORK_INPUT, type, k4 * 4, size->n, (uint32_t)n4 * 4);
    work_add_rows(work, ids->c, WORK_OUTPUT, type, size->m, size->n, (uint32_t)n4 * 4);
    double m = size->m, k = size->k, n = size->n;
    work->operations = 2 * m * k * n;
    work->bytes = (m * k + k * n + m * n) * element_bytes(type);
    return graph_status(graph);
}

/* reference [n] = row of A times W */
static void reference_row(const struct work *work, uint64_t row, double *a, double *w,
                          double *reference)
{
    const struct op_tensors *ids = work->state;
    const struct product_size *size = &work->spec.product;
    numbers_row(work->numbers, &work_find(work, ids->a)->rows, row, a);
    for (uint32_t c = 0; c < size->n; c++) {
        reference[c] = 0;
    }
    for (uint32_t i = 0; i < size->k; i++) {
        numbers_row(work->numbers, &work_find(work, ids->w)->rows, i, w);
        for (uint32_t c = 0; c < size->n; c++) {
            reference[c] += a[i] * w[c];
        }
    }
}

static status check(struct work *work, struct work_error *error)
{
    const struct op_tensors *ids = work->state;
    const struct product_size *size = &work->spec.product;
    struct random random = random_seed(1);
    double *memory = malloc(((size_t)size->k + 3 * (size_t)size->n) * sizeof(*memory));
    if (!memory) {
        return fail(work->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a check");
    }
    double *a = memory, *w = a + size->k, *reference = w + size->n, *row = reference + size->n;
    uint32_t rows = check_rows(size->k, size->n);
    status result = STATUS_OK;
    for (uint32_t i = 0; i < rows && result == STATUS_OK; i++) {
        uint32_t index = i ? random_between(&random, 0, size->m - 1) : size->m - 1;
        reference_row(work, index, a, w, reference);
        result = work_read_row(work, ids->c, index, row);
        work_compare(error, row, reference, size->n);
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

const struct work_pass work_op = {build, check, check_length, finish};
