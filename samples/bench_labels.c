#include "bench_labels.h"
#include <math.h>
#include <stdbool.h>

static bool overlap(const struct box *a, const struct box *b)
{
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* Clips the segment's parameter range to what lies between two parallel edges of the box. */
static void clip(double start, double direction, double low, double high, double *first,
                 double *last)
{
    if (direction == 0) {
        *last = start > low && start < high ? *last : -1;
        return;
    }
    double a = (low - start) / direction, b = (high - start) / direction;
    *first = fmax(*first, fmin(a, b));
    *last = fmin(*last, fmax(a, b));
}

static bool crosses(const struct box *box, const struct box *segment)
{
    double first = 0, last = 1;
    clip(segment->x0, segment->x1 - segment->x0, box->x0, box->x1, &first, &last);
    clip(segment->y0, segment->y1 - segment->y0, box->y0, box->y1, &first, &last);
    return first < last;
}

static bool is_free(const struct label_space *space, const struct box *box, bool of_lines)
{
    const struct box *bounds = &space->bounds;
    bool free = box->x0 >= bounds->x0 && box->x1 <= bounds->x1 && box->y0 >= bounds->y0 &&
                box->y1 <= bounds->y1;
    for (size_t i = 0; free && i < space->taken_count; i++) {
        free = !overlap(box, &space->taken[i]);
    }
    for (size_t i = 0; free && of_lines && i < space->segment_count; i++) {
        free = !crosses(box, &space->segments[i]);
    }
    return free;
}

/* The free box nearest to `start`, above or below it by up to `reach`. */
static bool find_free(const struct label_space *space, const struct box *start, double reach,
                      bool of_lines, struct box *out)
{
    const double step = 2;
    for (int i = 0; i <= 2 * (int)(reach / step); i++) {
        double shift = step * (double)((i + 1) / 2) * (i % 2 ? -1 : 1);
        *out = (struct box){start->x0, start->y0 + shift, start->x1, start->y1 + shift};
        if (is_free(space, out, of_lines)) {
            return true;
        }
    }
    return false;
}

struct box label_place(const struct label_space *space, double x, double y, double width,
                       double height)
{
    const double gap = 9; /* a marker's half width, and some air */
    const struct box start = {x + gap, y - height / 2, x + gap + width, y + height / 2};
    struct box box;
    /* far from its line a label would mislead: better to lie on another line */
    if (!find_free(space, &start, 2 * height, true, &box) &&
        !find_free(space, &start, space->bounds.y1 - space->bounds.y0, false, &box)) {
        box = start;
    }
    return box;
}
