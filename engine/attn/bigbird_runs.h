/* bigbird_runs: which keys each block of queries attends to (arXiv 2007.14062, as the specification
 * has it), as the words that op_softmax reads. */
#ifndef BIGBIRD_RUNS_H
#define BIGBIRD_RUNS_H

#include "attn/attn.h"

/* SOFTMAX_RUNS (params.h). A block's runs ascend and do not touch: adjacent blocks are one run. */
struct bigbird_runs {
    uint32_t *words; /* owned */
    uint32_t count;
};

/* PCG's output permutation (O'Neill 2014) as a hash. */
uint32_t bigbird_hash(uint32_t x);
/* Runs for n > 0 queries and as many keys. STATUS_OUT_OF_HOST_MEMORY, unreported, also for a
 * table of over 4 GiB; *runs then needs no finish. */
status bigbird_runs_init(const struct bigbird_pattern *pattern, uint32_t n,
                         struct bigbird_runs *runs);
void bigbird_runs_finish(struct bigbird_runs *runs);

#endif
