/* embed_device: recorded attention whose lengths, router and route lie in device memory too, where
 * each execution finds other ones. */
#include "attention_cases.h"
#include "context.h"
#include "host.h"
#include <stdlib.h>
#include <string.h>

enum { Q, K, V, LOGITS, Y, KEYS, QUERIES, WEIGHT, BIAS, HEAD, PROB, TENSORS };

/* A recording over buffers of the program's. */
struct scene {
    struct host host;
    adamra_context *context;
    adamra_type type;
    VkBufferUsageFlags usage;
    struct host_buffer memory[TENSORS];
    adamra_buffer *buffers[TENSORS]; /* NULL: the case has none */
};

static const struct setting {
    VkBufferUsageFlags usage;
    const char *limits;
    adamra_type type;
} settings[] = {
    {HOST_ALL_USAGES, NULL, ADAMRA_F32},
    {HOST_ALL_USAGES, NULL, ADAMRA_F16},
    {VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, NULL, ADAMRA_F32},
    {VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, "vulkan-minimum", ADAMRA_F32},
    {VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, "vulkan-minimum", ADAMRA_F16},
};
static const char *const kinds[] = {"adamra", "adamra", "adamra", "linear", "softmax", "bigbird"};

/* Offset 16: places are not where buffers begin. */
static void add(struct scene *scene, uint32_t index, uint64_t bytes)
{
    scene->memory[index] =
        host_buffer(&scene->host, 16 + size_round_up(size_max(bytes, 1), 16), scene->usage);
    scene->buffers[index] = host_wrap(scene->context, &scene->memory[index]);
}

static void *bytes_of(const struct scene *scene, uint32_t index)
{
    return (char *)scene->memory[index].mapped + 16;
}

static void put(const struct scene *scene, uint32_t index, const float *numbers, size_t count)
{
    if (numbers)
        attention_store(scene->type, bytes_of(scene, index), numbers, count);
}

static void put_lengths(const struct scene *scene, uint32_t index, const uint32_t *lengths,
                        uint32_t batch, uint32_t all)
{
    uint32_t *words = bytes_of(scene, index);
    for (uint32_t b = 0; b < batch; b++)
        words[b] = lengths ? lengths[b] : all;
}

/* Numbers of the router's tensors. */
static size_t heads_of(const struct attention_case *c)
{
    return (size_t)c->params.groups * c->params.heads;
}

static void add_all(struct scene *scene, const struct attention_case *c)
{
    const size_t item = scene->type == ADAMRA_F16 ? 2 : 4, queries = attention_case_queries(c);
    add(scene, Q, item * attention_case_inputs(c));
    add(scene, K, item * attention_case_keys(c));
    add(scene, V, item * attention_case_values(c));
    add(scene, Y, item * attention_case_outputs(c));
    add(scene, KEYS, 4 * c->params.batch);
    add(scene, QUERIES, 4 * c->params.batch);
    if (c->logits)
        add(scene, LOGITS, item * queries * c->params.heads);
    if (c->weight)
        add(scene, WEIGHT, 4 * heads_of(c) * c->params.key_width);
    if (c->bias)
        add(scene, BIAS, 4 * heads_of(c));
    if (c->head && !c->no_route) {
        add(scene, HEAD, 4 * queries);
        add(scene, PROB, 4 * queries);
    }
}

static void put_all(const struct scene *scene, const struct attention_case *c)
{
    put(scene, Q, c->q, attention_case_inputs(c));
    put(scene, K, c->k, attention_case_keys(c));
    put(scene, V, c->v, attention_case_values(c));
    put(scene, LOGITS, c->logits, attention_case_queries(c) * c->params.heads);
    put_lengths(scene, KEYS, c->key_lengths, c->params.batch, c->params.keys);
    put_lengths(scene, QUERIES, c->query_lengths, c->params.batch, c->params.queries);
    if (c->weight)
        memcpy(bytes_of(scene, WEIGHT), c->weight, 4 * heads_of(c) * c->params.key_width);
    if (scene->buffers[BIAS] && c->bias)
        memcpy(bytes_of(scene, BIAS), c->bias, 4 * heads_of(c));
    else if (scene->buffers[BIAS])
        memset(bytes_of(scene, BIAS), 0, 4 * heads_of(c));
}

static void get_result(const struct scene *scene, const struct attention_case *c,
                       struct attention_result *result)
{
    const size_t count = attention_case_outputs(c), queries = attention_case_queries(c);
    attention_fetch(scene->type, bytes_of(scene, Y), result->y, count);
    if (scene->buffers[HEAD]) {
        memcpy(result->head, bytes_of(scene, HEAD), 4 * queries);
        memcpy(result->prob, bytes_of(scene, PROB), 4 * queries);
    }
}

static adamra_tensor tensor_at(const struct scene *scene, uint32_t index)
{
    return (adamra_tensor){.buffer = scene->buffers[index],
                           .offset = scene->buffers[index] ? 16 : 0};
}

static adamra_place place_at(const struct scene *scene, uint32_t index)
{
    return (adamra_place){scene->buffers[index], 16};
}

static adamra_device_io device_io(const struct scene *scene)
{
    return (adamra_device_io){.key_lengths = place_at(scene, KEYS),
                              .query_lengths = place_at(scene, QUERIES),
                              .router_weight = place_at(scene, WEIGHT),
                              .router_bias = place_at(scene, BIAS),
                              .head = place_at(scene, HEAD),
                              .prob = place_at(scene, PROB)};
}

static adamra_attention_io scene_io(const struct scene *scene, const adamra_device_io *device)
{
    return (adamra_attention_io){.q = tensor_at(scene, Q),
                                 .k = tensor_at(scene, K),
                                 .v = tensor_at(scene, V),
                                 .router_logits = tensor_at(scene, LOGITS),
                                 .y = {.buffer = scene->buffers[Y], .offset = 16},
                                 .device = device};
}

static void scene_init(struct scene *scene, const struct setting *setting,
                       const struct attention_case *c)
{
    *scene = (struct scene){.type = setting->type, .usage = setting->usage};
    host_init(&scene->host, HOST_PLAIN);
    const adamra_context_params params = {.vulkan = &scene->host.vulkan, .limits = setting->limits};
    ck_assert_int_eq(adamra_context_create(&params, &scene->context), ADAMRA_OK);
    add_all(scene, c);
}

static void scene_finish(struct scene *scene)
{
    for (uint32_t i = 0; i < TENSORS; i++) {
        if (!scene->buffers[i])
            continue;
        adamra_buffer_destroy(scene->buffers[i]);
        host_buffer_finish(&scene->host, &scene->memory[i]);
    }
    adamra_context_destroy(scene->context);
    host_finish(&scene->host);
}

/* Two cases of the same sizes: what one execution finds, and what the next one does. */
static void draw_two(struct random *random, const char *kind, struct attention_case cases[2])
{
    attention_case_random(&cases[0], random, kind);
    cases[1] = (struct attention_case){
        .params = cases[0].params, .bigbird = cases[0].bigbird, .no_route = cases[0].no_route};
    memcpy(cases[1].rates, cases[0].rates, sizeof(cases[1].rates));
    if (cases[1].params.bigbird)
        cases[1].params.bigbird = &cases[1].bigbird;
    attention_case_draw(&cases[1], random, true);
    if (!cases[0].bias) { /* a place or none for both */
        free(cases[1].bias);
        cases[1].bias = NULL;
    }
    strcpy(cases[1].name, "executed again");
}

static void record_and_execute(const struct setting *setting, struct random *random,
                               const char *kind)
{
    struct scene scene;
    struct attention_case cases[2];
    adamra_attention *attention;
    adamra_recording *recording;
    draw_two(random, kind, cases);
    adamra_attention_params params = cases[0].params;
    params.type = setting->type;
    scene_init(&scene, setting, &cases[0]);
    ck_assert_int_eq(adamra_attention_create(scene.context, &params, &attention), ADAMRA_OK);
    const adamra_device_io device = device_io(&scene);
    const adamra_attention_io io = scene_io(&scene, &device);
    VkCommandBuffer command = host_begin(&scene.host);
    ck_assert_msg(!adamra_attention_record(attention, &io, command, &recording), "%s: %s",
                  cases[0].name, adamra_error(scene.context));
    host_end(&scene.host, command);
    for (uint32_t i = 0; i < 2; i++) {
        struct attention_result result;
        attention_result_init(&result, &cases[i]);
        put_all(&scene, &cases[i]);
        host_submit(&scene.host, command);
        get_result(&scene, &cases[i], &result);
        attention_case_check(&cases[i], setting->type, &result);
        attention_result_finish(&result);
    }
    adamra_recording_destroy(recording);
    adamra_attention_destroy(attention);
    host_free(&scene.host, command);
    scene_finish(&scene);
    for (uint32_t i = 0; i < 2; i++)
        attention_case_finish(&cases[i]);
}

START_TEST(executions_find_what_is_there)
{
    struct random random = random_seed(test_seed() + 31 + (uint64_t)_i);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        record_and_execute(&settings[_i], &random, kinds[i]);
}
END_TEST

/* ---- refusals ---- */

START_TEST(places_are_checked)
{
    struct scene scene;
    struct attention_case c = {.rates = {1, 3}};
    adamra_attention *attention;
    adamra_recording *recording;
    struct random random = random_seed(test_seed());
    c.params = (adamra_attention_params){.batch = 2,
                                         .groups = 1,
                                         .queries = 9,
                                         .keys = 9,
                                         .key_width = 8,
                                         .value_width = 8,
                                         .heads = 2,
                                         .router = ADAMRA_ROUTER_WEIGHT};
    attention_case_draw(&c, &random, true);
    scene_init(&scene, &settings[0], &c);
    ck_assert_int_eq(adamra_attention_create(scene.context, &c.params, &attention), ADAMRA_OK);
    VkCommandBuffer command = host_begin(&scene.host);
    adamra_device_io device;
    adamra_attention_io io;
#define REFUSE(change, message)                                                                    \
    device = device_io(&scene);                                                                    \
    io = scene_io(&scene, &device);                                                                \
    change;                                                                                        \
    ck_assert_int_eq(adamra_attention_record(attention, &io, command, &recording),                 \
                     ADAMRA_INVALID_ARGUMENT);                                                     \
    ck_assert_msg(strstr(adamra_error(scene.context), message) != NULL,                            \
                  "expected \"%s\" in \"%s\"", message, adamra_error(scene.context))
    REFUSE(io.key_lengths = c.key_lengths, "key_lengths: expected host memory or a buffer");
    REFUSE(io.router_weight.data = c.weight, "router_weight: expected host memory or a buffer");
    REFUSE(device.router_weight.buffer = NULL, "router_weight: expected");
    REFUSE(device.query_lengths.offset = 8, "query_lengths: expected an offset");
    REFUSE(device.query_lengths.offset = 1 << 20, "query_lengths: expected 8 bytes at offset");
    REFUSE(device.prob.buffer = NULL, "head, prob: expected buffers for both");
    REFUSE(device.prob = device.head, "head: expected memory of its own");
    REFUSE(device.head = device.key_lengths, "head: expected");
    adamra_attention_destroy(attention); /* of no queries: places are looked at all the same */
    c.params.queries = 0;
    ck_assert_int_eq(adamra_attention_create(scene.context, &c.params, &attention), ADAMRA_OK);
    REFUSE(device.head.offset = 8, "head: expected an offset");
    device = device_io(&scene);
    io = scene_io(&scene, &device);
    ck_assert_int_eq(adamra_attention_run(attention, &io, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(adamra_error(scene.context), "device: expected NULL"));
    host_end(&scene.host, command);
    host_free(&scene.host, command);
    adamra_attention_destroy(attention);
    attention_case_finish(&c);
    scene_finish(&scene);
}
END_TEST

Suite *embed_device_suite(void)
{
    Suite *suite = suite_create("embed_device");
    TCase *inputs = tcase_create("inputs"), *refusals = tcase_create("refusals");
    tcase_set_timeout(inputs, 300);
    tcase_set_tags(inputs, "host");
    tcase_set_tags(refusals, "host");
    tcase_add_loop_test(inputs, executions_find_what_is_there, 0, ARRAY_SIZE(settings));
    tcase_add_test(refusals, places_are_checked);
    suite_add_tcase(suite, inputs);
    suite_add_tcase(suite, refusals);
    return suite;
}
