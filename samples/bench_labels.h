/* bench_labels: places the names of lines at their ends so that they can be read. */
#ifndef BENCH_LABELS_H
#define BENCH_LABELS_H

#include <stddef.h>

struct box {
    double x0, y0, x1, y1;
};

/* What labels keep clear of. */
struct label_space {
    struct box bounds;          /* labels lie within */
    const struct box *segments; /* from (x0, y0) to (x1, y1) */
    size_t segment_count;
    const struct box *taken; /* other labels */
    size_t taken_count;
};

/* A box of that size to the right of (x, y), as near to y as is free: of labels and lines, else of
 * labels; right beside (x, y) where nothing is. */
struct box label_place(const struct label_space *space, double x, double y, double width,
                       double height);

#endif
