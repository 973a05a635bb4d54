/* reference: the loops that define what linear, state, readout and softmax compute, with their
 * costs and examples; their kernels fill a file of their own. The other ops have all in one file.
 * The meaning of each function is that of the member of `struct op` with its name. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "ops/ops.h"
#include "ops/random.h"

/* Columns that a reference loop sums at a time, in doubles on the stack. */
#define REFERENCE_COLUMNS 64

/* Pool (POOLING_...) of the elements at + t * stride for first <= t < end; first < end. */
double reference_pool(const struct tensor *tensor, uint64_t at, uint64_t stride, uint64_t first,
                      uint64_t end, uint32_t pooling);

/* The route of a query, counted over all (b, g) of a call of `route`: its best head and that one's
 * probability, and by how much its logit passes the next best. */
struct reference_route {
    uint32_t head;
    double prob, margin;
};
struct reference_route reference_route(const struct op_call *call, uint64_t index);
/* Makes some given logits of rows of `heads` equal: the lowest head must be chosen. */
void reference_ties(struct random *random, const struct tensor *logits, uint32_t heads);

void linear_reference(const struct op_call *call);
void linear_cost(const struct op_call *call, double *operations, double *bytes);
void linear_example(struct random *random, enum element_type type, struct op_call *call);

void state_reference(const struct op_call *call);
void state_cost(const struct op_call *call, double *operations, double *bytes);
void state_example(struct random *random, enum element_type type, struct op_call *call);
void state_prepare(struct random *random, const struct op_call *call);

void readout_reference(const struct op_call *call);
void readout_cost(const struct op_call *call, double *operations, double *bytes);
void readout_example(struct random *random, enum element_type type, struct op_call *call);
void readout_prepare(struct random *random, const struct op_call *call);

void softmax_reference(const struct op_call *call);
void softmax_cost(const struct op_call *call, double *operations, double *bytes);
void softmax_example(struct random *random, enum element_type type, struct op_call *call);
void softmax_prepare(struct random *random, const struct op_call *call);

#endif
