/* weights_fold: norms as parts of the products that read their rows.
 *
 * What a norm makes of a row x, with y = (x - mean) / sqrt(variance + eps), is y s + t; a product
 * of that, (y s + t) W + b, is y (diag(s) W) + (t W + b). So scale and shift of a norm are kept
 * within the products, whose kernels need the moments of a row alone (params.h, normed). Where the
 * mean is far larger than the deviation, their sums lose the bits that x had lost when it was
 * rounded. */
#ifndef WEIGHTS_FOLD_H
#define WEIGHTS_FOLD_H

#include "model/weights.h"

/* Folds `norm`, whose weight is the tensor `name` of the file `path`, into the product
 * `linear`; both lie in `block`. STATUS_BAD_INPUT names path and tensor where a number becomes too
 * large for the storage type. */
status weights_fold(struct logger *log, const char *path, const char *name,
                    const struct norm_weights *norm, const struct linear_weights *linear,
                    uint8_t *block);

#endif
