#include "bench_axis.h"
#include <float.h>
#include <math.h>
#include <string.h>

/* For the ends of a range that was computed from its ticks. */
#define TOLERANCE 1e-9

double axis_place(const struct axis *axis, double value)
{
    double at = axis->linear ? value : log2(value);
    return (at - axis->low) / (axis->high - axis->low);
}

/* "20.0 %" is "20 %" on an axis. */
static struct short_text trimmed(struct short_text label)
{
    char *point = strchr(label.text, '.');
    char *rest = point ? point + strcspn(point, " e") : NULL;
    char *end = rest;
    while (point && end > point && (end[-1] == '0' || end - 1 == point)) {
        end--;
    }
    if (point) {
        memmove(end, rest, strlen(rest) + 1);
    }
    return label;
}

static void add_tick(struct axis *axis, double value, struct short_text label)
{
    double place = axis_place(axis, value);
    if (place >= -TOLERANCE && place <= 1 + TOLERANCE && axis->tick_count < AXIS_MAX_TICKS) {
        axis->ticks[axis->tick_count] = value;
        axis->labels[axis->tick_count++] = trimmed(label);
    }
}

/* Every power of 2, or of 4, 8, ... so that there are not more than `ticks`. */
static void add_powers_of_two(struct axis *axis, struct short_text (*show)(double), size_t ticks)
{
    int first = (int)ceil(axis->low - TOLERANCE), last = (int)floor(axis->high + TOLERANCE);
    int step = 1;
    while ((last - first) / step + 1 > (int)ticks) {
        step++;
    }
    /* steps count from 2^0, so that the ticks of pages with other ranges are the same */
    for (int i = (int)ceil((double)first / step) * step; i <= last; i += step) {
        add_tick(axis, ldexp(1, i), show(ldexp(1, i)));
    }
}

static void add_decades(struct axis *axis, size_t ticks)
{
    const double decade = log2(10);
    int first = (int)floor(axis->low / decade), last = (int)ceil(axis->high / decade);
    double decades = (axis->high - axis->low) / decade;
    bool fine = decades * 3 <= (double)ticks;
    int step = 1;
    while (decades / step > (double)ticks) {
        step++;
    }
    for (int i = first; i <= last; i++) {
        double power = pow(10, i);
        if (i % step == 0) {
            add_tick(axis, power, text_number(power));
        }
        if (fine) {
            add_tick(axis, power * 2, text_number(power * 2));
            add_tick(axis, power * 5, text_number(power * 5));
        }
    }
}

/* Steps of 1, 2 or 5 times a power of 10. */
static void add_linear(struct axis *axis, struct short_text (*show)(double), size_t ticks)
{
    double rough = axis->high / (double)ticks, power = pow(10, floor(log10(rough)));
    double factor = rough / power;
    double step = power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
    for (int i = 0; i * step <= axis->high * (1 + TOLERANCE); i++) {
        add_tick(axis, i * step, show(i * step));
    }
}

void axis_init(struct axis *axis, enum axis_kind kind, double low, double high, size_t ticks)
{
    struct short_text (*const show[])(double) = {[AXIS_LENGTH] = text_length,
                                                 [AXIS_BYTES] = text_bytes,
                                                 [AXIS_SHARE] = text_percent,
                                                 [AXIS_AMOUNT] = text_si};
    *axis = (struct axis){.linear = kind == AXIS_SHARE || kind == AXIS_AMOUNT};
    if (axis->linear) {
        axis->high = high > DBL_MIN / DBL_EPSILON ? high : 1; /* steps of it are above 0 */
        add_linear(axis, show[kind], ticks);
        return;
    }
    axis->low = log2(low);
    axis->high = log2(high);
    double room = fmax(1, axis->high - axis->low) / 24; /* markers keep off the edges */
    axis->low -= room;
    axis->high += room;
    if (axis->high - axis->low < 2) { /* one number, or close ones: a tick on either side */
        double middle = round((axis->low + axis->high) / 2);
        axis->low = middle - 1.5;
        axis->high = middle + 1.5;
    }
    if (kind == AXIS_NUMBER) {
        add_decades(axis, ticks);
    } else {
        add_powers_of_two(axis, show[kind], ticks);
    }
}
