/* tune: measures, for each of shapes.h, which candidate is the fastest on a device.
 *
 * A candidate takes part when the device can run it for the shape, when op_check finds it right,
 * and when its numbers over the shape are those of the usual candidate but for rounding. All that
 * take part run in turns; another one than the usual is chosen where its median is better by more
 * than LEAST_GAIN and its times and the usual one's do not overlap but at their ends. */
#ifndef TUNE_H
#define TUNE_H

#include "ops/choices.h"
#include "ops/shapes.h"

enum op_tune_outcome {
    OP_TUNE_BETTER, /* `best` is chosen from now on */
    OP_TUNE_USUAL,  /* the usual one is the best, or as good as it */
    OP_TUNE_WRONG,  /* `best` computes something else: it takes no part */
    OP_TUNE_LEFT,   /* there was no time, or no memory, for the shape */
};

struct op_tune_report {
    enum op_tune_outcome outcome;
    const struct op_shape *shape;
    uint32_t rows;                           /* that were timed */
    const struct op_candidate *usual, *best; /* best: NULL when LEFT */
    double usual_ms, best_ms;                /* medians of one run; 0 where it was not timed */
    const char *why;                         /* WRONG, LEFT: words; else "" */
};

struct op_tune_params {
    enum element_type type; /* of storage */
    double max_ms;          /* for all of it; what is being compiled then ends first */
    /* Not NULL. Pointers in the report but `why` stay valid. */
    void (*report)(void *user, const struct op_tune_report *report);
    void *user;
};

/* Enters what it finds in *choices. Shapes that have only one candidate on the device are passed
 * over; those of which *choices knows nothing come first. STATUS_CANCELLED as for
 * gpu_commands_run; progress goes to the device's function. */
status op_tune(struct gpu_device *device, const struct op_tune_params *params,
               struct op_choices *choices);

/* ---- tune_shape.c ---- */

/* What is known of candidates while a device is tuned. */
struct op_tuning {
    struct gpu_device *device;
    const struct op_tune_params *params;
    struct random random;
    double end_ms; /* of the host's clock */
};

/* Times the candidates of one shape, enters the best in *choices and reports. */
status op_tune_shape(struct op_tuning *tuning, const struct op_shape *shape,
                     struct op_choices *choices);

#endif
