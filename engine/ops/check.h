/* check: compares candidates with the reference on random calls. Used by tests and by selftest.
 *
 * A case draws a legal call and fills its inputs by a pattern (normal numbers; one tensor of zeros,
 * of one 1, or of large, tiny or shifted numbers). Outputs hold NaN before, and guard zones lie
 * around every tensor. The kernel runs three times, the last time in pieces. It is wrong when an
 * output differs from the reference's by more than the tolerance of its storage type, when two runs
 * differ in a bit, or when it wrote a guard or a gap between rows. */
#ifndef OPS_CHECK_H
#define OPS_CHECK_H

#include "ops/ops.h"

struct op_check_report {
    const char *op, *candidate, *shader;
    enum element_type type; /* of storage */
    uint32_t cases;         /* 0: the device or every shape drawn refused the candidate */
    uint32_t skipped;       /* u32 outputs left out: the reference's choice was a near tie */
    double worst;           /* relative error: norm of the difference by norm of the reference */
    bool ok;
    char why[160]; /* what was wrong first, after which no case was run; "" when ok */
};

struct op_check_params {
    const char *op, *candidate; /* only those of that name; NULL: all */
    const enum element_type *type; /* only that storage type; NULL: both */
    uint64_t seed;
    uint32_t cases; /* of each op, candidate and storage type */
    void (*report)(void *user, const struct op_check_report *report);
    void *user;
    bool (*stop)(void); /* asked before each candidate: true ends the check; may be NULL */
};

/* What rounding may do, by storage type. */
struct op_tolerance {
    double error;  /* relative, of an output tensor */
    double margin; /* below it the reference's choice is a near tie, see op.margin */
};
struct op_tolerance op_tolerance(enum element_type type);

/* Checks one candidate. The status is of the machinery; a mismatch is STATUS_OK with !report->ok.
 */
status op_check(struct gpu_device *device, const struct op *op,
                const struct op_candidate *candidate, enum element_type type, uint64_t seed,
                uint32_t cases, struct op_check_report *report);
/* The same on calls with the options of `like`: for kernels that are about to run with them. */
status op_check_like(struct gpu_device *device, const struct op_call *like,
                     const struct op_candidate *candidate, enum element_type type, uint64_t seed,
                     uint32_t cases, struct op_check_report *report);
/* Reports on every op, candidate and storage type. Stops at the first failure of the machinery. */
status op_check_all(struct gpu_device *device, const struct op_check_params *params);

#endif
