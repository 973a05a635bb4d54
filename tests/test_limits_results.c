/* limits_results: attentions and a model under lowered limits give the same bits. */
#include "api/context.h"
#include "attention_cases.h"
#include "gpu/memory.h"
#include "model_cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The base has the same kernels: what must not count is the rest. */
#define KERNELS                                                                                    \
    "group_size=128,group_invocations=128,shared_bytes=16384,storage_buffers=4,texel_elements="    \
    "65536,subgroup_shuffle=0,float16=0"

static const struct {
    const char *name, *base, *lowered;
    const char *candidate; /* forced; NULL: the choice */
    bool model;            /* bindings suffice for the model too */
} lowerings[] = {
    {"storage_range", NULL, "storage_range=40000", NULL, false},
    {"storage_range, portable", NULL, "storage_range=40000", "tile", false},
    {"groups", NULL, "groups=3", NULL, true},
    {"groups, portable", NULL, "groups=3", "tile", true},
    {"buffer_offset", NULL, "buffer_offset=4096", NULL, true},
    {"all of these", NULL, "storage_range=50000,groups=2,buffer_offset=1024", "tile", false},
    {"noncoherent_atom", NULL, "noncoherent_atom=4096", NULL, true},
    {"allocation_bytes", NULL, "allocation_bytes=16777216", NULL, true},
    {"staging", NULL, "unified=0", NULL, true},
    {"small staging", NULL, "unified=0,allocation_bytes=1048576", NULL, false},
    {"timestamps", NULL, "timestamps=0", NULL, true},
    {"texel_elements", KERNELS, KERNELS ",texel_elements=3000", NULL, true},
    {"vulkan-minimum", KERNELS, "vulkan-minimum", NULL, true},
    {"android-baseline-2021", KERNELS, "android-baseline-2021", NULL, true},
    {"android-baseline-2022", KERNELS, "android-baseline-2022", NULL, true},
};

static const struct {
    const char *kind;
    adamra_routing routing;
    adamra_router router;
    int shared;
    adamra_type type;
    uint32_t heads;
    bool no_route; /* the readout makes it */
} shapes[] = {
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F32, 3, false},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT, 1, ADAMRA_F32, 3, false},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F16, 3, true},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT, 1, ADAMRA_F32, 3, true},
    {"adamra", ADAMRA_SOFT, ADAMRA_ROUTER_LOGITS, 1, ADAMRA_F16, 3, false},
    {"adamra", ADAMRA_NONE, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F32, 2, false},
    {"linear", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F16, 1, false},
    {"softmax", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F32, 1, false},
    {"bigbird", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, 0, ADAMRA_F32, 1, false},
};

/* ---- one device for all ---- */

/* Kernels are compiled once, so a test goes through all rows: limits are lowered on the device that
 * has them, which gets new memory, as if it had been opened so. */
static adamra_context *shared;
static struct gpu_features own_features;

static adamra_context *open_context(const char *limits)
{
    adamra_context_params params = test_context_params();
    adamra_context *context;
    params.limits = limits;
    ck_assert_msg(adamra_context_create(&params, &context) == ADAMRA_OK, "%s", limits);
    return context;
}

static void close_context(adamra_context *context)
{
    ck_assert_uint_eq(adamra_validation_errors(context), 0);
    adamra_context_destroy(context);
}

static void open_shared(void)
{
    shared = open_context(NULL);
    own_features = shared->device->features;
}

static void close_shared(void)
{
    close_context(shared);
}

static void lower(const char *limits, const char *candidate)
{
    struct gpu_device *device = shared->device;
    device->limits = device->info.limits;
    device->features = own_features;
    if (limits)
        ck_assert_int_eq(gpu_limits_lower(&shared->log, limits, &device->limits, &device->features),
                         STATUS_OK);
    ck_assert_uint_eq(gpu_memory_used(device), 0);
    gpu_memory_destroy(device);
    ck_assert_int_eq(gpu_memory_create(device), STATUS_OK);
    adamra_context_force(shared, candidate);
}

START_TEST(a_context_has_the_same_limits)
{
    adamra_context *context = open_context(lowerings[_i].lowered);
    lower(lowerings[_i].lowered, NULL);
    ck_assert_mem_eq(&context->device->limits, &shared->device->limits, sizeof(struct gpu_limits));
    ck_assert_mem_eq(&context->device->features, &shared->device->features,
                     sizeof(struct gpu_features));
    close_context(context);
}
END_TEST

/* ---- results ---- */

static void draw_shape(struct attention_case *c, size_t shape, struct random *random)
{
    *c = (struct attention_case){.rates = {1, 3, 8}};
    c->params = (adamra_attention_params){.kind = shapes[shape].kind,
                                          .batch = 2,
                                          .groups = 2,
                                          .queries = 700,
                                          .keys = 700,
                                          .key_width = 12,
                                          .value_width = 7,
                                          .heads = shapes[shape].heads,
                                          .shared_keys = shapes[shape].shared,
                                          .shared_values = shapes[shape].shared,
                                          .routing = shapes[shape].routing,
                                          .router = shapes[shape].router};
    snprintf(c->name, sizeof(c->name), "%s %zu", shapes[shape].kind, shape);
    attention_case_draw(c, random, true);
}

/* Android's, the last two, differ from Vulkan's minimum by their numbers. */
#define ROWS EXAMPLES(ARRAY_SIZE(lowerings), ARRAY_SIZE(lowerings) - 2)

static void compare_attentions(size_t row)
{
    struct random random = random_seed(test_seed() + 8);
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        struct attention_case c;
        struct attention_result expected, found;
        draw_shape(&c, i, &random);
        c.no_route = shapes[i].no_route;
        attention_result_init(&expected, &c);
        attention_result_init(&found, &c);
        lower(lowerings[row].base, lowerings[row].candidate);
        attention_case_run(shared, &c, shapes[i].type, &expected, NULL);
        lower(lowerings[row].lowered, lowerings[row].candidate);
        attention_case_run(shared, &c, shapes[i].type, &found, NULL);
        ck_assert_msg(!memcmp(expected.y, found.y, attention_case_outputs(&c) * sizeof(float)),
                      "%s: %s changes y", c.name, lowerings[row].name);
        attention_result_finish(&expected);
        attention_result_finish(&found);
        attention_case_finish(&c);
    }
}

START_TEST(attention_does_not_depend_on_limits)
{
    for (size_t row = 0; row < ROWS; row++)
        compare_attentions(row);
}
END_TEST

/* Logits of the installed model; free them. */
static float *run_model(adamra_context *context, const struct model_cases *cases, size_t *count)
{
    adamra_model *model;
    adamra_model_info info;
    ck_assert_msg(!adamra_model_load(context, SAMPLES_DIR "/models/langid", NULL, &model), "%s",
                  adamra_error(context));
    ck_assert(!adamra_model_get_info(model, &info));
    *count = (size_t)cases->batch * info.num_labels;
    float *logits = calloc(*count, sizeof(*logits));
    ck_assert_ptr_nonnull(logits);
    ck_assert_msg(!adamra_model_run(model, cases->tokens, cases->batch, cases->n, cases->lengths,
                                    logits, NULL),
                  "%s", adamra_error(context));
    adamra_model_destroy(model);
    return logits;
}

static void compare_logits(size_t row)
{
    struct model_cases cases = model_cases_load(test_path("golden/langid_cases.safetensors"));
    size_t count;
    lower(lowerings[row].base, lowerings[row].candidate);
    float *expected = run_model(shared, &cases, &count);
    lower(lowerings[row].lowered, lowerings[row].candidate);
    float *found = run_model(shared, &cases, &count);
    ck_assert_msg(!memcmp(expected, found, count * sizeof(float)), "%s changes logits",
                  lowerings[row].name);
    free(expected);
    free(found);
    model_cases_finish(&cases);
}

START_TEST(model_does_not_depend_on_limits)
{
    for (size_t row = 0; row < ROWS; row++)
        if (lowerings[row].model)
            compare_logits(row);
}
END_TEST

START_TEST(wrong_limits_open_no_context)
{
    adamra_context_params params = test_context_params();
    adamra_context *context;
    params.limits = "groups=none";
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_null(context);
}
END_TEST

Suite *limits_results_suite(void)
{
    Suite *suite = suite_create("limits_results");
    TCase *results = tcase_create("results");
    tcase_set_tags(results, "kernels host");
    tcase_set_timeout(results, 600);
    tcase_add_unchecked_fixture(results, open_shared, close_shared);
    tcase_add_loop_test(results, a_context_has_the_same_limits, 0, ARRAY_SIZE(lowerings));
    tcase_add_test(results, attention_does_not_depend_on_limits);
    tcase_add_test(results, model_does_not_depend_on_limits);
    tcase_add_test(results, wrong_limits_open_no_context);
    suite_add_tcase(suite, results);
    return suite;
}
