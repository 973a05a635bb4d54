/* bench_check: one row of an attention by its formula, in double, however long the sequence: the
 * kinds' sums over keys are taken for that row alone, so that it costs n, not n * d * d. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "attn/attn.h"

/* Where a row's keys and values come from. */
struct row_source {
    /* The means of the keys and of the values of tokens [first, end) of a head. */
    void (*means)(const void *user, uint32_t head, uint64_t first, uint64_t end, double *key,
                  double *value);
    const void *user;
    uint32_t value_width; /* may differ from dv: what is linear in the values can be done after */
};

struct row_query {
    const double *q; /* [dk] */
    uint32_t index;  /* its position in the sequence */
    uint32_t head;   /* the one that it is routed to; 0 for kinds with one */
};

/* How many of its rows a check compares when one of n keys of width d costs n * d. */
uint32_t check_rows(uint64_t n, uint64_t d);
/* out [value_width] = A_head(q), without a router's probability. */
status check_row(struct logger *log, const struct attn_kind *kind, const struct attn_shape *shape,
                 const struct row_source *source, const struct row_query *query, double *out);
/* The largest of logits [heads], ties to the lowest; *prob is its softmax, *margin (may be NULL)
 * by how much it is larger than the next. */
uint32_t check_route(const double *logits, uint32_t heads, double *prob, double *margin);

#endif
