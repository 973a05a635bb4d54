/* ops_reference: the reference loops, which all kernels are compared with, against numbers worked
 * out by hand. No device. */
#include "ops/ops.h"
#include "support.h"
#include <math.h>

#define FLOATS(array)                                                                              \
    (struct tensor)                                                                                \
    {                                                                                              \
        .elements = ARRAY_SIZE(array), .host = (array)                                             \
    }
#define WORDS(array)                                                                               \
    (struct tensor)                                                                                \
    {                                                                                              \
        .type = ELEMENT_U32, .elements = ARRAY_SIZE(array), .host = (array)                        \
    }

static void expect_floats(const float *found, const double *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs(found[i] - expected[i]) < 1e-6 * fmax(1, fabs(expected[i])),
                      "[%zu] is %.9g, expected %.9g", i, (double)found[i], expected[i]);
}
#define EXPECT(found, ...)                                                                         \
    do {                                                                                           \
        const double expected_[] = {__VA_ARGS__};                                                  \
        ck_assert_uint_eq(ARRAY_SIZE(expected_), ARRAY_SIZE(found));                               \
        expect_floats(found, expected_, ARRAY_SIZE(found));                                        \
    } while (0)

START_TEST(scalars)
{
    ck_assert_double_eq(feature_map(FEATURE_ELU1, 2), 3);
    ck_assert_double_eq(feature_map(FEATURE_ELU1, 0), 1);
    ck_assert_double_eq_tol(feature_map(FEATURE_ELU1, -1), 0.36787944117144233, 1e-15);
    ck_assert_double_eq(feature_map(FEATURE_RELU, 2), 2);
    ck_assert_double_eq(feature_map(FEATURE_RELU, -2), 0);
    ck_assert_double_eq(gelu(0), 0);
    ck_assert_double_eq_tol(gelu(1), 0.84134474606854293, 1e-15);
    ck_assert_double_eq_tol(gelu(-1), -0.15865525393145707, 1e-15);
    ck_assert_double_eq_tol(gelu(-10), 0, 1e-20);
}
END_TEST

START_TEST(linear)
{
    float a[] = {1, 2, 0, 0, 3, 4, 0, 0}, bias[] = {1, -1, 0, 0, 12, 14, 0, 0}, c[8];
    float moments[] = {1.5, 2, 0, 0, 3.5, 2, 0, 0}; /* rows -1, 1, whatever their other columns */
    float w[16] = {5, 6, 0, 0, 7, 8, 0, 0}, residual[] = {10, 20, 0, 0, 30, 40, 0, 0};
    struct op_call call = {.op = &op_linear};
    call.params.linear =
        (struct linear_params){.rows = 2, .k4 = 1, .n4 = 1, .a_row = 1, .w_row = 1, .c_row = 1};
    call.tensors[LINEAR_A] = FLOATS(a);
    call.tensors[LINEAR_W] = FLOATS(w);
    call.tensors[LINEAR_BIAS] = FLOATS(bias);
    call.tensors[LINEAR_RESIDUAL] = FLOATS(residual);
    call.tensors[LINEAR_C] = FLOATS(c);
    op_linear.reference(&call);
    EXPECT(c, 19, 22, 0, 0, 43, 50, 0, 0);
    call.options[OPTION_BIAS] = call.options[OPTION_RESIDUAL] = 1;
    op_linear.reference(&call);
    EXPECT(c, 30, 41, 0, 0, 74, 89, 0, 0);
    call.options[OPTION_NORMED] = 1;
    call.tensors[LINEAR_MOMENTS] = FLOATS(moments);
    op_linear.reference(&call);
    EXPECT(c, 13, 21, 0, 0, 33, 41, 0, 0);
    call.options[OPTION_NORMED] = 0;
    for (int i = 0; i < 16; i++)
        w[i] = 0;
    call.options[OPTION_GELU] = 1; /* after the bias, before the residual */
    op_linear.reference(&call);
    EXPECT(c, 10.841344746, 19.841344746, 0, 0, 30.841344746, 39.841344746, 0, 0);
}
END_TEST

START_TEST(norm)
{
    float x[] = {1, 2, 3, 99}, weight[] = {2, 2, 2, 2}, bias[] = {1, 1, 1, 1}, y[4];
    struct op_call call = {.op = &op_norm};
    call.params.norm = (struct norm_params){.rows = 1, .columns = 3, .x_row = 1, .y_row = 1};
    call.tensors[NORM_X] = FLOATS(x);
    call.tensors[NORM_WEIGHT] = FLOATS(weight);
    call.tensors[NORM_BIAS] = FLOATS(bias);
    call.tensors[NORM_Y] = FLOATS(y);
    op_norm.reference(&call);
    EXPECT(y, 1 - sqrt(6), 1, 1 + sqrt(6), 0);
    call.options[OPTION_MOMENTS] = 1;
    op_norm.reference(&call);
    EXPECT(y, 2, sqrt(1.5), 0, 0);
}
END_TEST

START_TEST(embed)
{
    uint32_t tokens[] = {1, 0, 2, 1}; /* 2 is beyond the table: row 0 */
    float table[] = {1, 2, 3, 4, 5, 6, 7, 8}, positions[] = {10, 10, 10, 10, 20, 20, 20, 20};
    float x[16];
    struct op_call call = {.op = &op_embed};
    call.params.embed = (struct embed_params){.rows = 4,
                                              .n = 2,
                                              .quads = 1,
                                              .vocabulary = 2,
                                              .table_row = 1,
                                              .position_row = 1,
                                              .x_row = 1};
    call.tensors[EMBED_TOKENS] = WORDS(tokens);
    call.tensors[EMBED_TABLE] = FLOATS(table);
    call.tensors[EMBED_POSITIONS] = FLOATS(positions);
    call.tensors[EMBED_X] = FLOATS(x);
    op_embed.reference(&call);
    EXPECT(x, 15, 16, 17, 18, 21, 22, 23, 24, 11, 12, 13, 14, 25, 26, 27, 28);
}
END_TEST

START_TEST(pool)
{
    float x[24] = {1, -1, 0, 0, 2, -2, 0, 0, 3, -3, 0, 0, 7, -7, 0, 0, 5, -5}, y[12], coarse[8];
    float moments[24] = {1, 1, 0, 0, 1, 1, 0, 0, -1, 1};
    uint32_t lengths[] = {5};
    struct op_call call = {.op = &op_pool, .options = {[OPTION_LEVELS] = 1}};
    call.params.pool = (struct pool_params){.batch = 1,
                                            .segments = {3, 2}, .rates = {2, 4},
                                            .quads = 1,
                                            .rows = 6,
                                            .columns = 4,
                                            .x_batch = 6,
                                            .x_row = 1,
                                            .y_row = 1,
                                            .m_batch = 6};
    call.tensors[POOL_X] = FLOATS(x);
    call.tensors[POOL_LENGTHS] = WORDS(lengths);
    call.tensors[POOL_Y] = FLOATS(y);
    op_pool.reference(&call);
    EXPECT(y, 1.5, -1.5, 0, 0, 5, -5, 0, 0, 5, -5, 0, 0); /* the last pools the row it has */
    lengths[0] = 3;
    op_pool.reference(&call);
    EXPECT(y, 1.5, -1.5, 0, 0, 3, -3, 0, 0, 0, 0, 0, 0);
    call.options[OPTION_POOLING] = POOLING_MAX;
    op_pool.reference(&call);
    EXPECT(y, 2, -1, 0, 0, 3, -3, 0, 0, 0, 0, 0, 0);
    call.options[OPTION_LEVELS] = 2, call.options[OPTION_POOLING] = POOLING_MEAN;
    call.tensors[POOL_Y + 1] = FLOATS(coarse);
    op_pool.reference(&call);
    EXPECT(coarse, 2, -2, 0, 0, 0, 0, 0, 0);
    call.options[OPTION_NORMED] = 1; /* less 1, less 1, more 1 */
    call.tensors[POOL_MOMENTS] = FLOATS(moments);
    op_pool.reference(&call);
    EXPECT(y, 0.5, -2.5, -1, -1, 4, -2, 1, 1, 0, 0, 0, 0);
}
END_TEST

/* One feature, one column: k = 1, 3, 0 and v = 2, 4, 10, then padding that must not count. */
START_TEST(state)
{
    float k[16] = {1, 9, 9, 9, 3, 9, 9, 9, 0, 9, 9, 9, 9, 9, 9, 9}, p[2 * 20];
    float v[16] = {2, 0, 0, 0, 4, 0, 0, 0, 10, 0, 0, 0, 9, 9, 9, 9};
    uint32_t lengths[] = {3};
    struct op_call call = {.op = &op_state};
    call.params.state = (struct state_params){.batch = 1,
                                              .groups = 1,
                                              .dk = 1,
                                              .dv4 = 1,
                                              .rate = 2,
                                              .divisor = 1,
                                              .stretches = 2,
                                              .per_stretch = 1,
                                              .k_row = 1,
                                              .v_row = 1,
                                              .p_group = 10,
                                              .keys = 4};
    call.tensors[STATE_K] = FLOATS(k);
    call.tensors[STATE_V] = FLOATS(v);
    call.tensors[STATE_LENGTHS] = WORDS(lengths);
    call.tensors[STATE_P] = FLOATS(p);
    op_state.reference(&call);
    /* Segments pool to k = 2, 0 and v = 3, 10; phi(2) = 3, phi(0) = 1. */
    const double two[40] = {[0] = 9, [16] = 3, [20] = 10, [36] = 1}, none[40] = {0};
    expect_floats(p, two, 40);
    lengths[0] = 0;
    op_state.reference(&call);
    expect_floats(p, none, 40);
    lengths[0] = 7; /* of rows that are pooled by 3 already: three */
    call.params.state.rate = 1;
    call.params.state.divisor = 3;
    call.params.state.per_stretch = 2;
    op_state.reference(&call);
    const double pooled[40] = {[0] = 20, [16] = 6, [20] = 10, [36] = 1}; /* 2*2 + 4*4 */
    expect_floats(p, pooled, 40);
}
END_TEST

START_TEST(reduce)
{
    float s[16], p[] = {1, 2,  3,  4,  10, 20, 30, 40, 5, 6, 7, 8, 50, 60, 70, 80, /* head 0 */
                        9, 10, 11, 12, 0,  0,  0,  1,  1, 1, 1, 1, 2,  2,  2,  2}; /* head 1 */
    struct op_call call = {.op = &op_reduce};
    call.params.reduce =
        (struct reduce_params){.heads = 2, .blocks = 2, .stretches = 2, .quads = 1, .s_block = 2};
    call.tensors[REDUCE_P] = FLOATS(p), call.tensors[REDUCE_S] = FLOATS(s);
    op_reduce.reference(&call);
    EXPECT(s, 11, 22, 33, 44, 9, 10, 11, 13, 55, 66, 77, 88, 3, 3, 3, 3);
}
END_TEST

START_TEST(route_of_logits)
{
    float logits[] = {9, 9, 9, 1, 3, 3, 5, 5, 5}, prob[2], soft[6]; /* query 0 is not ours */
    uint32_t head[2];
    struct op_call call = {.op = &op_route};
    call.params.route = (struct route_params){
        .batch = 1, .groups = 1, .n = 2, .heads = 3, .first_query = 1, .queries = 3};
    call.tensors[ROUTE_LOGITS] = FLOATS(logits);
    call.tensors[ROUTE_HEAD] = WORDS(head);
    call.tensors[ROUTE_PROB] = FLOATS(prob);
    op_route.reference(&call);
    ck_assert_uint_eq(head[0], 1); /* of the two best, the lowest */
    ck_assert_uint_eq(head[1], 0);
    EXPECT(prob, 1 / (2 + exp(-2)), 1.0 / 3);
    call.options[OPTION_ROUTING] = ROUTING_SOFT;
    call.tensors[ROUTE_PROB] = FLOATS(soft);
    op_route.reference(&call);
    EXPECT(soft, exp(-2) / (2 + exp(-2)), 1 / (2 + exp(-2)), 1 / (2 + exp(-2)), 1.0 / 3, 1.0 / 3,
           1.0 / 3);
}
END_TEST

START_TEST(route_by_weights)
{
    float q[] = {1, 2, 0, 0, -1, 1, 0, 0}, weight[] = {1, 0, 0, 0, 0, 1, 0, 0}, bias[] = {2, 0.5f};
    float prob[2]; /* of the logits 3, 2.5 and 1, 1.5 */
    uint32_t head[2];
    struct op_call call = {.op = &op_route, .options = {[OPTION_ROUTER] = ROUTER_WEIGHT}};
    call.params.route = (struct route_params){
        .batch = 1, .groups = 1, .n = 2, .heads = 2, .dk4 = 1, .q_row = 1, .queries = 2};
    call.tensors[ROUTE_Q] = FLOATS(q);
    call.tensors[ROUTE_WEIGHT] = FLOATS(weight);
    call.tensors[ROUTE_BIAS] = FLOATS(bias);
    call.tensors[ROUTE_HEAD] = WORDS(head);
    call.tensors[ROUTE_PROB] = FLOATS(prob);
    op_route.reference(&call);
    ck_assert_uint_eq(head[0], 0);
    ck_assert_uint_eq(head[1], 1);
    EXPECT(prob, 1 / (1 + exp(-0.5)), 1 / (1 + exp(-0.5)));
    ck_assert_double_eq_tol(op_route.margin(&call, 0), 0.5, 1e-12);
    ck_assert_double_eq_tol(op_route.margin(&call, 1), 0.5, 1e-12);
}
END_TEST

/* Two heads of one feature; z is 1, then 4. phi(q) is 1, 2, 3. */
START_TEST(readout)
{
    float q[] = {0, -99, -99, -99, 1, -99, -99, -99, 2, -99, -99, -99}, y[12];
    float s[40] = {[0] = 6, [1] = 8, [16] = 1, [20] = 20, [21] = 40, [36] = 4};
    float prob[] = {0.5f, 1, 1}, soft[] = {0.5f, 0.5f, 1, 0, 0, 0};
    uint32_t head[] = {1, 0, 0}, lengths[] = {3};
    struct op_call call = {.op = &op_readout};
    call.params.readout = (struct readout_params){.batch = 1,
                                                  .groups = 1,
                                                  .heads = 2,
                                                  .n = 3,
                                                  .dk4 = 1,
                                                  .dv4 = 1,
                                                  .q_row = 1,
                                                  .y_row = 1,
                                                  .first_query = 1};
    call.tensors[READOUT_Q] = FLOATS(q);
    call.tensors[READOUT_S] = FLOATS(s);
    call.tensors[READOUT_HEAD] = WORDS(head);
    call.tensors[READOUT_PROB] = FLOATS(prob);
    call.tensors[READOUT_LENGTHS] = WORDS(lengths);
    call.tensors[READOUT_Y] = FLOATS(y);
    op_readout.reference(&call);
    EXPECT(y, 2.5, 5, 0, 0, 6, 8, 0, 0, 0, 0, 0, 0); /* the third is query 3 of 3 */
    call.options[OPTION_ROUTING] = ROUTING_SOFT;
    call.tensors[READOUT_PROB] = FLOATS(soft);
    op_readout.reference(&call);
    EXPECT(y, 5.5, 9, 0, 0, 6, 8, 0, 0, 0, 0, 0, 0);
    call.options[OPTION_FEATURE] = FEATURE_RELU; /* phi(0) = 0: 0 / eps */
    call.params.readout.eps = 1e-6f;
    op_readout.reference(&call);
    ck_assert_float_eq(y[0], 0);
}
END_TEST

/* One feature, phi(q) 1 and 2; two heads of z = 1 that answer 6 and 8. */
START_TEST(fused_readout)
{
    float q[] = {0, -99, -99, -99, 1, -99, -99, -99}, y[8];
    float s[40] = {[0] = 6, [16] = 1, [20] = 8, [36] = 1};
    float logits[] = {9, 9, 0, 1, 2, 2}; /* query 0 is not ours */
    float weight[] = {-1, 0, 0, 0, 1, 0, 0, 0}, bias[] = {1, 0};
    uint32_t lengths[] = {3};
    struct op_call call = {.op = &op_readout, .options = {[OPTION_FUSED] = 1}};
    struct readout_params *p = &call.params.readout;
    p->batch = p->groups = p->dk4 = p->dv4 = p->q_row = p->y_row = p->first_query = 1;
    p->heads = p->n = 2;
    p->queries = 3;
    call.tensors[READOUT_Q] = FLOATS(q);
    call.tensors[READOUT_S] = FLOATS(s);
    call.tensors[READOUT_LOGITS] = FLOATS(logits);
    call.tensors[READOUT_LENGTHS] = WORDS(lengths);
    call.tensors[READOUT_Y] = FLOATS(y);
    op_readout.reference(&call);
    EXPECT(y, 8 / (1 + exp(-1)), 0, 0, 0, 3, 0, 0, 0); /* of two equal ones, the first */
    call.options[OPTION_ROUTER] = ROUTER_WEIGHT;       /* logits 1, 0 and 0, 1 */
    call.tensors[READOUT_WEIGHT] = FLOATS(weight);
    call.tensors[READOUT_BIAS] = FLOATS(bias);
    op_readout.reference(&call);
    EXPECT(y, 6 / (1 + exp(-1)), 0, 0, 0, 8 / (1 + exp(-1)), 0, 0, 0);
}
END_TEST

START_TEST(mean)
{
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1, 2, 2, 2, 2}, y[8];
    uint32_t lengths[] = {2, 0};
    struct op_call call = {.op = &op_pool, .options = {[OPTION_LEVELS] = 1}};
    call.params.pool = (struct pool_params){
        .batch = 2, .quads = 1, .rows = 2, .x_batch = 2, .x_row = 1, .y_row = 1, .rates = {2}};
    call.params.pool.segments[0] = call.params.pool.y_batch[0] = 1;
    call.tensors[POOL_X] = FLOATS(x);
    call.tensors[POOL_LENGTHS] = WORDS(lengths);
    call.tensors[POOL_Y] = FLOATS(y);
    op_pool.reference(&call);
    EXPECT(y, 3, 4, 5, 6, 0, 0, 0, 0);
}
END_TEST

/* Equal scores average the values; a score higher by log 3 weighs three times as much. */
START_TEST(softmax)
{
    float q[] = {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, k[] = {0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0};
    float v[] = {4, 0, 0, 0, 8, 4, 0, 0, 99, 99, 99, 99}, y[12];
    uint32_t keys[] = {2}, queries[] = {2};
    struct op_call call = {.op = &op_softmax};
    call.params.softmax = (struct softmax_params){.batch = 1,
                                                  .groups = 1,
                                                  .n = 3,
                                                  .m = 3,
                                                  .dk4 = 1,
                                                  .dv4 = 1,
                                                  .q_row = 1,
                                                  .k_row = 1,
                                                  .v_row = 1,
                                                  .scale = logf(3),
                                                  .y_group = 3,
                                                  .y_row = 1,
                                                  .block = 3};
    call.tensors[SOFTMAX_Q] = FLOATS(q);
    call.tensors[SOFTMAX_K] = FLOATS(k);
    call.tensors[SOFTMAX_V] = FLOATS(v);
    call.tensors[SOFTMAX_KEY_LENGTHS] = WORDS(keys);
    call.tensors[SOFTMAX_QUERY_LENGTHS] = WORDS(queries);
    call.tensors[SOFTMAX_Y] = FLOATS(y);
    op_softmax.reference(&call);
    EXPECT(y, 6, 2, 0, 0, 7, 3, 0, 0, 0, 0, 0, 0);
    keys[0] = 0;
    op_softmax.reference(&call);
    EXPECT(y, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
END_TEST

START_TEST(repack)
{
    float src[] = {9, 1, 2, 3, 9, 4, 5, 6, 9}, wide[10];
    uint16_t dense[8];
    struct op_call call = {.op = &op_repack};
    call.params.repack = (struct repack_params){
        .rows = 2, .columns = 3, .src_start = 1, .src_row = 4, .dst_start = 2, .dst_row = 4};
    wide[0] = wide[1] = -1;
    call.tensors[REPACK_SRC] = FLOATS(src);
    call.tensors[REPACK_DST] = FLOATS(wide);
    op_repack.reference(&call);
    EXPECT(wide, -1, -1, 1, 2, 3, 0, 4, 5, 6, 0);
    call.params.repack.dst_row = 3; /* dense halves: the second row starts within a word */
    call.params.repack.rows = 1;
    call.params.repack.dst_start = 0;
    call.tensors[REPACK_DST] =
        (struct tensor){.type = ELEMENT_F16, .elements = ARRAY_SIZE(dense), .host = dense};
    dense[3] = 0xffff;
    op_repack.reference(&call);
    ck_assert_uint_eq(dense[0], 0x3c00);
    ck_assert_uint_eq(dense[1], 0x4000);
    ck_assert_uint_eq(dense[2], 0x4200);
    ck_assert_uint_eq(dense[3], 0); /* the spare half of the last word */
}
END_TEST

Suite *ops_reference_suite(void)
{
    const TTest *const tests[] = {
        scalars,         linear,           norm,    embed,         pool, state,   reduce,
        route_of_logits, route_by_weights, readout, fused_readout, mean, softmax, repack};
    Suite *suite = suite_create("ops_reference");
    TCase *by_hand = tcase_create("by_hand");
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_test(by_hand, tests[i]);
    suite_add_tcase(suite, by_hand);
    return suite;
}
