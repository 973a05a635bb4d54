/* tensors: reads tensors whose shapes must fit each other, as `attend` and `run` take them.
 *
 * A shape is written with a letter an axis, as in "BGnk". The first tensor that has a letter gives
 * it its size; tensors after it must agree, and a refusal names the file, the tensor, its shape and
 * the sizes that were expected. */
#ifndef TENSORS_H
#define TENSORS_H

#include "model/safetensors.h"

enum axis {
    AXIS_BATCH,       /* B */
    AXIS_GROUPS,      /* G */
    AXIS_HEADS,       /* H; h: H or 1, one projection shared by all heads */
    AXIS_QUERIES,     /* n */
    AXIS_KEYS,        /* m */
    AXIS_KEY_WIDTH,   /* k */
    AXIS_VALUE_WIDTH, /* v */
    AXIS_COUNT
};

struct axes {
    bool known[AXIS_COUNT];
    uint32_t size[AXIS_COUNT];
};

/* The tensor of that name, whose shape fits; sizes of new letters go to *axes. All sizes are >= 1
 * but those of n and m, which may be 0. */
status tensors_find(struct logger *log, const struct st_file *file, const char *name,
                    const char *letters, struct axes *axes, const struct st_tensor **out);
/* Numbers in host memory: of a file, while it is open, or converted. */
struct floats {
    const float *data;
    float *owned; /* to be freed; NULL: the file's */
};
/* The same, and its numbers; F32, F16, BF16 or F64. */
status tensors_floats(struct logger *log, const struct st_file *file, const char *name,
                      const char *letters, struct axes *axes, struct floats *out);
/* Lengths [B], I32 or I64, each 0..size of `limit`; *out is NULL when the file has none of that
 * name, else it is to be freed. */
status tensors_lengths(struct logger *log, const struct st_file *file, const char *name,
                       struct axes *axes, enum axis limit, uint32_t **out);
/* Says how many numbers of a result, F32 in memory, are not finite, if any; path: its file's. */
void tensors_warn_not_finite(struct logger *log, const char *path, const struct st_tensor *tensor,
                             bool half);
/* calloc for count * size bytes, at least one; reports what there was no memory for. */
status tensors_alloc(struct logger *log, const char *what, uint64_t count, size_t size, void *out);

#endif
