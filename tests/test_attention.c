/* attention: golden cases and random shapes, on the device and on the reference loops. */
#include "attention_cases.h"
#include "context.h"
#include "suites.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of each kind. A device compiles kernels for many of them. */
#define RANDOM_REFERENCE_CASES 40
#define RANDOM_DEVICE_CASES    EXAMPLES(10, 4)

static const char *const kinds[] = {"adamra", "linear", "softmax", "bigbird"};

/* ---- correctness ---- */

static void check_reference(const struct attention_case *c)
{
    struct attention_result result;
    attention_result_init(&result, c);
    attention_case_run_reference(c, ADAMRA_F32, &result);
    attention_case_check(c, ADAMRA_F32, &result);
    attention_result_finish(&result);
}

static void check_device(const struct attention_case *c)
{
    for (adamra_type type = ADAMRA_F32; type <= ADAMRA_F16; type++) {
        struct attention_result result;
        attention_result_init(&result, c);
        attention_case_run(attention_context(), c, type, &result, NULL);
        attention_case_check(c, type, &result);
        attention_result_finish(&result);
    }
}

typedef void (*check_fn)(const struct attention_case *c);

static void check_golden(check_fn check)
{
    for (uint32_t i = 0; golden_names[i]; i++) {
        struct attention_case c;
        attention_case_load(&c, golden_names[i]);
        check(&c);
        c.no_route = true;
        if (c.head)
            check(&c);
        attention_case_finish(&c);
    }
}

START_TEST(golden_on_reference_loops)
{
    check_golden(check_reference);
}
END_TEST

START_TEST(golden_on_device)
{
    check_golden(check_device);
}
END_TEST

/* The oracle is checked too: it must agree with PyTorch. */
START_TEST(oracle_agrees_with_golden)
{
    for (uint32_t i = 0; golden_names[i]; i++) {
        struct attention_case c;
        struct attention_result golden;
        attention_case_load(&c, golden_names[i]);
        attention_result_init(&golden, &c);
        size_t queries = attention_case_queries(&c), outputs = attention_case_outputs(&c);
        memcpy(golden.y, c.y, outputs * sizeof(float));
        memset(c.y, 0, outputs * sizeof(float));
        if (c.head) {
            memcpy(golden.head, c.head, queries * sizeof(int32_t));
            memcpy(golden.prob, c.prob, queries * sizeof(float));
        }
        attention_oracle(&c);
        attention_case_check(&c, ADAMRA_F32, &golden);
        attention_result_finish(&golden);
        attention_case_finish(&c);
    }
}
END_TEST

static void check_random(check_fn check, uint32_t count)
{
    struct random random = random_seed(test_seed());
    for (uint32_t i = 0; i < count * ARRAY_SIZE(kinds); i++) {
        struct attention_case c;
        attention_case_random(&c, &random, kinds[i % ARRAY_SIZE(kinds)]);
        check(&c);
        attention_case_finish(&c);
    }
}

START_TEST(random_on_reference_loops)
{
    check_random(check_reference, RANDOM_REFERENCE_CASES);
}
END_TEST

START_TEST(random_on_device)
{
    check_random(check_device, RANDOM_DEVICE_CASES);
}
END_TEST

/* Shapes at the edges, each drawn and compared with the oracle. */
static const struct {
    const char *name;
    uint32_t batch, groups, queries, keys, key_width, value_width, heads, rates[4];
    adamra_routing routing;
    adamra_router router;
    const char *kind; /* NULL: adamra */
} shapes[] = {
    {"one of everything", 1, 1, 1, 1, 1, 1, 1, {1}, ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT},
    {"no keys", 2, 1, 5, 0, 3, 4, 2, {1, 2}, ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS},
    {"no queries", 2, 1, 0, 5, 3, 4, 2, {1, 2}, ADAMRA_SOFT, ADAMRA_ROUTER_LOGITS},
    {"nothing", 1, 1, 0, 0, 3, 4, 2, {1, 2}, ADAMRA_NONE, ADAMRA_ROUTER_LOGITS},
    {"many blocks", 170, 7, 3, 5, 4, 3, 2, {1, 2}, ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT},
    {"many stretches", 1, 2, 4, 2111, 5, 6, 3, {1, 3, 4000}, ADAMRA_SOFT, ADAMRA_ROUTER_WEIGHT},
    {"routed in chunks", 8, 9, 1100, 3, 2, 2, 3, {1, 2, 3}, ADAMRA_SOFT, ADAMRA_ROUTER_LOGITS},
    {"largest rate", 1, 1, 6, 9, 8, 8, 2, {1, UINT32_MAX}, ADAMRA_NONE, ADAMRA_ROUTER_LOGITS},
    /* What kernels go round for more often than lavapipe lets them (limits.loop_iterations). */
    {"a long segment", 2, 1, 4, 65000, 4, 3, 2, {1, 65000}, ADAMRA_NONE, ADAMRA_ROUTER_LOGITS},
    {"wide heads", 1, 1, 1024, 3, 2048, 4, 4, {1, 1, 1, 1}, ADAMRA_SOFT, ADAMRA_ROUTER_LOGITS},
    {"keys in parts", 2, 1, 5, 100, 16384, 5, 1, {1}, ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, "softmax"},
};

static void draw_shape(struct attention_case *c, size_t index, struct random *random)
{
    *c = (struct attention_case){0};
    snprintf(c->name, sizeof(c->name), "%s", shapes[index].name);
    memcpy(c->rates, shapes[index].rates, sizeof(shapes[index].rates));
    c->params = (adamra_attention_params){
        .batch = shapes[index].batch,
        .groups = shapes[index].groups,
        .queries = shapes[index].queries,
        .keys = shapes[index].keys,
        .key_width = shapes[index].key_width,
        .value_width = shapes[index].value_width,
        .heads = shapes[index].heads,
        .routing = shapes[index].routing,
        .router = shapes[index].router,
        .kind = shapes[index].kind,
    };
    attention_case_draw(c, random, shapes[index].keys > 1 && shapes[index].queries > 1);
}

static void check_shapes(check_fn check)
{
    struct random random = random_seed(test_seed() + 2);
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        struct attention_case c;
        draw_shape(&c, i, &random);
        check(&c);
        attention_case_finish(&c);
    }
}

START_TEST(edge_shapes_on_reference_loops)
{
    check_shapes(check_reference);
}
END_TEST

START_TEST(edge_shapes_on_device)
{
    check_shapes(check_device);
}
END_TEST

/* ---- what must not change a bit ---- */

static void check_same(const struct attention_case *c, const struct attention_result *a,
                       const struct attention_result *b, const char *what)
{
    size_t queries = attention_case_queries(c);
    ck_assert_msg(memcmp(a->y, b->y, attention_case_outputs(c) * sizeof(float)) == 0,
                  "%s: %s changes y", c->name, what);
    if (a->head && b->head) {
        ck_assert_mem_eq(a->head, b->head, queries * sizeof(int32_t));
        ck_assert_mem_eq(a->prob, b->prob, queries * sizeof(float));
    }
}

START_TEST(two_runs_are_equal)
{
    struct random random = random_seed(test_seed() + 3);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct attention_case c;
        struct attention_result first, second;
        attention_case_random(&c, &random, kinds[i]);
        free(c.query_lengths); /* what lies past them is unspecified in head and prob */
        c.query_lengths = NULL;
        attention_result_init(&first, &c);
        attention_result_init(&second, &c);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &first, NULL);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &second, NULL);
        check_same(&c, &first, &second, "a second run");
        attention_result_finish(&first);
        attention_result_finish(&second);
        attention_case_finish(&c);
    }
}
END_TEST

/* Tensors larger than what the device is said to bind below. */
static const struct {
    const char *kind;
    uint32_t heads, keys;
    adamra_routing routing;
} splits[] = {
    {"adamra", 2, 3000, ADAMRA_TOP1}, {"adamra", 2, 3000, ADAMRA_NONE},
    {"linear", 1, 3000, ADAMRA_TOP1}, {"softmax", 1, 700, ADAMRA_TOP1},
    {"bigbird", 1, 1500, ADAMRA_TOP1},
};

/* A device whose bindings hold a fraction of the tensors works in pieces. */
START_TEST(split_is_equal)
{
    struct random random = random_seed(test_seed() + 4);
    struct gpu_limits *limits = &attention_context()->device->limits;
    for (size_t i = 0; i < ARRAY_SIZE(splits); i++) {
        struct attention_case c = {.rates = {1, 4}};
        struct attention_result whole, split;
        c.params = (adamra_attention_params){.kind = splits[i].kind,
                                             .batch = 2,
                                             .groups = 2,
                                             .queries = 1500,
                                             .keys = splits[i].keys,
                                             .key_width = 4,
                                             .value_width = 7,
                                             .heads = splits[i].heads,
                                             .routing = splits[i].routing};
        snprintf(c.name, sizeof(c.name), "%s %zu", splits[i].kind, i);
        attention_case_draw(&c, &random, false);
        attention_result_init(&whole, &c);
        attention_result_init(&split, &c);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &whole, NULL);
        struct gpu_limits old = *limits;
        limits->storage_range = 48 << 10;
        limits->groups[0] = limits->groups[1] = 3;
        attention_case_run(attention_context(), &c, ADAMRA_F32, &split, NULL);
        *limits = old;
        check_same(&c, &whole, &split, "running in pieces");
        attention_result_finish(&whole);
        attention_result_finish(&split);
        attention_case_finish(&c);
    }
}
END_TEST

/* Puts what must not be read into the rows of k or v past their lengths. */
static void fill_padding(const struct attention_case *c, float *data, size_t count, uint32_t width)
{
    static const float rubbish[] = {3e38F, -INFINITY, NAN};
    size_t rows = count / width, batch_rows = rows / c->params.batch;
    for (size_t row = 0; row < rows; row++)
        if (row % c->params.keys >= c->key_lengths[row / batch_rows])
            for (uint32_t column = 0; column < width; column++)
                data[row * width + column] = rubbish[(row + column) % 3];
}

START_TEST(padding_is_not_read)
{
    struct random random = random_seed(test_seed() + 5);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
        struct attention_case c = {0};
        struct attention_result clean, padded;
        do {
            attention_case_finish(&c);
            attention_case_random(&c, &random, kinds[i % ARRAY_SIZE(kinds)]);
        } while (!c.key_lengths);
        attention_result_init(&clean, &c);
        attention_result_init(&padded, &c);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &clean, NULL);
        fill_padding(&c, c.k, attention_case_keys(&c), c.params.key_width);
        fill_padding(&c, c.v, attention_case_values(&c), c.params.value_width);
        attention_case_run(attention_context(), &c, ADAMRA_F32, &padded, NULL);
        check_same(&c, &clean, &padded, "padding");
        attention_result_finish(&clean);
        attention_result_finish(&padded);
        attention_case_finish(&c);
    }
}
END_TEST

/* Heads and probabilities as outputs are made in one piece, else in chunks. */
START_TEST(chunks_are_equal)
{
    struct random random = random_seed(test_seed() + 6);
    struct attention_case c = {.name = "chunks", .rates = {1, 3}};
    struct attention_result whole, chunks;
    c.params = (adamra_attention_params){.batch = 10,
                                         .groups = 8,
                                         .queries = 2500,
                                         .keys = 9,
                                         .key_width = 3,
                                         .value_width = 2,
                                         .heads = 2,
                                         .router = ADAMRA_ROUTER_WEIGHT};
    attention_case_draw(&c, &random, true);
    attention_result_init(&whole, &c);
    attention_case_run(attention_context(), &c, ADAMRA_F32, &whole, NULL);
    chunks = (struct attention_result){.y = calloc(attention_case_outputs(&c), sizeof(float))};
    ck_assert_ptr_nonnull(chunks.y);
    attention_case_run(attention_context(), &c, ADAMRA_F32, &chunks, NULL);
    check_same(&c, &whole, &chunks, "routing in chunks");
    attention_result_finish(&whole);
    attention_result_finish(&chunks);
    attention_case_finish(&c);
}
END_TEST

/* Rows without keys divide a probability by it. */
START_TEST(the_least_eps_divides)
{
    struct random random = random_seed(test_seed() + 6);
    struct attention_case c = {.name = "the least eps", .rates = {1, 5}};
    c.params = (adamra_attention_params){.kind = "adamra",
                                         .batch = 3,
                                         .groups = 1,
                                         .queries = 40,
                                         .keys = 40,
                                         .key_width = 12,
                                         .value_width = 16,
                                         .heads = 2,
                                         .routing = (adamra_routing)_i,
                                         .eps = FLT_MIN};
    attention_case_draw(&c, &random, true);
    check_device(&c);
    attention_case_finish(&c);
}
END_TEST

START_TEST(no_validation_errors)
{
    ck_assert_uint_eq(adamra_validation_errors(attention_context()), 0);
}
END_TEST

Suite *attention_suite(void)
{
    Suite *suite = suite_create("attention");
    TCase *reference = tcase_create("reference");
    tcase_add_test(reference, oracle_agrees_with_golden);
    tcase_add_test(reference, golden_on_reference_loops);
    tcase_add_test(reference, random_on_reference_loops);
    tcase_add_test(reference, edge_shapes_on_reference_loops);
    suite_add_tcase(suite, reference);
    TCase *device = tcase_create("device");
    tcase_set_timeout(device, 300);
    tcase_add_test(device, golden_on_device);
    tcase_add_test(device, random_on_device);
    tcase_add_test(device, edge_shapes_on_device);
    tcase_add_test(device, two_runs_are_equal);
    tcase_add_test(device, split_is_equal);
    tcase_add_test(device, padding_is_not_read);
    tcase_add_test(device, chunks_are_equal);
    tcase_add_loop_test(device, the_least_eps_divides, ADAMRA_TOP1, ADAMRA_NONE + 1);
    tcase_add_test(device, no_validation_errors);
    suite_add_tcase(suite, device);
    return suite;
}
