#include "ops/example.h"
#include "ops/reference.h"

/* What the sum of products is when A's row is normalised. */
static double normalise(const struct op_call *call, uint64_t row, uint32_t column, double sum)
{
    const struct linear_params *p = &call->params.linear;
    const struct tensor *moments = &call->tensors[LINEAR_MOMENTS];
    double mean = tensor_get(moments, 4 * row), scale = tensor_get(moments, 4 * row + 1);
    uint64_t at = 4 * ((uint64_t)p->bias_start + p->n4) + column;
    return (sum - mean * tensor_get(&call->tensors[LINEAR_BIAS], at)) * scale;
}

/* Columns [column, column + count) of row `row`. */
static void linear_block(const struct op_call *call, uint64_t row, uint32_t column, uint32_t count)
{
    const struct linear_params *p = &call->params.linear;
    const struct tensor *tensors = call->tensors;
    double sum[REFERENCE_COLUMNS] = {0};
    uint64_t a_at = 4 * (p->a_start + row * p->a_row);
    uint64_t c_at = 4 * (p->c_start + row * p->c_row) + column;
    for (uint64_t k = 0; k < 4 * (uint64_t)p->k4; k++) {
        double a = tensor_get(&tensors[LINEAR_A], a_at + k);
        uint64_t w_at = 4 * (p->w_start + k * p->w_row) + column;
        for (uint32_t c = 0; c < count; c++)
            sum[c] += a * tensor_get(&tensors[LINEAR_W], w_at + c);
    }
    for (uint32_t c = 0; c < count; c++) {
        double x = sum[c];
        if (call->options[OPTION_NORMED])
            x = normalise(call, row, column + c, x);
        if (call->options[OPTION_BIAS])
            x += tensor_get(&tensors[LINEAR_BIAS], 4 * (uint64_t)p->bias_start + column + c);
        if (call->options[OPTION_GELU])
            x = gelu(x);
        if (call->options[OPTION_RESIDUAL])
            x += tensor_get(&tensors[LINEAR_RESIDUAL], c_at + c);
        tensor_set(&tensors[LINEAR_C], c_at + c, x);
    }
}

void linear_reference(const struct op_call *call)
{
    uint32_t columns = 4 * call->params.linear.n4;
    for (uint64_t row = 0; row < call->params.linear.rows; row++)
        for (uint32_t c = 0; c < columns; c += REFERENCE_COLUMNS)
            linear_block(call, row, c, (uint32_t)size_min(REFERENCE_COLUMNS, columns - c));
}

void linear_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct linear_params *p = &call->params.linear;
    double m = p->rows, k = 4.0 * p->k4, n = 4.0 * p->n4;
    const struct tensor *c = &call->tensors[LINEAR_C];
    *operations = 2 * m * k * n;
    *bytes = m * k * element_bytes(call->tensors[LINEAR_A].type) +
             k * n * element_bytes(call->tensors[LINEAR_W].type) +
             m * n * element_bytes(c->type) * (call->options[OPTION_RESIDUAL] ? 2 : 1);
}

void linear_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct linear_params *p = &call->params.linear;
    p->rows = example_rows(random, example_chance(random, 8) ? 300 : 150);
    p->k4 = example_quads(random);
    p->n4 = example_quads(random) + (example_chance(random, 4) ? 24 : 0);
    for (uint32_t option = OPTION_BIAS; option <= OPTION_NORMED; option++)
        call->options[option] = random_between(random, 0, 1);
    struct span_layout a = example_layout(random, 1, 1, p->rows, p->k4);
    struct span_layout w = example_layout(random, 1, 1, 4 * (uint64_t)p->k4, p->n4);
    struct span_layout c = example_layout(random, 1, 1, p->rows, p->n4);
    p->a_start = (uint32_t)a.start;
    p->a_row = (uint32_t)a.row;
    p->w_start = (uint32_t)w.start;
    p->w_row = (uint32_t)w.row;
    p->c_start = (uint32_t)c.start;
    p->c_row = (uint32_t)c.row;
    p->bias_start = random_between(random, 0, 2);
    example_place(call, LINEAR_A, type, &a, 1);
    example_place(call, LINEAR_W, type, &w, 1);
    example_place(call, LINEAR_C, type, &c, 1);
    bool normed = call->options[OPTION_NORMED];
    if (call->options[OPTION_BIAS] || normed)
        example_tensor(call, LINEAR_BIAS, type,
                       4 * (uint64_t)(p->bias_start + p->n4 * (normed ? 2 : 1)));
    if (normed)
        example_tensor(call, LINEAR_MOMENTS, ELEMENT_F32, 4 * (uint64_t)p->rows);
    if (call->options[OPTION_RESIDUAL])
        example_place(call, LINEAR_RESIDUAL, type, &c, 1);
}
