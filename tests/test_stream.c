/* stream: attention that may not take the memory that it needs at once gives the same bits, within
 * what it may take. */
#include "discrete.h"
#include "ops/ops.h"
#include "stream_cases.h"
#include "suites.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Random sizes with several stretches, and rates that divide each other or do not. */
static void draw_case(struct attention_case *c, struct random *random, const char *kind)
{
    static const uint32_t rates[][4] = {{1, 2, 4, 8}, {3, 1, 6, 2}, {5, 7, 1, 1}, {1, 97, 89, 83}};
    *c = (struct attention_case){0};
    adamra_attention_params *p = &c->params;
    bool adamra = strcmp(kind, "adamra") == 0;
    p->kind = kind;
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->queries = random_between(random, 1, 900);
    p->keys = random_between(random, 1, 2500);
    p->key_width = random_between(random, 1, 20);
    p->value_width = random_between(random, 1, 20);
    p->heads = adamra ? random_between(random, 1, 4) : 1;
    memcpy(c->rates, rates[random_between(random, 0, ARRAY_SIZE(rates) - 1)], sizeof(rates[0]));
    if (!adamra)
        c->rates[0] = 1;
    p->shared_keys = (int)random_between(random, 0, 1);
    p->shared_values = (int)random_between(random, 0, 1);
    p->routing = adamra ? random_between(random, 0, 2) : ADAMRA_TOP1;
    p->feature_map = random_between(random, 0, 1);
    p->pooling = adamra ? random_between(random, 0, 1) : ADAMRA_MEAN;
    p->router = random_between(random, 0, 1);
    snprintf(c->name, sizeof(c->name), "%s %ux%u %u,%u dk %u dv %u H %u rate %u", kind, p->batch,
             p->groups, p->queries, p->keys, p->key_width, p->value_width, p->heads, c->rates[1]);
    attention_case_draw(c, random, random_between(random, 0, 1));
    c->no_route = random_between(random, 0, 1);
}

/* Nobody reads keys past their length: they may be anything. */
static void spoil_padding(struct attention_case *c)
{
    const adamra_attention_params *p = &c->params;
    size_t rows = attention_case_keys(c) / p->key_width;
    for (size_t row = 0; c->key_lengths && row < rows; row++)
        if (row % p->keys >= c->key_lengths[row / (rows / p->batch)])
            c->k[row * p->key_width] = NAN;
}

static uint64_t whole_bytes(const adamra_timing *timing)
{
    return timing->input_bytes + timing->output_bytes + timing->extra_bytes;
}

/* Runs a case whole and within several bounds; returns how many of those were streamed. */
static uint32_t stream_case(adamra_context *context, const struct attention_case *c,
                            adamra_type type)
{
    static const uint32_t shares[] = {2, 5, 15, 60}; /* hundredths of what the whole takes */
    struct attention_result whole, pieces;
    adamra_timing timing, streamed;
    uint32_t count = 0;
    attention_result_init(&whole, c);
    attention_case_run(attention_context(), c, type, &whole, &timing);
    ck_assert_int_eq(timing.streamed, 0);
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
        uint64_t bytes = whole_bytes(&timing) * shares[i] / 100;
        attention_result_init(&pieces, c);
        if (bytes > 0 && stream_run(context, c, type, bytes, &pieces, &streamed)) {
            ck_assert_int_eq(streamed.streamed, 1);
            ck_assert_uint_le(streamed.extra_bytes, bytes);
            ck_assert_double_eq(streamed.operations, timing.operations);
            ck_assert_uint_ge(streamed.submissions, 2);
            stream_assert_same(c, &whole, &pieces);
            count++;
        }
        attention_result_finish(&pieces);
    }
    attention_result_finish(&whole);
    return count;
}

/* ---- bits ---- */

/* All kinds of shapes, either storage type, with memory that the host sees, does not see, and has
 * apart from the device's. */
START_TEST(pieces_change_no_bit)
{
    struct random random = random_seed(test_seed() + 40 + (uint64_t)_i);
    adamra_context *context = stream_context(NULL);
    const bool unified = context->device->features.unified && _i == 0;
    uint32_t count = 0;
    if (_i > 0)
        discrete_memory(context->device);
    for (uint32_t i = 0; i < 12; i++) {
        struct attention_case c;
        draw_case(&c, &random, i % 6 == 5 ? "linear" : "adamra");
        spoil_padding(&c);
        context->device->features.unified = unified && i % 2;
        count += stream_case(context, &c, i % 4 < 2 ? ADAMRA_F32 : ADAMRA_F16);
        attention_case_finish(&c);
    }
    ck_assert_uint_ge(count, 12);
    stream_context_close(context);
}
END_TEST

/* One batch row and group, where only keys and queries are left to be cut; every candidate. */
START_TEST(every_kernel_can_be_cut)
{
    static const struct op *const ops[] = {&op_state, &op_reduce, &op_route, &op_readout};
    struct random random = random_seed(test_seed() + 50);
    adamra_context *context = stream_context(NULL);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        for (uint32_t j = 0; j < ops[i]->candidate_count; j++) {
            const char *name = ops[i]->candidates[j].name;
            bool shared = j % 2 == 1 || ops[i]->candidates[j].shader == SHADER_state_levels;
            struct attention_case c = {.rates = {1, shared ? 4 : 3, 2}};
            snprintf(c.name, sizeof(c.name), "%s", name);
            c.params = (adamra_attention_params){.batch = 1,
                                                 .groups = 1,
                                                 .queries = 3000,
                                                 .keys = 5000 + random_between(&random, 0, 99),
                                                 .key_width = 9,
                                                 .value_width = 16,
                                                 .heads = 3,
                                                 .shared_keys = shared,
                                                 .shared_values = shared,
                                                 .router = ADAMRA_ROUTER_WEIGHT};
            attention_case_draw(&c, &random, false);
            c.no_route = ops[i] == &op_readout;
            adamra_context_force(context, name);
            adamra_context_force(attention_context(), name);
            uint32_t count = stream_case(context, &c, ADAMRA_F32);
            adamra_context_force(attention_context(), NULL);
            ck_assert_uint_ge(count, 2);
            attention_case_finish(&c);
        }
    stream_context_close(context);
}
END_TEST

/* Nothing to attend to: zeros, also where what was in memory before is none. */
START_TEST(lengths_of_zero_give_zeros)
{
    struct random random = random_seed(test_seed() + 51);
    adamra_context *context = stream_context(NULL);
    for (uint32_t keys = 0; keys <= 2000; keys += 2000) {
        struct attention_case c = {.name = "zeros", .rates = {1, 4}};
        struct attention_result result;
        adamra_timing timing;
        c.params = (adamra_attention_params){.batch = 2,
                                             .groups = 1,
                                             .queries = 4000,
                                             .keys = keys,
                                             .key_width = 8,
                                             .value_width = 8,
                                             .heads = 2};
        attention_case_draw(&c, &random, true);
        c.key_lengths[0] = c.key_lengths[1] = 0;
        attention_result_init(&result, &c);
        ck_assert(stream_run(context, &c, ADAMRA_F32, 200000, &result, &timing));
        ck_assert_int_eq(timing.streamed, 1);
        for (size_t i = 0; i < attention_case_outputs(&c); i++)
            ck_assert_float_eq(result.y[i], 0);
        attention_result_finish(&result);
        attention_case_finish(&c);
    }
    stream_context_close(context);
}
END_TEST

Suite *stream_suite(void)
{
    Suite *suite = suite_create("stream");
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 600);
    tcase_add_loop_test(runs, pieces_change_no_bit, 0, 2);
    tcase_add_test(runs, lengths_of_zero_give_zeros);
    suite_add_tcase(suite, runs);
    TCase *kernels = tcase_create("kernels");
    tcase_set_timeout(kernels, 600);
    tcase_set_tags(kernels, "kernels");
    tcase_add_test(kernels, every_kernel_can_be_cut);
    suite_add_tcase(suite, kernels);
    TCase *more = tcase_create("more");
    tcase_set_tags(more, "long");
    tcase_add_loop_test(more, pieces_change_no_bit, 2, 4);
    suite_add_tcase(suite, more);
    return suite;
}
