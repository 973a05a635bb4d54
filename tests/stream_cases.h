/* stream_cases: runs of attention within a bound on device memory. A failure fails the test that
 * asked. */
#ifndef STREAM_CASES_H
#define STREAM_CASES_H

#include "attention_cases.h"
#include "context.h"

/* What the progress callback sees and says. */
struct stream_watch {
    double last;
    uint32_t calls, cancel_at; /* cancel_at: the call that cancels; 0: none */
};

/* A context that may take little; watch may be NULL. */
adamra_context *stream_context(struct stream_watch *watch);
/* Fails if the validation layer has found an error. */
void stream_context_close(adamra_context *context);

/* Runs a case within so many bytes; false when that is refused, which must be said in one line. */
bool stream_run(adamra_context *context, const struct attention_case *c, adamra_type type,
                uint64_t bytes, struct attention_result *result, adamra_timing *timing);
void stream_assert_same(const struct attention_case *c, const struct attention_result *a,
                        const struct attention_result *b);

#endif
