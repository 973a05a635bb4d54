/* Rows of a layer by the formulas. Keys are projected from the means of X, for the row's head only;
 * values are linear in X, so that one projection of their weighted mean is enough. */
#include "bench_check.h"
#include "bench_layer.h"
#include "ops/random.h"
#include <stdlib.h>

#define CHECK_ROWS 2
#define TRIES      4096 /* to find a row that no rounding routes elsewhere */

static const double least_margins[] = {[TYPE_F32] = 1e-3, [TYPE_F16] = 5e-2};

/* Columns of a product as a dense matrix. */
struct matrix {
    float *weight; /* [d_model, d] */
    float *bias;   /* [d] */
};

/* Memory and matrices of one row; those of a group and head are filled in as it goes on. */
struct layer_row {
    const struct work *work;
    const struct layer *layer;
    uint32_t b;
    struct matrix query, key, value;
    float *product;    /* [d] */
    double *x;         /* [d_model] */
    double *mean;      /* [d_model]: weighted mean of X */
    double *q, *y;     /* [d] */
    double *logits;    /* [H] */
    double *out, *got; /* [d_model] */
    void *memory;
};

static double weight_at(const struct layer *layer, const struct weight *weight, uint64_t element)
{
    const struct tensor tensor = {.type = weight->type,
                                  .elements = weight->elements,
                                  .host = layer->weights.host + weight->offset};
    return tensor_get(&tensor, element);
}

/* Columns from quad `column` on. */
static void take_matrix(const struct layer *layer, const struct linear_weights *linear,
                        uint32_t column, struct matrix *out)
{
    uint32_t d = layer->config.head_dim;
    uint64_t width = (uint64_t)linear->n4 * 4, first = (uint64_t)column * 4;
    for (uint32_t c = 0; c < d; c++) {
        out->bias[c] = (float)weight_at(layer, &linear->bias, first + c);
    }
    for (uint32_t i = 0; i < layer->config.hidden_size; i++) {
        for (uint32_t c = 0; c < d; c++) {
            out->weight[(size_t)i * d + c] =
                (float)weight_at(layer, &linear->weight, i * width + first + c);
        }
    }
}

/* out [d] = x W + b; the sums are floats, so that compilers make vectors of them. */
static void project(const struct layer_row *row, const struct matrix *matrix, const double *x,
                    double *out)
{
    uint32_t d = row->layer->config.head_dim;
    float *restrict sum = row->product;
    for (uint32_t c = 0; c < d; c++) {
        sum[c] = matrix->bias[c];
    }
    for (uint32_t i = 0; i < row->layer->config.hidden_size; i++) {
        const float *restrict weight = matrix->weight + (size_t)i * d;
        float factor = (float)x[i];
        for (uint32_t c = 0; c < d; c++) {
            sum[c] += factor * weight[c];
        }
    }
    for (uint32_t c = 0; c < d; c++) {
        out[c] = (double)sum[c];
    }
}

static void read_x(const struct layer_row *row, uint64_t token, double *out)
{
    const struct number_rows *rows = &work_find(row->work, row->layer->x)->rows;
    numbers_row(row->work->numbers, rows, (uint64_t)row->b * row->work->spec.n + token, out);
}

/* row_source.means: the "value" is the mean of X itself. */
static void means(const void *user, uint32_t head, uint64_t first, uint64_t end, double *key,
                  double *value)
{
    const struct layer_row *row = user;
    uint32_t width = row->layer->config.hidden_size;
    (void)head; /* row->key is the head's */
    for (uint32_t i = 0; i < width; i++) {
        value[i] = 0;
    }
    for (uint64_t t = first; t < end; t++) {
        read_x(row, t, row->x);
        for (uint32_t i = 0; i < width; i++) {
            value[i] += row->x[i] / (double)(end - first);
        }
    }
    project(row, &row->key, value, key);
}

/* q of a group, and its head; *margin as check_route's. */
static uint32_t route(struct layer_row *row, uint32_t index, uint32_t g, double *prob,
                      double *margin)
{
    const struct layer *layer = row->layer;
    const struct layer_weights *weights = &layer->layer;
    uint32_t heads = layer->config.heads, dk4 = layer->weights.projections.dk4;
    take_matrix(layer, &layer->products[0], g * dk4, &row->query);
    read_x(row, index, row->x);
    project(row, &row->query, row->x, row->q);
    *prob = *margin = 1;
    if (!layer->config.attention->multires) {
        return 0;
    }
    for (uint32_t h = 0; h < heads; h++) {
        uint64_t at = (uint64_t)g * heads + h;
        row->logits[h] = weight_at(layer, &weights->router_bias, at);
        for (uint32_t f = 0; f < layer->config.head_dim; f++) {
            row->logits[h] +=
                weight_at(layer, &weights->router_weight, at * dk4 * 4 + f) * row->q[f];
        }
    }
    return check_route(row->logits, heads, prob, margin);
}

/* Adds what group g gives to out, by its rows of the output projection. */
static status add_group(struct layer_row *row, uint32_t index, uint32_t g)
{
    const struct layer *layer = row->layer;
    const struct projections *projections = &layer->weights.projections;
    const struct linear_weights *output = &layer->layer.output;
    double prob, margin;
    struct row_query query = {.q = row->q, .index = index};
    query.head = route(row, index, g, &prob, &margin);
    const struct head_columns *columns = &projections->heads[query.head];
    const struct linear_weights *product = &layer->products[columns->product];
    take_matrix(layer, product, columns->key + g * projections->dk4, &row->key);
    take_matrix(layer, product, columns->value + g * projections->dk4, &row->value);
    const struct row_source source = {means, row, layer->config.hidden_size};
    status result = check_row(row->work->device->log, layer->config.attention, &layer->form.shape,
                              &source, &query, row->mean);
    if (result != STATUS_OK) {
        return result;
    }
    project(row, &row->value, row->mean, row->y);
    for (uint32_t f = 0; f < layer->config.head_dim; f++) {
        uint64_t at = ((uint64_t)g * projections->dk4 * 4 + f) * output->n4 * 4;
        for (uint32_t i = 0; i < layer->config.hidden_size; i++) {
            row->out[i] += prob * row->y[f] * weight_at(layer, &output->weight, at + i);
        }
    }
    return STATUS_OK;
}

/* A random row whose router is decided in every group; false when none was found. */
static bool find_row(struct layer_row *row, struct random *random, uint32_t *index)
{
    const struct work_spec *spec = &row->work->spec;
    for (uint32_t i = 0; i < TRIES; i++) {
        uint32_t decided = 0;
        row->b = random_between(random, 0, spec->batch - 1);
        *index = random_between(random, 0, spec->n - 1);
        while (decided < spec->groups) {
            double prob, margin;
            route(row, *index, decided, &prob, &margin);
            if (margin < least_margins[spec->type]) {
                break;
            }
            decided++;
        }
        if (decided == spec->groups) {
            return true;
        }
    }
    return false;
}

static status init_row(struct work *work, struct layer_row *row)
{
    const struct layer *layer = work->state;
    size_t d = layer->config.head_dim, width = layer->config.hidden_size;
    size_t doubles = 4 * width + 2 * d + ATTN_MAX_HEADS, floats = 3 * (width + 1) * d + d;
    *row = (struct layer_row){.work = work, .layer = layer};
    row->memory = calloc(1, doubles * sizeof(double) + floats * sizeof(float));
    if (!row->memory) {
        return fail(work->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a check");
    }
    row->x = row->memory;
    row->mean = row->x + width;
    row->out = row->mean + width;
    row->got = row->out + width;
    row->q = row->got + width;
    row->y = row->q + d;
    row->logits = row->y + d;
    float *next = (float *)(row->logits + ATTN_MAX_HEADS);
    struct matrix *matrices[] = {&row->query, &row->key, &row->value};
    for (size_t i = 0; i < ARRAY_SIZE(matrices); i++, next += (width + 1) * d) {
        *matrices[i] = (struct matrix){.weight = next, .bias = next + width * d};
    }
    row->product = next;
    return STATUS_OK;
}

status layer_check(struct work *work, struct work_error *error)
{
    const struct layer *layer = work->state;
    struct random random = random_seed(1);
    struct layer_row row;
    uint32_t index = 0, width = layer->config.hidden_size;
    status result = init_row(work, &row);
    for (uint32_t i = 0; i < CHECK_ROWS && result == STATUS_OK; i++) {
        if (!find_row(&row, &random, &index)) {
            break;
        }
        for (uint32_t c = 0; c < width; c++) {
            row.out[c] = weight_at(layer, &layer->layer.output.bias, c);
        }
        for (uint32_t g = 0; g < work->spec.groups && result == STATUS_OK; g++) {
            result = add_group(&row, index, g);
        }
        if (result == STATUS_OK) {
            result = work_read_row(work, layer->y, (uint64_t)row.b * work->spec.n + index, row.got);
        }
        work_compare(error, row.got, row.out, width);
    }
    free(row.memory);
    return result;
}
