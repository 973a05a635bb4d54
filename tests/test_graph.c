/* graph: graphs of op calls, and the random numbers that examples are drawn from. No device. */
#include "ops/graph.h"
#include "ops/random.h"
#include "support.h"
#include <math.h>

START_TEST(random_numbers)
{
    struct random a = random_seed(7), b = random_seed(7), c = random_seed(8);
    double sum = 0, squares = 0;
    uint32_t low = 0, high = 0;
    for (int i = 0; i < 4000; i++) {
        uint32_t x = random_u32(&a);
        ck_assert_uint_eq(x, random_u32(&b));
        double unit = random_unit(&c), normal = random_normal(&c);
        ck_assert_double_ge(unit, 0);
        ck_assert_double_lt(unit, 1);
        sum += normal / 4000;
        squares += normal * normal / 4000;
        uint32_t between = random_between(&c, 5, 8);
        ck_assert_uint_ge(between, 5);
        ck_assert_uint_le(between, 8);
        low += between == 5;
        high += between == 8;
    }
    ck_assert_double_lt(fabs(sum), 0.1);
    ck_assert_double_lt(fabs(squares - 1), 0.1);
    ck_assert_uint_gt(low, 900);
    ck_assert_uint_gt(high, 900);
    ck_assert_uint_eq(random_between(&c, 3, 3), 3);
}
END_TEST

START_TEST(graph_grows)
{
    struct graph graph;
    graph_init(&graph);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(graph_add_tensor(&graph, "t", ELEMENT_F16, i, GRAPH_BOUND), i);
        struct graph_call *call = graph_add_call(&graph, &op_embed);
        ck_assert_uint_eq(call->tensors[OP_MAX_TENSORS - 1], NO_TENSOR);
        ck_assert_uint_eq(call->params.embed.n, 0);
        call->params.embed.n = i;
        call->tensors[0] = i;
    }
    ck_assert_int_eq(graph_status(&graph), STATUS_OK);
    ck_assert_uint_eq(graph.call_count, 100);
    ck_assert_uint_eq(graph.calls[3].params.embed.n, 3);
    ck_assert_uint_eq(graph.tensors[99].elements, 99);
    graph.state = STATUS_OUT_OF_HOST_MEMORY; /* as after a failed allocation */
    ck_assert_uint_eq(graph_add_tensor(&graph, "t", ELEMENT_F16, 1, GRAPH_BOUND), NO_TENSOR);
    graph_add_call(&graph, &op_embed)->params.embed.n = 1;
    ck_assert_uint_eq(graph.call_count, 100);
    ck_assert_int_eq(graph_status(&graph), STATUS_OUT_OF_HOST_MEMORY);
    graph_finish(&graph);
}
END_TEST

Suite *graph_suite(void)
{
    Suite *suite = suite_create("graph");
    TCase *graphs = tcase_create("graphs");
    tcase_add_test(graphs, random_numbers);
    tcase_add_test(graphs, graph_grows);
    suite_add_tcase(suite, graphs);
    return suite;
}
