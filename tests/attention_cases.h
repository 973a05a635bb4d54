/* attention_cases: inputs and expected outputs of attentions, from tests/golden or drawn at random
 * with an oracle in double precision, and two ways to run them. A failure fails the test that
 * asked. */
#ifndef ATTENTION_CASES_H
#define ATTENTION_CASES_H

#include "adamra.h"
#include "ops/random.h"
#include "support.h"

/* One attention; arrays are tight, NULL where the case has none. */
struct attention_case {
    char name[64];
    adamra_attention_params params; /* params.rates is `rates`; .bigbird `bigbird` or NULL */
    uint32_t rates[ADAMRA_MAX_HEADS];
    adamra_bigbird bigbird;
    float *q, *k, *v, *logits, *weight, *bias;
    uint32_t *key_lengths, *query_lengths;
    /* expected */
    float *y;
    int32_t *head; /* top1 */
    float *prob;   /* top1 */
    bool *missing; /* drawn: whether those three are still to be made, by the first comparison */
    bool no_route; /* runs do not ask for head and prob */
};

/* What a run gave. */
struct attention_result {
    float *y;
    int32_t *head; /* top1, where they are asked for */
    float *prob;
};

/* How far a result is from what is expected: norm(difference) / norm(expected). */
struct attention_error {
    double y, prob;
    uint32_t skipped;      /* queries left out: near ties */
    uint32_t wrong_heads;  /* of those that count */
    uint32_t nonzero_rows; /* rows past their query length that are not zero */
};

/* Names of the cases in tests/golden; NULL ends the list. */
extern const char *const golden_names[];
void attention_case_load(struct attention_case *attention, const char *name);
/* Fills the inputs for params (sizes set, rates in `rates`) with normal numbers. ragged: with
 * lengths, one of them 0 where there are several rows. */
void attention_case_draw(struct attention_case *attention, struct random *random, bool ragged);
/* Makes what is expected of a drawn case: y, head and prob, which comparisons do by themselves. */
void attention_case_expect(const struct attention_case *attention);
/* Small random sizes and options of a kind, drawn as above. */
void attention_case_random(struct attention_case *attention, struct random *random,
                           const char *kind);
void attention_case_finish(struct attention_case *attention);

/* Numbers of a whole tensor. */
size_t attention_case_queries(const struct attention_case *attention); /* B G n */
size_t attention_case_outputs(const struct attention_case *attention); /* of y */
size_t attention_case_inputs(const struct attention_case *attention);  /* of q */
size_t attention_case_keys(const struct attention_case *attention);    /* of k */
size_t attention_case_values(const struct attention_case *attention);  /* of v */

/* Numbers to and from memory of a storage type. */
void attention_store(adamra_type type, void *memory, const float *numbers, size_t count);
void attention_fetch(adamra_type type, const void *memory, float *numbers, size_t count);

void attention_result_init(struct attention_result *result, const struct attention_case *attention);
void attention_result_finish(struct attention_result *result);
/* Host tensors of the case, outputs into result. */
adamra_attention_io attention_case_io(const struct attention_case *attention,
                                      const struct attention_result *result);
/* Runs through the public API; timing may be NULL. */
void attention_case_run(adamra_context *context, const struct attention_case *attention,
                        adamra_type type, struct attention_result *result, adamra_timing *timing);
/* Runs the same graph on the reference loops, without a device. */
void attention_case_run_reference(const struct attention_case *attention, adamra_type type,
                                  struct attention_result *result);
struct attention_error attention_case_compare(const struct attention_case *attention,
                                              adamra_type type,
                                              const struct attention_result *result);
/* Fails unless the result is within the storage type's tolerance. */
void attention_case_check(const struct attention_case *attention, adamra_type type,
                          const struct attention_result *result);

/* The context that all tests of attention share; fails when there is no device. */
adamra_context *attention_context(void);

/* attention_oracle.c: fills y, head, prob from the inputs, as the specification writes it. */
void attention_oracle(const struct attention_case *attention);
/* Router logits of query i of (b, g), in double. */
void attention_logits(const struct attention_case *attention, uint32_t b, uint32_t g, uint32_t i,
                      double logits[ADAMRA_MAX_HEADS]);

#endif
