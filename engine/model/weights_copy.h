/* weights_copy: copies a file's tensors to their places in the block of weights. */
#ifndef WEIGHTS_COPY_H
#define WEIGHTS_COPY_H

#include "model/safetensors.h"
#include "model/weights.h"

/* Rows first_row .. first_row + rows of a source [., columns]. Its element (r, c), r counted from
 * first_row, goes to the target's element
 *   start + r * row_step + (c / block) * block_step + (c % block) * column_step. */
struct weight_copy {
    struct weight_copy *next;
    const struct st_tensor *source;
    uint64_t first_row, rows, columns;
    const struct weight *target;
    uint64_t start, row_step, column_step, block, block_step;
};

/* Makes all copies of the list into `block`. STATUS_BAD_INPUT names path, tensor and element where
 * a number is not finite, or is too large for the target's type. */
status weight_copies_run(struct logger *log, const struct st_file *file,
                         const struct weight_copy *copies, uint8_t *block);

#endif
