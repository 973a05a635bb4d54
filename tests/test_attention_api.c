/* attention_api: the caller's buffers, timing and memory, kernels forced by name. */
#include "attention_cases.h"
#include "context.h"
#include "ops/ops.h"
#include "suites.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t two_rates[] = {1, 2};

/* ---- the caller's buffers ---- */

/* A buffer of the storage type with `count` tight numbers at an offset that is not 0. */
#define BUFFER_OFFSET 32

static adamra_buffer *buffer_of(adamra_type type, const float *numbers, size_t count)
{
    size_t bytes = count * (type == ADAMRA_F16 ? 2 : 4);
    adamra_buffer *buffer;
    uint16_t *halves = calloc(count + 1, sizeof(*halves));
    ck_assert_ptr_nonnull(halves);
    if (numbers)
        half_from_floats(halves, numbers, count);
    ck_assert_int_eq(adamra_buffer_create(attention_context(), bytes + BUFFER_OFFSET, &buffer),
                     ADAMRA_OK);
    const void *data = type == ADAMRA_F16 ? (const void *)halves : (const void *)numbers;
    if (numbers)
        ck_assert_int_eq(adamra_buffer_write(buffer, BUFFER_OFFSET, data, bytes), ADAMRA_OK);
    free(halves);
    return buffer;
}

static void read_numbers(adamra_buffer *buffer, adamra_type type, float *numbers, size_t count)
{
    if (type == ADAMRA_F32) {
        ck_assert_int_eq(adamra_buffer_read(buffer, BUFFER_OFFSET, numbers, count * 4), ADAMRA_OK);
        return;
    }
    uint16_t *halves = calloc(count + 1, sizeof(*halves));
    ck_assert_ptr_nonnull(halves);
    ck_assert_int_eq(adamra_buffer_read(buffer, BUFFER_OFFSET, halves, count * 2), ADAMRA_OK);
    half_to_floats(numbers, halves, count);
    free(halves);
}

static void bring_buffers(adamra_attention_io *io, adamra_buffer *q, adamra_buffer *k,
                          adamra_buffer *v, adamra_buffer *y)
{
    io->q = (adamra_tensor){.buffer = q, .offset = BUFFER_OFFSET};
    io->k = (adamra_tensor){.buffer = k, .offset = BUFFER_OFFSET};
    io->v = (adamra_tensor){.buffer = v, .offset = BUFFER_OFFSET};
    io->y = (adamra_output){.buffer = y, .offset = BUFFER_OFFSET};
}

/* Runs a case with every tensor in device memory, twice, with other buffers the second time. */
static void run_on_buffers(const struct attention_case *c, adamra_type type,
                           struct attention_result *result)
{
    adamra_attention *attention;
    adamra_attention_params params = c->params;
    params.type = type;
    size_t outputs = attention_case_outputs(c);
    ck_assert_int_eq(adamra_attention_create(attention_context(), &params, &attention), ADAMRA_OK);
    for (int round = 0; round < 2; round++) {
        adamra_buffer *buffers[] = {
            buffer_of(type, c->q, attention_case_inputs(c)),
            buffer_of(type, c->k, attention_case_keys(c)),
            buffer_of(type, c->v, attention_case_values(c)),
            buffer_of(type, c->logits, c->logits ? attention_case_queries(c) * c->params.heads : 0),
            buffer_of(type, NULL, outputs)};
        adamra_attention_io io = attention_case_io(c, result);
        bring_buffers(&io, buffers[0], buffers[1], buffers[2], buffers[4]);
        if (c->logits)
            io.router_logits = (adamra_tensor){.buffer = buffers[3], .offset = BUFFER_OFFSET};
        ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s: %s", c->name,
                      adamra_error(attention_context()));
        read_numbers(buffers[4], type, result->y, outputs);
        for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
            adamra_buffer_destroy(buffers[i]);
    }
    adamra_attention_destroy(attention);
}

START_TEST(buffers_give_what_host_memory_gives)
{
    static const char *const kinds[] = {"adamra", "linear", "softmax", "bigbird"};
    struct random random = random_seed(test_seed() + 10);
    for (size_t i = 0; i < 8 * ARRAY_SIZE(kinds); i++) {
        struct attention_case c;
        struct attention_result host, device;
        adamra_type type = i % 2 ? ADAMRA_F16 : ADAMRA_F32;
        attention_case_random(&c, &random, kinds[i % ARRAY_SIZE(kinds)]);
        attention_result_init(&host, &c);
        attention_result_init(&device, &c);
        attention_case_run(attention_context(), &c, type, &host, NULL);
        run_on_buffers(&c, type, &device);
        ck_assert_msg(!memcmp(host.y, device.y, attention_case_outputs(&c) * sizeof(float)),
                      "%s: buffers change y", c.name);
        attention_result_finish(&host);
        attention_result_finish(&device);
        attention_case_finish(&c);
    }
}
END_TEST

/* ---- memory, timing, kernels ---- */

/* Copies of host tensors are given back when a run brings buffers, and made again when one does
 * not. */
START_TEST(buffers_take_the_place_of_copies)
{
    struct random random = random_seed(test_seed() + 13);
    struct gpu_device *device = attention_context()->device;
    struct attention_case c = {.name = "in turn", .rates = {1}};
    c.params = (adamra_attention_params){.kind = "linear",
                                         .batch = 1,
                                         .groups = 1,
                                         .heads = 1,
                                         .queries = 64,
                                         .keys = 64,
                                         .key_width = 8,
                                         .value_width = 8};
    const size_t count = 64 * 8;
    struct attention_result host;
    float *again = calloc(count, sizeof(*again)), *first = calloc(count, sizeof(*first));
    adamra_attention *attention;
    attention_case_draw(&c, &random, true);
    attention_result_init(&host, &c);
    adamra_attention_io io = attention_case_io(&c, &host), on_device = io;
    ck_assert_int_eq(adamra_attention_create(attention_context(), &c.params, &attention),
                     ADAMRA_OK);
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
    memcpy(first, host.y, count * sizeof(*first));
    adamra_buffer *buffers[] = {
        buffer_of(ADAMRA_F32, c.q, count), buffer_of(ADAMRA_F32, c.k, count),
        buffer_of(ADAMRA_F32, c.v, count), buffer_of(ADAMRA_F32, NULL, count)};
    bring_buffers(&on_device, buffers[0], buffers[1], buffers[2], buffers[3]);
    uint64_t before = gpu_memory_used(device);
    ck_assert_int_eq(adamra_attention_run(attention, &on_device, NULL), ADAMRA_OK);
    ck_assert_uint_eq(before - gpu_memory_used(device), 4 * count * sizeof(float));
    read_numbers(buffers[3], ADAMRA_F32, again, count);
    ck_assert_mem_eq(again, first, count * sizeof(*first));
    memset(host.y, 0, count * sizeof(float));
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_OK);
    ck_assert_uint_eq(gpu_memory_used(device), before);
    ck_assert_mem_eq(host.y, first, count * sizeof(*first));
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        adamra_buffer_destroy(buffers[i]);
    adamra_attention_destroy(attention);
    attention_result_finish(&host);
    attention_case_finish(&c);
    free(again);
    free(first);
}
END_TEST

/* Where the host cannot map a device's memory, tensors go through it in chunks: these need two. */
START_TEST(staged_memory_gives_the_same)
{
    static const uint32_t widths[] = {3, 8}; /* padded rows, and rows that follow each other */
    struct random random = random_seed(test_seed() + 12);
    struct gpu_features *features = &attention_context()->device->features;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(widths); i++) {
        adamra_type type = i % 2 ? ADAMRA_F16 : ADAMRA_F32;
        struct attention_case c = {.name = "staged", .rates = {1}};
        struct attention_result mapped, staged;
        c.params = (adamra_attention_params){.kind = "linear",
                                             .batch = 1,
                                             .groups = 1,
                                             .heads = 1,
                                             .queries = 600000,
                                             .keys = 2,
                                             .key_width = widths[i / 2],
                                             .value_width = widths[i / 2]};
        attention_case_draw(&c, &random, false);
        attention_result_init(&mapped, &c);
        attention_result_init(&staged, &c);
        attention_case_run(attention_context(), &c, type, &mapped, NULL);
        bool unified = features->unified;
        features->unified = false;
        attention_case_run(attention_context(), &c, type, &staged, NULL);
        features->unified = unified;
        attention_case_check(&c, type, &mapped);
        ck_assert_mem_eq(mapped.y, staged.y, attention_case_outputs(&c) * sizeof(float));
        attention_result_finish(&mapped);
        attention_result_finish(&staged);
        attention_case_finish(&c);
    }
}
END_TEST

static adamra_timing time_zeros(uint32_t n, adamra_routing routing, adamra_router router)
{
    adamra_attention *attention;
    adamra_attention_params params = {.queries = n,
                                      .keys = n,
                                      .key_width = 2,
                                      .value_width = 2,
                                      .heads = 2,
                                      .rates = two_rates,
                                      .routing = routing,
                                      .router = router,
                                      .shared_keys = 1,
                                      .shared_values = 1};
    float *numbers = calloc((size_t)n * 2, sizeof(*numbers));
    float *y = calloc((size_t)n * 2, sizeof(*y));
    ck_assert(numbers && y);
    adamra_attention_io io = {.q.data = numbers, .k.data = numbers, .v.data = numbers, .y.data = y};
    if (router == ADAMRA_ROUTER_WEIGHT)
        io.router_weight.data = numbers;
    else
        io.router_logits.data = numbers;
    adamra_timing timing;
    ck_assert_int_eq(adamra_attention_create(attention_context(), &params, &attention), ADAMRA_OK);
    ck_assert_msg(!adamra_attention_run(attention, &io, &timing), "%s",
                  adamra_error(attention_context()));
    adamra_attention_destroy(attention);
    free(numbers);
    free(y);
    return timing;
}

/* From 262,144 on, all heads have the most stretches, and the queries of soft routing come in
 * chunks. */
START_TEST(scratch_does_not_grow_with_length)
{
    for (adamra_routing routing = ADAMRA_TOP1; routing <= ADAMRA_SOFT; routing++) {
        adamra_timing small = time_zeros(1 << 18, routing, ADAMRA_ROUTER_WEIGHT);
        adamra_timing large = time_zeros(1 << 20, routing, ADAMRA_ROUTER_WEIGHT);
        ck_assert_uint_eq(small.extra_bytes, large.extra_bytes);
        ck_assert_uint_eq(4 * small.input_bytes, large.input_bytes);
        ck_assert_uint_eq(4 * small.output_bytes, large.output_bytes);
    }
}
END_TEST

START_TEST(timing_counts_as_the_specification)
{
    adamra_timing timing = time_zeros(1000, ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS);
    ck_assert_double_eq(timing.operations, 2.0 * 2 * 2 * (1000 + 500 + 1000));
    ck_assert_double_eq(timing.bytes, 4.0 * 1000 * (2 + 4 + 2 + 2));
    timing = time_zeros(1000, ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT);
    ck_assert_double_eq(timing.operations, 2.0 * 2 * 2 * (1000 + 500 + 1000) + 2.0 * 1000 * 2 * 2);
    ck_assert_double_eq(timing.bytes, 4.0 * 1000 * (2 + 4 + 2));
    ck_assert_double_ge(timing.host_ms, 0);
}
END_TEST

/* Every candidate of the ops that attention uses, forced in turn. */
START_TEST(forced_kernels_agree)
{
    static const struct op *const ops[] = {&op_state, &op_reduce, &op_route, &op_readout,
                                           &op_softmax};
    struct random random = random_seed(test_seed() + 11);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        for (uint32_t j = 0; j < ops[i]->candidate_count; j++) {
            struct attention_case c;
            struct attention_result result;
            attention_case_random(&c, &random, ops[i] == &op_softmax ? "softmax" : "adamra");
            c.no_route = ops[i] == &op_readout;
            attention_result_init(&result, &c);
            adamra_context_force(attention_context(), ops[i]->candidates[j].name);
            attention_case_run(attention_context(), &c, ADAMRA_F32, &result, NULL);
            adamra_context_force(attention_context(), NULL);
            attention_case_check(&c, ADAMRA_F32, &result);
            attention_result_finish(&result);
            attention_case_finish(&c);
        }
}
END_TEST

/* Of one column: the norm of the difference by that of y. */
static double column_error(const struct attention_case *c, const float *y, const float *other,
                           uint32_t column)
{
    double difference = 0, norm = 0;
    for (size_t i = column; i < attention_case_outputs(c); i += c->params.value_width) {
        difference += ((double)y[i] - other[i]) * ((double)y[i] - other[i]);
        norm += (double)y[i] * y[i];
    }
    return sqrt(difference / norm);
}

/* Matrices of halves keep a column's numbers beside another one that is 10^12 times as large. */
START_TEST(columns_keep_their_precision)
{
    static const char *const kernels[] = {"sorted_check", "matrix_check", "matrix_check8",
                                          "matrix_nv"};
    struct random random = random_seed(test_seed() + 13);
    struct attention_case c = {.name = "columns", .rates = {1, 3}};
    struct attention_result results[ARRAY_SIZE(kernels)];
    c.params = (adamra_attention_params){.batch = 1,
                                         .groups = 1,
                                         .queries = 90,
                                         .keys = 90,
                                         .key_width = 40,
                                         .value_width = 10,
                                         .heads = 2};
    attention_case_draw(&c, &random, false);
    for (size_t i = 0; i < attention_case_values(&c); i++)
        c.v[i] *= i % c.params.value_width % 3 ? 1 : 1e12f;
    for (uint32_t j = 0; j < ARRAY_SIZE(kernels); j++) {
        attention_result_init(&results[j], &c);
        adamra_context_force(attention_context(), kernels[j]);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &results[j], NULL);
        for (uint32_t column = 0; column < c.params.value_width; column++)
            ck_assert_double_le(column_error(&c, results[0].y, results[j].y, column), 1e-5);
    }
    adamra_context_force(attention_context(), NULL);
    for (uint32_t j = 0; j < ARRAY_SIZE(kernels); j++)
        attention_result_finish(&results[j]);
    attention_case_finish(&c);
}
END_TEST

/* Which tile runs depends on a call's size, and so on the slices that a batch is run in. */
START_TEST(softmax_tiles_give_the_same)
{
    static const char *const tiles[] = {"tile", "tile_rows8_check"};
    struct random random = random_seed(test_seed() + 12);
    for (uint32_t i = 0; i < 6; i++) {
        struct attention_case c;
        struct attention_result results[ARRAY_SIZE(tiles)];
        attention_case_random(&c, &random, i % 2 ? "bigbird" : "softmax");
        for (uint32_t j = 0; j < ARRAY_SIZE(tiles); j++) {
            attention_result_init(&results[j], &c);
            adamra_context_force(attention_context(), tiles[j]);
            attention_case_run(attention_context(), &c, i < 4 ? ADAMRA_F32 : ADAMRA_F16,
                               &results[j], NULL);
        }
        adamra_context_force(attention_context(), NULL);
        ck_assert_msg(
            !memcmp(results[0].y, results[1].y, attention_case_outputs(&c) * sizeof(float)),
            "%s: two tiles, other bits", c.name);
        for (uint32_t j = 0; j < ARRAY_SIZE(tiles); j++)
            attention_result_finish(&results[j]);
        attention_case_finish(&c);
    }
}
END_TEST

/* By a driver that ends loops early. */
START_TEST(segments_longer_than_loops_are_refused)
{
    static const uint32_t rates[] = {5, 9};
    adamra_attention_params params = {
        .queries = 6, .keys = 5, .key_width = 4, .value_width = 4, .heads = 2, .rates = rates};
    uint32_t *iterations = &attention_context()->device->limits.loop_iterations;
    const uint32_t before = *iterations;
    adamra_attention *attention;
    *iterations = 5; /* of a segment of 9 there are 5 keys */
    ck_assert_int_eq(adamra_attention_create(attention_context(), &params, &attention), ADAMRA_OK);
    adamra_attention_destroy(attention);
    params.keys = 8;
    ck_assert_int_eq(adamra_attention_create(attention_context(), &params, &attention),
                     ADAMRA_UNSUPPORTED);
    ck_assert_ptr_null(attention);
    const char *error = adamra_error(attention_context());
    ck_assert_msg(strstr(error, "rates[1]: 9 for 8 keys, expected at most 5 "), "%s", error);
    *iterations = before;
}
END_TEST

START_TEST(no_validation_errors)
{
    ck_assert_uint_eq(adamra_validation_errors(attention_context()), 0);
}
END_TEST

Suite *attention_api_suite(void)
{
    Suite *suite = suite_create("attention_api");
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 300);
    tcase_add_test(runs, buffers_give_what_host_memory_gives);
    tcase_add_test(runs, buffers_take_the_place_of_copies);
    tcase_add_test(runs, staged_memory_gives_the_same);
    tcase_add_test(runs, scratch_does_not_grow_with_length);
    tcase_add_test(runs, timing_counts_as_the_specification);
    tcase_add_test(runs, forced_kernels_agree);
    tcase_add_test(runs, columns_keep_their_precision);
    tcase_add_test(runs, softmax_tiles_give_the_same);
    tcase_add_test(runs, segments_longer_than_loops_are_refused);
    tcase_add_test(runs, no_validation_errors);
    suite_add_tcase(suite, runs);
    return suite;
}
