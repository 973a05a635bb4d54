/* attention_refusals: what the public functions of attention refuse, and how they say it. */
#include "attention_cases.h"
#include "context.h"
#include "suites.h"
#include <math.h>
#include <string.h>

static const uint32_t two_rates[] = {1, 2};

/* B 2, G 1, H 2, n 6, m 8, dk 4, dv 4: what a test changes a field of. */
static adamra_attention_params valid_params(void)
{
    return (adamra_attention_params){.batch = 2,
                                     .queries = 6,
                                     .keys = 8,
                                     .key_width = 4,
                                     .value_width = 4,
                                     .heads = 2,
                                     .rates = two_rates};
}

/* ---- parameters ---- */

static const uint32_t rate_of_zero[] = {1, 0};

static const adamra_bigbird no_block = {.window = 3}, even_window = {.block = 64, .window = 2};
#define BAD_PARAMS(text, ...)                                                                      \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define SIZES  .queries = 6, .keys = 8, .key_width = 4, .value_width = 4
#define SQUARE .queries = 6, .keys = 6, .key_width = 4, .value_width = 4
#define HEADS  .heads = 2, .rates = two_rates
static const struct {
    const char *message; /* part of what is said */
    adamra_attention_params params;
    adamra_status status; /* 0: ADAMRA_INVALID_ARGUMENT */
} bad_params[] = {
    BAD_PARAMS("kind: expected adamra, softmax, linear or bigbird, got \"bigbard\"",
               .kind = "bigbard", SIZES, HEADS),
    BAD_PARAMS("heads: expected 1..64, got 0", SIZES, .rates = two_rates),
    BAD_PARAMS("heads: expected 1..64, got 65", SIZES, .heads = 65, .rates = two_rates),
    BAD_PARAMS("heads: expected 1 for kind softmax, got 2", .kind = "softmax", SIZES, HEADS),
    BAD_PARAMS("heads: expected 1 for kind bigbird, got 2", .kind = "bigbird", SQUARE, HEADS),
    BAD_PARAMS("keys: expected as many as queries, 6, for kind bigbird, got 8", .kind = "bigbird",
               SIZES),
    BAD_PARAMS("bigbird->block: expected at least 1, got 0", .kind = "bigbird", SQUARE,
               .bigbird = &no_block),
    BAD_PARAMS("bigbird->window: expected an odd number, got 2", .kind = "bigbird", SQUARE,
               .bigbird = &even_window),
    BAD_PARAMS("rates: expected one for each of 2 heads", SIZES, .heads = 2),
    BAD_PARAMS("rates[1]: expected at least 1, got 0", SIZES, .heads = 2, .rates = rate_of_zero),
    BAD_PARAMS("key_width: expected at least 1", .queries = 6, .keys = 8, .value_width = 4, HEADS),
    BAD_PARAMS("value_width: expected at least 1", .queries = 6, .keys = 8, .key_width = 4, HEADS),
    BAD_PARAMS("eps: expected 0 or a finite number >= 1.17549435e-38, got -1", SIZES, HEADS,
               .eps = -1),
    BAD_PARAMS("eps: expected 0 or a finite number >= 1.17549435e-38, got inf", SIZES, HEADS,
               .eps = HUGE_VALF),
    BAD_PARAMS("eps: expected 0 or a finite number >= 1.17549435e-38, got nan", SIZES, HEADS,
               .eps = NAN),
    BAD_PARAMS("eps: expected 0 or a finite number >= 1.17549435e-38, got 1.17549e-38", SIZES,
               HEADS, .eps = 1.17549421e-38f), /* the greatest subnormal one */
    BAD_PARAMS("routing: expected a value of its enum, 0..2, got 3", SIZES, HEADS, .routing = 3),
    BAD_PARAMS("feature_map: expected", SIZES, HEADS, .feature_map = 2),
    BAD_PARAMS("pooling: expected", SIZES, HEADS, .pooling = 2),
    BAD_PARAMS("router: expected", SIZES, HEADS, .router = 2),
    BAD_PARAMS("type: expected", SIZES, HEADS, .type = 2),
    {"q, in quads: 1 x 1 x 1 x 4294967295 x 2, expected",
     {.queries = UINT32_MAX, .keys = 1, .key_width = 8, .value_width = 1, HEADS},
     ADAMRA_OUT_OF_DEVICE_MEMORY},
    {"queries, keys: 1, 4294967295, expected at most 4294901760 of each",
     {.kind = "linear", .queries = 1, .keys = UINT32_MAX, .key_width = 4, .value_width = 4},
     ADAMRA_OUT_OF_DEVICE_MEMORY},
    {"v, in quads:",
     {.queries = 1, .keys = 1 << 20, .key_width = 1, .value_width = 1 << 14, HEADS},
     ADAMRA_OUT_OF_DEVICE_MEMORY},
    {"states, in quads:",
     {.queries = 1, .keys = 1, .key_width = 1 << 20, .value_width = 1 << 20, HEADS},
     ADAMRA_OUT_OF_DEVICE_MEMORY},
};

static void expect_failure(adamra_context *context, adamra_status got, adamra_status expected,
                           const char *message)
{
    ck_assert_msg(got == expected, "%s: expected \"%s\", got \"%s\"", message,
                  adamra_status_text(expected), adamra_status_text(got));
    ck_assert_msg(strstr(adamra_error(context), message) != NULL, "expected \"%s\" in \"%s\"",
                  message, adamra_error(context));
}

START_TEST(bad_params_are_named)
{
    adamra_context *context = attention_context();
    for (size_t i = 0; i < ARRAY_SIZE(bad_params); i++) {
        adamra_attention *attention = (adamra_attention *)&attention; /* to be made NULL */
        adamra_status expected =
            bad_params[i].status ? bad_params[i].status : ADAMRA_INVALID_ARGUMENT;
        adamra_status got = adamra_attention_create(context, &bad_params[i].params, &attention);
        expect_failure(context, got, expected, bad_params[i].message);
        ck_assert_ptr_null(attention);
    }
    ck_assert_int_eq(adamra_attention_create(context, NULL, &(adamra_attention *){0}),
                     ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_attention_create(NULL, NULL, &(adamra_attention *){0}),
                     ADAMRA_INVALID_ARGUMENT);
    expect_failure(context, adamra_attention_create(context, &bad_params[0].params, NULL),
                   ADAMRA_INVALID_ARGUMENT, "out: expected a pointer, got NULL");
    adamra_attention_destroy(NULL);
}
END_TEST

/* ---- tensors ---- */

/* What bad io is made from; `small` is too small for any tensor, `other` of another context. */
struct io_parts {
    float *numbers;
    adamra_buffer *buffer, *small, *other;
};

static const uint32_t long_keys[] = {8, 9}, long_queries[] = {7, 0};

static void q_absent(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->q.data = NULL;
}

static void q_twice(adamra_attention_io *io, const struct io_parts *parts)
{
    io->q.buffer = parts->buffer;
}

static void k_small(adamra_attention_io *io, const struct io_parts *parts)
{
    io->k = (adamra_tensor){.buffer = parts->small};
}

static void k_misaligned(adamra_attention_io *io, const struct io_parts *parts)
{
    io->k = (adamra_tensor){.buffer = parts->buffer, .offset = 8};
}

static void k_past_end(adamra_attention_io *io, const struct io_parts *parts)
{
    io->k = (adamra_tensor){.buffer = parts->buffer, .offset = UINT64_MAX - 15};
}

static void v_foreign(adamra_attention_io *io, const struct io_parts *parts)
{
    io->v = (adamra_tensor){.buffer = parts->other};
}

static void y_absent(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->y.data = NULL;
}

static void y_over_q(adamra_attention_io *io, const struct io_parts *parts)
{
    io->q = (adamra_tensor){.buffer = parts->buffer};
    io->y = (adamra_output){.buffer = parts->buffer, .offset = 16};
}

/* ---- strides: k is [2, 1, 2, 8, 4], y [2, 1, 6, 4] ---- */

static void k_strides(adamra_attention_io *io, const struct io_parts *parts, uint64_t batch,
                      uint64_t head, uint64_t row)
{
    io->k = (adamra_tensor){.buffer = parts->buffer,
                            .strides = {.batch = batch, .group = 7, .head = head, .row = row}};
}

static void k_no_quads(adamra_attention_io *io, const struct io_parts *parts)
{
    k_strides(io, parts, 64, 34, 4);
}

static void k_short_rows(adamra_attention_io *io, const struct io_parts *parts)
{
    k_strides(io, parts, 64, 32, 0);
}

static void k_strides_past_end(adamra_attention_io *io, const struct io_parts *parts)
{
    k_strides(io, parts, 960, 32, 8);
}

static void k_strides_overflow(adamra_attention_io *io, const struct io_parts *parts)
{
    k_strides(io, parts, UINT64_MAX - 3, 32, 8);
}

static void k_strides_far(adamra_attention_io *io, const struct io_parts *parts)
{
    k_strides(io, parts, UINT64_C(1) << 34, 32, 8);
}

static void q_strides_on_host(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->q.strides.row = 8;
}

static void q_offset_on_host(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->q.offset = 16;
}

static void y_rows_overlap(adamra_attention_io *io, const struct io_parts *parts)
{
    io->y = (adamra_output){.buffer = parts->buffer, .strides = {.batch = 20, .row = 4}};
}

static void y_strides_over_q(adamra_attention_io *io, const struct io_parts *parts)
{
    io->q = (adamra_tensor){.buffer = parts->buffer, .offset = 16, .strides = {48, 0, 0, 8}};
    io->y = (adamra_output){.buffer = parts->buffer, .strides = {48, 0, 0, 8}};
}

static void logits_strides(adamra_attention_io *io, const struct io_parts *parts)
{
    io->router_logits = (adamra_tensor){.buffer = parts->buffer, .strides = {.row = 4}};
}

static void logits_absent(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->router_logits.data = NULL;
}

static void weight_too(adamra_attention_io *io, const struct io_parts *parts)
{
    io->router_weight.data = parts->numbers;
}

static void weight_in_buffer(adamra_attention_io *io, const struct io_parts *parts)
{
    io->router_weight.buffer = parts->buffer;
}

static void keys_too_long(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->key_lengths = long_keys;
}

static void queries_too_long(adamra_attention_io *io, const struct io_parts *parts)
{
    (void)parts;
    io->query_lengths = long_queries;
}

static const struct {
    const char *message;
    void (*spoil)(adamra_attention_io *io, const struct io_parts *parts);
} bad_io[] = {
    {"q: expected host memory or a buffer, got neither", q_absent},
    {"q: expected host memory or a buffer, got both", q_twice},
    {"k: expected 512 bytes at offset 0 of its buffer, which has 16", k_small},
    {"k: expected an offset that is a multiple of 16, got 8", k_misaligned},
    {"k: expected 512 bytes at offset 18446744073709551600 of its buffer", k_past_end},
    {"v: expected a buffer of the same context", v_foreign},
    {"k: expected strides that are multiples of 4, head is 34", k_no_quads},
    {"k: expected a stride of rows of at least the width 4, got 0", k_short_rows},
    {"k: expected 4208 bytes at offset 0 of its buffer, which has 4096", k_strides_past_end},
    {"k: expected strides that reach fewer than 2^34 numbers", k_strides_overflow},
    {"k: expected strides that reach fewer than 2^34 numbers", k_strides_far},
    {"q: expected no strides: host memory is tight", q_strides_on_host},
    {"q: expected no offset: host memory begins at its data", q_offset_on_host},
    {"y: expected strides by which no two rows share a number", y_rows_overlap},
    {"y: expected memory of its own, got some between", y_strides_over_q},
    {"router_logits: expected no strides", logits_strides},
    {"y: expected host memory or a buffer, got neither", y_absent},
    {"y: expected memory of its own, got some between", y_over_q},
    {"router_logits: expected host memory or a buffer, got neither", logits_absent},
    {"router_weight, router_bias: given, but", weight_too},
    {"router_weight, router_bias: expected host memory, got a buffer", weight_in_buffer},
    {"key_lengths[1]: expected at most 8, got 9", keys_too_long},
    {"query_lengths[0]: expected at most 6, got 7", queries_too_long},
};

START_TEST(bad_io_is_named)
{
    adamra_context *context = attention_context();
    adamra_attention_params params = valid_params();
    adamra_attention *attention;
    static float numbers[1024], y[1024];
    struct io_parts parts = {.numbers = numbers};
    struct adamra_context other = {0};
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_create(context, 4096, &parts.buffer), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_create(context, 16, &parts.small), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_create(context, 4096, &parts.other), ADAMRA_OK);
    parts.other->context = &other;
    for (size_t i = 0; i < ARRAY_SIZE(bad_io); i++) {
        adamra_attention_io io = {.q.data = numbers,
                                  .k.data = numbers,
                                  .v.data = numbers,
                                  .router_logits.data = numbers,
                                  .y.data = y};
        bad_io[i].spoil(&io, &parts);
        adamra_status got = adamra_attention_run(attention, &io, NULL);
        expect_failure(context, got, ADAMRA_INVALID_ARGUMENT, bad_io[i].message);
    }
    ck_assert_int_eq(adamra_attention_run(attention, NULL, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_attention_run(NULL, NULL, NULL), ADAMRA_INVALID_ARGUMENT);
    adamra_buffer_destroy(parts.buffer);
    adamra_buffer_destroy(parts.small);
    adamra_buffer_destroy(parts.other);
    adamra_attention_destroy(attention);
}
END_TEST

/* No bytes are nobody's: without queries y may lie in k, without keys k in y. */
START_TEST(empty_tensors_overlap_nothing)
{
    adamra_context *context = attention_context();
    for (uint32_t queries = 0; queries < 3; queries += 2) {
        adamra_attention *attention;
        adamra_buffer *buffer;
        static float numbers[64];
        adamra_attention_params params = {.kind = "linear",
                                          .queries = queries,
                                          .keys = 2 - queries,
                                          .key_width = 4,
                                          .value_width = 4};
        ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
        ck_assert_int_eq(adamra_buffer_create(context, 256, &buffer), ADAMRA_OK);
        adamra_attention_io io = {.q.data = numbers,
                                  .k = {.buffer = buffer, .offset = queries ? 16 : 0},
                                  .v.data = numbers,
                                  .y = {.buffer = buffer, .offset = queries ? 0 : 16}};
        ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s", adamra_error(context));
        adamra_buffer_destroy(buffer);
        adamra_attention_destroy(attention);
    }
}
END_TEST

START_TEST(strides_need_whole_quads)
{
    adamra_context *context = attention_context();
    adamra_attention *attention;
    adamra_buffer *buffer;
    static float numbers[64];
    adamra_attention_params params = {
        .kind = "linear", .queries = 2, .keys = 2, .key_width = 3, .value_width = 4};
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_create(context, 256, &buffer), ADAMRA_OK);
    adamra_attention_io io = {.q = {.buffer = buffer, .strides.row = 4},
                              .k.data = numbers,
                              .v.data = numbers,
                              .y.data = numbers + 32};
    expect_failure(context, adamra_attention_run(attention, &io, NULL), ADAMRA_INVALID_ARGUMENT,
                   "q: expected a width that is a multiple of 4 where strides are given, got 3");
    adamra_buffer_destroy(buffer);
    adamra_attention_destroy(attention);
}
END_TEST

START_TEST(route_is_refused_without_top1)
{
    adamra_context *context = attention_context();
    adamra_attention_params params = valid_params();
    params.routing = ADAMRA_SOFT;
    adamra_attention *attention;
    static float numbers[1024], y[1024], prob[1024];
    adamra_attention_io io = {.q.data = numbers,
                              .k.data = numbers,
                              .v.data = numbers,
                              .router_logits.data = numbers,
                              .y.data = y,
                              .prob = prob};
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    expect_failure(context, adamra_attention_run(attention, &io, NULL), ADAMRA_INVALID_ARGUMENT,
                   "head, prob: expected NULL unless routing is top1");
    adamra_attention_destroy(attention);
}
END_TEST

Suite *attention_refusals_suite(void)
{
    Suite *suite = suite_create("attention_refusals");
    TCase *refusals = tcase_create("refusals");
    tcase_add_test(refusals, bad_params_are_named);
    tcase_add_test(refusals, bad_io_is_named);
    tcase_add_test(refusals, empty_tensors_overlap_nothing);
    tcase_add_test(refusals, strides_need_whole_quads);
    tcase_add_test(refusals, route_is_refused_without_top1);
    suite_add_tcase(suite, refusals);
    return suite;
}
