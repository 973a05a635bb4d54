/* stream_bounds: what attention in pieces takes, refuses, says on the way and does when it is told
 * to stop. */
#include "discrete.h"
#include "gpu/memory.h"
#include "stream_cases.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>

static void draw_long(struct attention_case *c, struct random *random, const uint32_t rates[2])
{
    *c = (struct attention_case){.name = "long", .rates = {rates[0], rates[1]}};
    c->params = (adamra_attention_params){.batch = 1,
                                          .groups = 1,
                                          .queries = 6000,
                                          .keys = 20000,
                                          .key_width = 8,
                                          .value_width = 8,
                                          .heads = 2,
                                          .shared_keys = 1,
                                          .shared_values = 1};
    attention_case_draw(c, random, false);
}

/* What a refusal asks for is enough, and a little less is not. _i: with memory of the device's
 * own. */
START_TEST(refusals_say_what_is_enough)
{
    static const uint32_t rates[][2] = {{1, 2}, {1, 2048}, {20000, 3}, {1021, 1019}};
    struct random random = random_seed(test_seed() + 52);
    adamra_context *context = stream_context(NULL);
    if (_i)
        discrete_memory(context->device);
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        struct attention_case c;
        struct attention_result result;
        adamra_timing timing;
        gpu_staging_finish(context->device); /* of runs in one piece: it counts as taken */
        draw_long(&c, &random, rates[i]);
        attention_result_init(&result, &c);
        ck_assert(!stream_run(context, &c, ADAMRA_F32, 1000, &result, &timing));
        const char *expected = strstr(adamra_error(context), "expected ");
        uint64_t bytes = strtoull(expected + strlen("expected "), NULL, 10);
        ck_assert_uint_gt(bytes, 1000);
        ck_assert_msg(stream_run(context, &c, ADAMRA_F32, bytes, &result, &timing), "%s",
                      adamra_error(context));
        attention_case_check(&c, ADAMRA_F32, &result);
        if (timing.streamed) /* a head that is one segment runs whole before it can be cut */
            ck_assert(!stream_run(context, &c, ADAMRA_F32, bytes - bytes / 50, &result, &timing));
        else
            ck_assert_uint_eq(rates[i][0], c.params.keys);
        attention_result_finish(&result);
        attention_case_finish(&c);
    }
    stream_context_close(context);
}
END_TEST

/* Memory depends on what may be taken, not on the length. */
START_TEST(memory_does_not_grow_with_length)
{
    static const uint32_t rates[2] = {1, 2};
    struct random random = random_seed(test_seed() + 53);
    adamra_context *context = stream_context(NULL);
    struct attention_case c;
    struct attention_result result;
    adamra_timing timings[2];
    draw_long(&c, &random, rates);
    attention_result_init(&result, &c);
    for (int i = 0; i < 2; i++) {
        c.params.keys = i ? 20000 : 10000;
        c.params.queries = i ? 6000 : 3000;
        ck_assert(stream_run(context, &c, ADAMRA_F32, 200000, &result, &timings[i]));
        ck_assert_int_eq(timings[i].streamed, 1);
    }
    ck_assert_uint_le(timings[0].extra_bytes, 200000);
    ck_assert_uint_le(timings[1].extra_bytes, 200000);
    ck_assert_uint_eq(timings[1].input_bytes + timings[1].output_bytes, 0);
    attention_result_finish(&result);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

/* The same object runs whole when there is room, and in pieces when there is none. */
START_TEST(runs_alternate)
{
    static const uint32_t rates[2] = {1, 2};
    struct random random = random_seed(test_seed() + 54);
    adamra_context *context = stream_context(NULL);
    adamra_attention *attention;
    struct attention_case c;
    struct attention_result results[4];
    draw_long(&c, &random, rates);
    ck_assert_int_eq(adamra_attention_create(context, &c.params, &attention), ADAMRA_OK);
    for (int i = 0; i < 4; i++) {
        adamra_timing timing;
        attention_result_init(&results[i], &c);
        adamra_attention_io io = attention_case_io(&c, &results[i]);
        /* Memory that it has is not taken again. */
        context->device->max_memory = i < 2 ? 200000 : 0;
        ck_assert_int_eq(adamra_attention_run(attention, &io, &timing), ADAMRA_OK);
        ck_assert_int_eq(timing.streamed, i < 2);
        stream_assert_same(&c, &results[0], &results[i]);
    }
    adamra_attention_destroy(attention);
    for (int i = 0; i < 4; i++)
        attention_result_finish(&results[i]);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

/* About as much as a run in one piece takes: where copies go through other memory, that needs room
 * too, or the run is one in pieces. */
START_TEST(copies_have_room)
{
    static const uint32_t rates[2] = {1, 2};
    struct random random = random_seed(test_seed() + 56);
    adamra_context *context = stream_context(NULL);
    struct gpu_device *device = context->device;
    struct attention_case c;
    struct attention_result whole, result;
    adamra_timing timing;
    uint32_t streamed = 0, steps = 0;
    discrete_memory(device);
    draw_long(&c, &random, rates);
    attention_result_init(&whole, &c);
    attention_result_init(&result, &c);
    attention_case_run(attention_context(), &c, ADAMRA_F32, &whole, &timing);
    uint64_t bytes = timing.input_bytes + timing.output_bytes + timing.extra_bytes;
    for (uint32_t percent = 98; percent <= 130; percent += 2, steps++) {
        gpu_staging_finish(device); /* to be made anew by each run */
        ck_assert_msg(stream_run(context, &c, ADAMRA_F32, bytes * percent / 100, &result, &timing),
                      "%s", adamra_error(context));
        stream_assert_same(&c, &whole, &result);
        streamed += timing.streamed != 0;
    }
    ck_assert(streamed > 0 && streamed < steps);
    attention_result_finish(&result);
    attention_result_finish(&whole);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

/* Many heads that all queries read: their probabilities are larger than what else a piece has. */
START_TEST(probabilities_are_counted)
{
    struct random random = random_seed(test_seed() + 56);
    adamra_context *context = stream_context(NULL);
    struct attention_case c = {.name = "soft"};
    struct attention_result whole, result;
    adamra_timing timing;
    uint32_t streamed = 0;
    c.params = (adamra_attention_params){.batch = 1,
                                         .groups = 1,
                                         .queries = 3000,
                                         .keys = 12000,
                                         .key_width = 4,
                                         .value_width = 4,
                                         .heads = ADAMRA_MAX_HEADS,
                                         .shared_keys = 1,
                                         .shared_values = 1,
                                         .routing = ADAMRA_SOFT,
                                         .router = ADAMRA_ROUTER_WEIGHT};
    for (uint32_t head = 0; head < ADAMRA_MAX_HEADS; head++)
        c.rates[head] = 1;
    attention_case_draw(&c, &random, false);
    attention_result_init(&whole, &c);
    attention_result_init(&result, &c);
    attention_case_run(attention_context(), &c, ADAMRA_F32, &whole, &timing);
    uint64_t bytes = timing.input_bytes + timing.output_bytes + timing.extra_bytes;
    for (uint32_t percent = 10; percent <= 80; percent += 5) {
        if (!stream_run(context, &c, ADAMRA_F32, bytes * percent / 100, &result, &timing))
            continue; /* by a refusal, before anything is done */
        stream_assert_same(&c, &whole, &result);
        streamed += timing.streamed != 0;
    }
    ck_assert_uint_gt(streamed, 3);
    attention_result_finish(&result);
    attention_result_finish(&whole);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

/* ---- progress ---- */

/* _i: with memory of the device's own, so that there are lists of copies too; in small parts. */
START_TEST(progress_rises_and_cancels)
{
    static const uint32_t rates[2] = {1, 2};
    struct random random = random_seed(test_seed() + 55);
    struct stream_watch watch = {0};
    adamra_context *context = stream_context(&watch);
    adamra_attention *attention;
    struct attention_case c;
    struct attention_result result;
    draw_long(&c, &random, rates);
    attention_result_init(&result, &c);
    adamra_attention_io io = attention_case_io(&c, &result);
    ck_assert_int_eq(adamra_attention_create(context, &c.params, &attention), ADAMRA_OK);
    if (_i) {
        discrete_memory(context->device);
        context->device->max_submit_ms = 0.01;
    }
    context->device->max_memory = _i ? 450000 : 150000;
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
    ck_assert_uint_ge(watch.calls, 5);
    ck_assert_double_ge(watch.last, 0.5);
    /* How many small parts there are depends on the rate that was measured last. */
    const uint32_t last = _i ? 3 : watch.calls, step = _i ? 1 : watch.calls / 3;
    for (uint32_t at = 1; at <= last; at += step) {
        watch = (struct stream_watch){.cancel_at = at};
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_CANCELLED);
        ck_assert_uint_eq(watch.calls, at);
        ck_assert_uint_eq(gpu_memory_used(context->device), 0);
    }
    adamra_cancel(context);
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_CANCELLED);
    watch = (struct stream_watch){0};
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
    attention_case_check(&c, ADAMRA_F32, &result);
    adamra_attention_destroy(attention);
    attention_result_finish(&result);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

/* Other kinds and tensors in device memory are not streamed: they say that there is no room. */
static PFN_vkGetPhysicalDeviceMemoryProperties2 real_memory;

static VKAPI_ATTR void VKAPI_CALL full_heaps(VkPhysicalDevice physical,
                                             VkPhysicalDeviceMemoryProperties2 *properties)
{
    real_memory(physical, properties);
    for (VkBaseOutStructure *next = properties->pNext; next; next = next->pNext)
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT)
            for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++) {
                VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (void *)next;
                budget->heapBudget[i] = budget->heapUsage[i] = 1;
            }
}

/* A driver that says that nothing is left gives memory all the same, here. */
START_TEST(a_budget_is_an_estimate)
{
    static const uint32_t rates[2] = {1, 2};
    struct random random = random_seed(test_seed() + 58);
    adamra_context *context = stream_context(NULL);
    struct gpu_device *device = context->device;
    struct attention_case c;
    struct attention_result result;
    adamra_attention *attention;
    adamra_timing timing;
    draw_long(&c, &random, rates);
    attention_result_init(&result, &c);
    adamra_attention_io io = attention_case_io(&c, &result);
    device->features.budget = true;
    device->max_memory = 0;
    real_memory = device->instance.GetPhysicalDeviceMemoryProperties2;
    device->instance.GetPhysicalDeviceMemoryProperties2 = full_heaps;
    ck_assert_uint_eq(gpu_memory_free(device), 0);
    ck_assert_int_eq(adamra_attention_create(context, &c.params, &attention), ADAMRA_OK);
    for (int run = 0; run < 2; run++) {
        ck_assert_msg(!adamra_attention_run(attention, &io, &timing), "%s", adamra_error(context));
        ck_assert_int_eq(timing.streamed, 0);
        attention_case_check(&c, ADAMRA_F32, &result);
    }
    adamra_attention_destroy(attention);
    /* The caller's bound is none. */
    device->max_memory = 1000;
    ck_assert_int_eq(adamra_attention_create(context, &c.params, &attention), ADAMRA_OK);
    ck_assert_int_eq(adamra_attention_run(attention, &io, &timing), ADAMRA_OUT_OF_DEVICE_MEMORY);
    ck_assert_ptr_nonnull(strstr(adamra_error(context), "expected"));
    adamra_attention_destroy(attention);
    attention_result_finish(&result);
    attention_case_finish(&c);
    stream_context_close(context);
}
END_TEST

START_TEST(what_cannot_be_streamed_is_refused)
{
    static const char *const kinds[] = {"softmax", "bigbird"};
    adamra_context *context = stream_context(NULL);
    float *numbers = calloc(4000 * 64, sizeof(*numbers));
    ck_assert_ptr_nonnull(numbers);
    context->device->max_memory = 500000;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        adamra_attention *attention;
        adamra_attention_params params = {
            .kind = kinds[i], .queries = 4000, .keys = 4000, .key_width = 64, .value_width = 64};
        adamra_attention_io io = {
            .q.data = numbers, .k.data = numbers, .v.data = numbers, .y.data = numbers};
        ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
        ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OUT_OF_DEVICE_MEMORY);
        ck_assert_ptr_nonnull(strstr(adamra_error(context), "out of device memory"));
        adamra_attention_destroy(attention);
    }
    free(numbers);
    stream_context_close(context);
}
END_TEST

Suite *stream_bounds_suite(void)
{
    Suite *suite = suite_create("stream_bounds");
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 600);
    tcase_add_loop_test(runs, refusals_say_what_is_enough, 0, 2);
    tcase_add_test(runs, memory_does_not_grow_with_length);
    tcase_add_test(runs, runs_alternate);
    tcase_add_test(runs, copies_have_room);
    tcase_add_loop_test(runs, progress_rises_and_cancels, 0, 2);
    tcase_add_test(runs, probabilities_are_counted);
    tcase_add_test(runs, a_budget_is_an_estimate);
    tcase_add_test(runs, what_cannot_be_streamed_is_refused);
    suite_add_tcase(suite, runs);
    return suite;
}
