/* soak: attentions and models of ever changing shapes in one context. Memory of the host and of the
 * device, Vulkan's objects and pipelines must not grow with the number of runs, which
 * ADAMRA_TEST_SOAK sets; a small one finds what leaks at every run. */
#include "api/context.h"
#include "attention_cases.h"
#include "faults.h"
#include "gpu/memory.h"
#include "model_cases.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS EXAMPLES(200, 100)

#define MODEL "golden/encoder_adamra"

struct usage {
    int64_t allocations; /* of the engine, that are alive */
    int32_t objects;     /* of Vulkan's */
    uint32_t pipelines;
    uint64_t device; /* bytes of blocks of device memory */
    uint64_t heap;   /* bytes of malloc's, the driver's included */
};

static struct usage measure(const adamra_context *context)
{
    const struct gpu_memory *memory = context->device->memory;
    struct usage usage = {.allocations = faults_allocations(),
                          .objects = faults_alive(),
                          .pipelines = gpu_pipeline_count(context->device)};
    struct mallinfo2 info = mallinfo2();
    usage.heap = info.uordblks + info.hblkhd;
    for (uint32_t i = 0; i < memory->properties.memoryHeapCount; i++)
        usage.device += memory->heap_used[i];
    return usage;
}

static uint32_t run_count(void)
{
    const char *text = getenv("ADAMRA_TEST_SOAK");
    uint32_t count = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
    return count ? count : RUNS;
}

/* What pipelines depend on: sizes change within a row. */
static const struct variant {
    const char *kind;
    adamra_type type;
    adamra_routing routing;
    adamra_feature_map feature_map;
    adamra_pooling pooling;
    adamra_router router;
} variants[] = {
    {"adamra", ADAMRA_F32, ADAMRA_TOP1, ADAMRA_ELU1, ADAMRA_MEAN, ADAMRA_ROUTER_WEIGHT},
    {"adamra", ADAMRA_F16, ADAMRA_SOFT, ADAMRA_ELU1, ADAMRA_MAX, ADAMRA_ROUTER_LOGITS},
    {"adamra", ADAMRA_F32, ADAMRA_NONE, ADAMRA_ELU1, ADAMRA_MEAN, ADAMRA_ROUTER_LOGITS},
    {"linear", ADAMRA_F16, ADAMRA_TOP1, ADAMRA_ELU1, ADAMRA_MEAN, ADAMRA_ROUTER_LOGITS},
    {"softmax", ADAMRA_F32, ADAMRA_TOP1, ADAMRA_ELU1, ADAMRA_MEAN, ADAMRA_ROUTER_LOGITS},
    {"bigbird", ADAMRA_F32, ADAMRA_TOP1, ADAMRA_ELU1, ADAMRA_MEAN, ADAMRA_ROUTER_LOGITS},
};

static void draw(struct attention_case *c, struct random *random, const struct variant *variant)
{
    uint32_t heads = strcmp(variant->kind, "adamra") == 0 ? random_between(random, 1, 4) : 1;
    c->params = (adamra_attention_params){.kind = variant->kind,
                                          .batch = random_between(random, 1, 3),
                                          .groups = random_between(random, 1, 2),
                                          .queries = random_between(random, 1, 80),
                                          .keys = random_between(random, 1, 80),
                                          .key_width = random_between(random, 1, 40),
                                          .value_width = random_between(random, 1, 40),
                                          .heads = heads,
                                          .routing = variant->routing,
                                          .feature_map = variant->feature_map,
                                          .pooling = variant->pooling,
                                          .router = variant->router,
                                          .type = variant->type};
    if (strcmp(variant->kind, "bigbird") == 0)
        c->params.keys = c->params.queries;
    for (uint32_t head = 0; head < heads; head++)
        c->rates[head] = heads > 1 ? random_between(random, 1, 9) : 1;
    snprintf(c->name, sizeof(c->name), "%s B%u G%u H%u n%u m%u dk%u dv%u", variant->kind,
             c->params.batch, c->params.groups, heads, c->params.queries, c->params.keys,
             c->params.key_width, c->params.value_width);
    attention_case_draw(c, random, random_between(random, 0, 1));
}

static void run_attention(adamra_context *context, struct random *random)
{
    struct attention_case attention = {0};
    struct attention_result result;
    const struct variant *variant = &variants[random_between(random, 0, ARRAY_SIZE(variants) - 1)];
    draw(&attention, random, variant);
    attention_result_init(&result, &attention);
    adamra_attention_io io = attention_case_io(&attention, &result);
    adamra_attention *object = NULL;
    faults_count_allocations(true);
    adamra_status code = adamra_attention_create(context, &attention.params, &object);
    if (!code)
        code = adamra_attention_run(object, &io, NULL);
    adamra_attention_destroy(object);
    faults_count_allocations(false);
    ck_assert_msg(!code, "%s: %s", attention.name, adamra_error(context));
    attention_case_check(&attention, variant->type, &result);
    ck_assert_uint_eq(gpu_memory_used(context->device), 0);
    attention_result_finish(&result);
    attention_case_finish(&attention);
}

/* One of eight shapes, twice as many as a model keeps plans for. */
static void run_model(adamra_model *model, uint32_t shape)
{
    static int32_t tokens[4 * 40]; /* all 0, which every vocabulary has */
    static float logits[4 * 32];
    adamra_model_info info;
    uint32_t batch = 1 + shape % 4, n = shape < 4 ? 3 + shape : 40 - shape;
    ck_assert_int_eq(adamra_model_get_info(model, &info), ADAMRA_OK);
    ck_assert(info.num_labels <= 32 && info.max_tokens >= 40);
    faults_count_allocations(true);
    adamra_status code = adamra_model_run(model, tokens, batch, n, NULL, logits, NULL);
    faults_count_allocations(false);
    ck_assert_int_eq(code, ADAMRA_OK);
}

/* A pipeline is an entry in a table, and three objects of Vulkan's. Those that a rare shape is the
 * first to need come late; if each shape had its own, half of them would. */
static void check_growth(const struct usage *half, const struct usage *end, uint32_t runs)
{
    uint32_t late = end->pipelines - half->pipelines;
    printf("%u runs: %u pipelines, %u of them in the second half, when the driver took %lld KiB\n",
           runs, end->pipelines, late, (long long)(end->heap - half->heap) / 1024);
    ck_assert_uint_le(late, half->pipelines / 4);
    ck_assert_int_eq(end->allocations, half->allocations + late);
    ck_assert_int_eq(end->objects, half->objects + 3 * (int32_t)late);
    ck_assert_uint_le(end->device, half->device);
}

static adamra_context *open_counted(void)
{
    adamra_context *context = NULL;
    faults_reset();
    faults_watch(true);
    ck_assert_int_eq(adamra_context_create(NULL, &context), ADAMRA_OK);
    faults_watch(false);
    return context;
}

START_TEST(attentions_leave_nothing)
{
    adamra_context *context = open_counted();
    struct random random = random_seed(test_seed());
    struct usage half = {0};
    const uint32_t runs = run_count();
    for (uint32_t i = 0; i < runs; i++) {
        if (i == runs / 2)
            half = measure(context);
        run_attention(context, &random);
    }
    struct usage end = measure(context);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
    check_growth(&half, &end, runs);
}
END_TEST

/* Plans come and go: after every round through the shapes the same is there. One object that each
 * run left would make 40 of them in the fewest rounds. */
START_TEST(models_leave_nothing)
{
    adamra_context *context = open_counted();
    adamra_model *model = NULL;
    struct usage first = {0};
    ck_assert_int_eq(adamra_model_load(context, test_path(MODEL), NULL, &model), ADAMRA_OK);
    const uint32_t rounds = (uint32_t)size_max(run_count() / 80, 6);
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t shape = 0; shape < 8; shape++)
            run_model(model, shape);
        struct usage now = measure(context);
        if (round <= 1) /* memory was in one piece at first */
            first = now;
        /* The list of free memory has an entry more or less. */
        ck_assert_int_le(now.allocations, first.allocations + 2);
        /* Where a list is cut into submissions depends on how fast the device was before. */
        ck_assert_int_le(now.objects, first.objects + 16);
        ck_assert_uint_eq(now.pipelines, first.pipelines);
        ck_assert_uint_eq(now.device, first.device);
    }
    adamra_model_destroy(model);
    ck_assert_uint_eq(gpu_memory_used(context->device), 0);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
}
END_TEST

Suite *soak_suite(void)
{
    Suite *suite = suite_create("soak");
    TCase *test = tcase_create("soak");
    tcase_add_test(test, attentions_leave_nothing);
    tcase_add_test(test, models_leave_nothing);
    suite_add_tcase(suite, test);
    return suite;
}
