#include "stream_cases.h"
#include "suites.h"
#include <string.h>

static int note_progress(void *user, double done)
{
    struct stream_watch *watch = user;
    ck_assert_double_ge(done, watch->last);
    ck_assert_double_le(done, 1);
    watch->last = done;
    return ++watch->calls == watch->cancel_at;
}

adamra_context *stream_context(struct stream_watch *watch)
{
    adamra_context *context;
    adamra_context_params params = test_context_params();
    params.max_device_memory = 1 << 20;
    params.progress = watch ? note_progress : NULL;
    params.user = watch;
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    return context;
}

void stream_context_close(adamra_context *context)
{
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
    adamra_context_destroy(context);
}

bool stream_run(adamra_context *context, const struct attention_case *c, adamra_type type,
                uint64_t bytes, struct attention_result *result, adamra_timing *timing)
{
    adamra_attention *attention;
    adamra_attention_params params = c->params;
    struct gpu_device *device = context->device;
    params.type = type;
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    adamra_attention_io io = attention_case_io(c, result);
    device->max_memory = bytes;
    gpu_memory_reset_peak(device);
    adamra_status outcome = adamra_attention_run(attention, &io, timing);
    ck_assert_msg(gpu_memory_peak(device) <= bytes, "%s: took %llu bytes of %llu", c->name,
                  (unsigned long long)gpu_memory_peak(device), (unsigned long long)bytes);
    adamra_attention_destroy(attention);
    ck_assert_uint_eq(gpu_memory_used(device), 0);
    if (outcome == ADAMRA_OUT_OF_DEVICE_MEMORY) {
        ck_assert_msg(strstr(adamra_error(context), "expected") != NULL, "%s: %s", c->name,
                      adamra_error(context));
        ck_assert_ptr_null(strchr(adamra_error(context), '\n'));
        return false;
    }
    ck_assert_msg(!outcome, "%s: %s", c->name, adamra_error(context));
    return true;
}

void stream_assert_same(const struct attention_case *c, const struct attention_result *a,
                        const struct attention_result *b)
{
    size_t queries = attention_case_queries(c);
    ck_assert_msg(!memcmp(a->y, b->y, attention_case_outputs(c) * sizeof(float)),
                  "%s: pieces change y", c->name);
    if (!a->head)
        return;
    ck_assert_msg(!memcmp(a->head, b->head, queries * sizeof(*a->head)), "%s: head", c->name);
    ck_assert_msg(!memcmp(a->prob, b->prob, queries * sizeof(*a->prob)), "%s: prob", c->name);
}
