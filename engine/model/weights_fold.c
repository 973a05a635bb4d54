#include "model/weights_fold.h"
#include <math.h>
#include <stdlib.h>

/* Sums over k of a product's columns. */
struct columns {
    double shift; /* t[k] W[k] */
    double sum;   /* s[k] W[k], as it is kept */
};

static struct tensor in_block(const struct weight *weight, uint8_t *block)
{
    return (struct tensor){
        .type = weight->type, .elements = weight->elements, .host = block + weight->offset};
}

/* False when a number is too large for the type of W. */
static bool fold_row(struct tensor *w, uint64_t first, uint64_t n, double scale, double shift,
                     struct columns *columns)
{
    for (uint64_t c = 0; c < n; c++) {
        double number = tensor_get(w, first + c);
        columns[c].shift += shift * number;
        tensor_set(w, first + c, scale * number);
        double kept = tensor_get(w, first + c);
        if (!isfinite(kept))
            return false;
        columns[c].sum += kept;
    }
    return true;
}

status weights_fold(struct logger *log, const char *path, const char *name,
                    const struct norm_weights *norm, const struct linear_weights *linear,
                    uint8_t *block)
{
    uint64_t n = 4 * (uint64_t)linear->n4, k = 4 * (uint64_t)linear->k4;
    struct tensor w = in_block(&linear->weight, block), bias = in_block(&linear->bias, block);
    struct tensor scale = in_block(&norm->scale, block), shift = in_block(&norm->bias, block);
    struct columns *columns = calloc(n, sizeof(*columns));
    if (!columns)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory to fold \"%s\"", path, name);
    bool fits = true;
    for (uint64_t row = 0; row < k && fits; row++)
        fits = fold_row(&w, row * n, n, tensor_get(&scale, row), tensor_get(&shift, row), columns);
    for (uint64_t c = 0; c < n; c++) {
        tensor_set(&bias, c, tensor_get(&bias, c) + columns[c].shift);
        tensor_set(&bias, n + c, columns[c].sum);
    }
    free(columns);
    if (fits)
        return STATUS_OK;
    bool half = linear->weight.type == ELEMENT_F16;
    return fail(log, STATUS_BAD_INPUT, "%s: tensor \"%s\": scale times weight passes %s storage",
                path, name, half ? "65504 of 16 bit" : "3.4e38 of 32 bit");
}
