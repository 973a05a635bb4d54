/*
 * adamra_tune: measures which kernels are the fastest on a device, and keeps it for later contexts.
 *
 * Every operation has several kernels. Which one usually runs is known beforehand for a kind of
 * device; on a device of its own another one may be faster. The rules of adamra.h hold.
 */
#ifndef ADAMRA_TUNE_H
#define ADAMRA_TUNE_H

#include "adamra.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum adamra_tune_outcome {
    ADAMRA_TUNE_BETTER, /* `best` is faster than the usual kernel by more than the times vary */
    ADAMRA_TUNE_USUAL,  /* the usual kernel is the fastest, or as fast as any */
    ADAMRA_TUNE_WRONG,  /* `best` computes something else on this device: it is never chosen */
    ADAMRA_TUNE_LEFT    /* not measured: there was no time left, or no memory */
} adamra_tune_outcome;

/* What came out for one operation on widths that stand for others like them. */
typedef struct adamra_tune_report {
    adamra_tune_outcome outcome;
    const char *op;           /* "linear" */
    const char *shape;        /* "k 512, n 576" */
    uint32_t rows;            /* that were timed: as many as take about 10 ms */
    const char *usual, *best; /* names of kernels; best: NULL with ADAMRA_TUNE_LEFT */
    double usual_ms, best_ms; /* medians; 0 for what was not timed */
    const char *why;          /* ADAMRA_TUNE_WRONG and ADAMRA_TUNE_LEFT: in words; else "" */
} adamra_tune_report;

typedef struct adamra_tune_params {
    adamra_type type;   /* of storage: choices for the other one stay as they are */
    double max_seconds; /* for all of it, but that what was begun may take some more, a second or
                         * two where a kernel is being compiled; 0 means 60; negative or not finite
                         * is an error */
    /* Called in between, on the caller's thread, with texts that live during the call; may be NULL
     */
    void (*report)(void *user, const adamra_tune_report *report);
    void *user;
} adamra_tune_params;

/*
 * Measures the kernels of all operations, each compared with the reference first, and has the
 * context use the fastest where it makes plans from now on: results differ by rounding only. They
 * are kept where the context keeps pipelines (adamra_cache), for this device, driver and version of
 * adamra, and found there by contexts that are made later, but those with no_tune. What was left
 * for want of time is measured first the next time. A context with `limits` keeps nothing.
 * adamra_cancel and the progress callback end it with ADAMRA_CANCELLED; what was measured by then
 * counts as if the time had run out.
 * params: may be NULL, which is {0}
 * kept: set to 1 when the choices are kept, to 0 when they are this context's alone, or nothing was
 *    measured; may be NULL
 */
ADAMRA_API adamra_status adamra_tune(adamra_context *context, const adamra_tune_params *params,
                                     int *kept);

#ifdef __cplusplus
}
#endif

#endif
