/* bench_axis: from numbers to a place between 0 and 1, with ticks at round numbers. */
#ifndef BENCH_AXIS_H
#define BENCH_AXIS_H

#include "bench_text.h"
#include <stdbool.h>

#define AXIS_MAX_TICKS 32

enum axis_kind {
    AXIS_LENGTH, /* logarithmic, powers of 2 */
    AXIS_BYTES,  /* logarithmic, powers of 2, in KiB, MiB, ... */
    AXIS_NUMBER, /* logarithmic, decades; 1, 2, 5 where the range is small */
    AXIS_SHARE,  /* linear from 0, percent */
    AXIS_AMOUNT, /* linear from 0, k, M, ... */
};

struct axis {
    bool linear;
    double low, high; /* what is at 0 and 1; logarithms unless linear */
    double ticks[AXIS_MAX_TICKS];
    struct short_text labels[AXIS_MAX_TICKS];
    size_t tick_count;
};

/* An axis on which low..high fits, with some `ticks` ticks; logarithmic ones need 0 < low. */
void axis_init(struct axis *axis, enum axis_kind kind, double low, double high, size_t ticks);
/* 0..1 for what is on the axis. */
double axis_place(const struct axis *axis, double value);

#endif
