/* embed_record: attention recorded into a program's own command buffers. */
#include "attention_cases.h"
#include "context.h"
#include "host.h"
#include <stdlib.h>
#include <string.h>

/* ---- attention between the program's own dispatches ---- */

/* q, k, v and y tight in one buffer, 256 bytes apart at least. */
enum { BATCH = 2, ROWS = 150, WIDTH = 16, HEADS = 3, TENSOR = BATCH * ROWS * WIDTH };

static const uint32_t rates[HEADS] = {1, 3, 8};
static const uint32_t key_lengths[BATCH] = {ROWS, 77};

/* What the tests of this part share. */
struct scene {
    struct host host;
    adamra_context *context;
    adamra_attention *attention;
    bool routed;
    struct host_buffer numbers, doubles;
    adamra_buffer *wrapped;
    float weight[HEADS * WIDTH];
};

static void scene_init(struct scene *scene, const char *kind)
{
    bool adamra = strcmp(kind, "adamra") == 0;
    adamra_attention_params params = {.kind = kind,
                                      .batch = BATCH,
                                      .queries = ROWS,
                                      .keys = ROWS,
                                      .key_width = WIDTH,
                                      .value_width = WIDTH,
                                      .heads = adamra ? HEADS : 1,
                                      .rates = rates,
                                      .shared_keys = 1,
                                      .shared_values = 1,
                                      .router = ADAMRA_ROUTER_WEIGHT};
    memset(scene, 0, sizeof(*scene));
    scene->routed = adamra;
    host_init(&scene->host, HOST_FEATURES);
    scene->context = host_context(&scene->host);
    scene->numbers = host_buffer(&scene->host, 4 * TENSOR * sizeof(float), HOST_ALL_USAGES);
    scene->doubles = host_buffer(&scene->host, TENSOR * sizeof(float), HOST_ALL_USAGES);
    scene->wrapped = host_wrap(scene->context, &scene->numbers);
    for (uint32_t i = 0; i < ARRAY_SIZE(scene->weight); i++)
        scene->weight[i] = host_number(1000000 + i);
    ck_assert_msg(!adamra_attention_create(scene->context, &params, &scene->attention), "%s",
                  adamra_error(scene->context));
}

static void scene_finish(struct scene *scene)
{
    adamra_buffer_destroy(scene->wrapped);
    adamra_attention_destroy(scene->attention);
    adamra_context_destroy(scene->context);
    host_buffer_finish(&scene->host, &scene->numbers);
    host_buffer_finish(&scene->host, &scene->doubles);
    host_finish(&scene->host);
}

static adamra_attention_io scene_io(const struct scene *scene)
{
    const uint64_t bytes = TENSOR * sizeof(float);
    adamra_attention_io io = {.q = {.buffer = scene->wrapped},
                              .k = {.buffer = scene->wrapped, .offset = bytes},
                              .v = {.buffer = scene->wrapped, .offset = 2 * bytes},
                              .y = {.buffer = scene->wrapped, .offset = 3 * bytes},
                              .key_lengths = key_lengths};
    if (scene->routed)
        io.router_weight.data = scene->weight;
    return io;
}

/* What a run over host memory gives for the numbers of stage 0. */
static void expected_doubles(struct scene *scene, float *expected)
{
    float *inputs = calloc(3 * TENSOR, sizeof(*inputs));
    ck_assert_ptr_nonnull(inputs);
    for (uint32_t i = 0; i < 3 * TENSOR; i++)
        inputs[i] = host_number(i);
    adamra_attention_io io = scene_io(scene);
    io.q = (adamra_tensor){.data = inputs};
    io.k = (adamra_tensor){.data = inputs + TENSOR};
    io.v = (adamra_tensor){.data = inputs + 2 * TENSOR};
    io.y = (adamra_output){.data = expected};
    ck_assert_int_eq(adamra_attention_run(scene->attention, &io, NULL), ADAMRA_OK);
    for (uint32_t i = 0; i < TENSOR; i++)
        expected[i] *= 2;
    free(inputs);
}

/* Makes inputs, attends, doubles: without a barrier of the program's own. */
static adamra_recording *record_frame(struct scene *scene, VkCommandBuffer command)
{
    adamra_recording *recording;
    adamra_attention_io io = scene_io(scene);
    host_dispatch(&scene->host, command, 0, &scene->numbers, 0, 3 * TENSOR, &scene->doubles);
    ck_assert_msg(!adamra_attention_record(scene->attention, &io, command, &recording), "%s",
                  adamra_error(scene->context));
    host_dispatch(&scene->host, command, 1, &scene->numbers, 3 * TENSOR, TENSOR, &scene->doubles);
    return recording;
}

static void expect_doubles(struct scene *scene, const float *expected, const char *when)
{
    ck_assert_msg(!memcmp(scene->doubles.mapped, expected, TENSOR * sizeof(float)),
                  "%s: other numbers than a run gives", when);
    memset(scene->doubles.mapped, 0, scene->doubles.size);
    memset(scene->numbers.mapped, 0, scene->numbers.size);
}

/* Two recordings of one attention, executed in turn and again; unified: what the host brings is
 * written to the device's memory, else copied by each execution. */
static void record_and_execute(const char *kind, bool unified)
{
    struct scene scene;
    float expected[TENSOR];
    adamra_recording *recordings[2];
    VkCommandBuffer commands[2];
    scene_init(&scene, kind);
    expected_doubles(&scene, expected);
    scene.context->device->features.unified &= unified;
    uint32_t locks = scene.host.locks;
    for (uint32_t i = 0; i < 2; i++) {
        commands[i] = host_begin(&scene.host);
        recordings[i] = record_frame(&scene, commands[i]);
        host_end(&scene.host, commands[i]);
    }
    ck_assert_uint_eq(scene.host.locks, locks); /* nothing was submitted */
    for (uint32_t i = 0; i < 4; i++) {
        host_submit(&scene.host, commands[i % 2]);
        expect_doubles(&scene, expected, kind);
    }
    adamra_recording_destroy(recordings[0]);
    host_free(&scene.host, commands[0]);
    host_submit(&scene.host, commands[1]); /* needs nothing of the other */
    expect_doubles(&scene, expected, kind);
    adamra_recording_destroy(recordings[1]);
    host_free(&scene.host, commands[1]);
    scene_finish(&scene);
}

static const char *const kinds[] = {"adamra", "linear", "softmax", "bigbird"};

START_TEST(recorded_is_as_run)
{
    record_and_execute(kinds[_i], true);
}
END_TEST

START_TEST(host_inputs_are_copied_by_each_execution)
{
    record_and_execute(kinds[_i], false);
}
END_TEST

/* The same attention twice in one command buffer: the second one reads what the first wrote. */
START_TEST(recordings_follow_each_other)
{
    struct scene scene;
    float first[TENSOR], expected[TENSOR];
    adamra_recording *recordings[2];
    scene_init(&scene, "adamra");
    VkCommandBuffer command = host_begin(&scene.host);
    adamra_attention_io io = scene_io(&scene);
    host_dispatch(&scene.host, command, 0, &scene.numbers, 0, 3 * TENSOR, &scene.doubles);
    ck_assert_int_eq(adamra_attention_record(scene.attention, &io, command, &recordings[0]),
                     ADAMRA_OK);
    io.q.offset = io.y.offset;
    io.y.offset = 0;
    ck_assert_int_eq(adamra_attention_record(scene.attention, &io, command, &recordings[1]),
                     ADAMRA_OK);
    host_dispatch(&scene.host, command, 1, &scene.numbers, 0, TENSOR, &scene.doubles);
    host_end(&scene.host, command);
    host_submit(&scene.host, command);

    const float *numbers = scene.numbers.mapped;
    memcpy(first, numbers + 3 * TENSOR, sizeof(first));
    io.q = (adamra_tensor){.data = first};
    io.k = (adamra_tensor){.data = numbers + TENSOR};
    io.v = (adamra_tensor){.data = numbers + 2 * TENSOR};
    io.y = (adamra_output){.data = expected};
    ck_assert_int_eq(adamra_attention_run(scene.attention, &io, NULL), ADAMRA_OK);
    for (uint32_t i = 0; i < TENSOR; i++)
        expected[i] *= 2;
    expect_doubles(&scene, expected, "the second recording");
    for (uint32_t i = 0; i < 2; i++)
        adamra_recording_destroy(recordings[i]);
    host_free(&scene.host, command);
    scene_finish(&scene);
}
END_TEST

START_TEST(recording_refuses)
{
    struct scene scene;
    float numbers[4] = {0};
    int32_t head[1];
    adamra_recording *recording = (adamra_recording *)&scene; /* to be made NULL */
    scene_init(&scene, "adamra");
    VkCommandBuffer command = host_begin(&scene.host);
    const adamra_attention_io good = scene_io(&scene);
    adamra_attention_io io;
#define REFUSE(change, message)                                                                    \
    io = good;                                                                                     \
    change;                                                                                        \
    ck_assert_int_eq(adamra_attention_record(scene.attention, &io, command, &recording),           \
                     ADAMRA_INVALID_ARGUMENT);                                                     \
    ck_assert_ptr_null(recording);                                                                 \
    ck_assert_msg(strstr(adamra_error(scene.context), message) != NULL,                            \
                  "expected \"%s\" in \"%s\"", message, adamra_error(scene.context))
    REFUSE(io.q = (adamra_tensor){.data = numbers}, "q: expected a buffer in a recorded run");
    REFUSE(io.y = (adamra_output){.data = numbers}, "y: expected a buffer in a recorded run");
    REFUSE(io.head = head, "head, prob: expected NULL in a recorded run");
    REFUSE(io.y.offset = 0, "y: expected memory of its own");
    REFUSE(io.router_weight.data = NULL, "router_weight: expected");
    ck_assert_int_eq(adamra_attention_record(scene.attention, &good, VK_NULL_HANDLE, &recording),
                     ADAMRA_INVALID_ARGUMENT);
    adamra_recording_destroy(NULL);
    host_end(&scene.host, command);
    host_free(&scene.host, command);
    scene_finish(&scene);
}
END_TEST

/* Without queries nothing is written, without keys zeros are. */
START_TEST(an_empty_attention_writes_nothing)
{
    struct host host;
    host_init(&host, HOST_PLAIN);
    adamra_context *context = host_context(&host);
    adamra_attention *attention;
    adamra_recording *recording;
    adamra_attention_params params = {
        .kind = "linear", .keys = 3, .key_width = 4, .value_width = 4, .queries = 0};
    struct host_buffer memory = host_buffer(&host, 48, HOST_ALL_USAGES);
    adamra_buffer *buffer = host_wrap(context, &memory);
    VkCommandBuffer command = host_begin(&host);
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    adamra_attention_io io = {.k.buffer = buffer, .v.buffer = buffer};
    ck_assert_int_eq(adamra_attention_record(attention, &io, command, &recording), ADAMRA_OK);
    host_end(&host, command);
    host_submit(&host, command);
    adamra_recording_destroy(recording);
    adamra_attention_destroy(attention);

    /* No keys: y is zeros. */
    params.queries = 3;
    params.keys = 0;
    VkCommandBuffer zeros = host_begin(&host);
    memset(memory.mapped, 0x7b, memory.size);
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    struct host_buffer queries = host_buffer(&host, 48, HOST_ALL_USAGES);
    adamra_buffer *q = host_wrap(context, &queries);
    io = (adamra_attention_io){.q.buffer = q, .y.buffer = buffer};
    ck_assert_msg(!adamra_attention_record(attention, &io, zeros, &recording), "%s",
                  adamra_error(context));
    host_end(&host, zeros);
    host_submit(&host, zeros);
    for (uint32_t i = 0; i < 12; i++)
        ck_assert_float_eq(((const float *)memory.mapped)[i], 0);
    adamra_recording_destroy(recording);
    adamra_attention_destroy(attention);
    adamra_buffer_destroy(buffer);
    adamra_buffer_destroy(q);
    adamra_context_destroy(context);
    host_buffer_finish(&host, &memory);
    host_buffer_finish(&host, &queries);
    host_free(&host, command);
    host_free(&host, zeros);
    host_finish(&host);
}
END_TEST

Suite *embed_record_suite(void)
{
    Suite *suite = suite_create("embed_record");
    TCase *attention = tcase_create("attention");
    tcase_add_loop_test(attention, recorded_is_as_run, 0, ARRAY_SIZE(kinds));
    tcase_add_loop_test(attention, host_inputs_are_copied_by_each_execution, 0, ARRAY_SIZE(kinds));
    tcase_add_test(attention, recordings_follow_each_other);
    tcase_add_test(attention, recording_refuses);
    tcase_add_test(attention, an_empty_attention_writes_nothing);
    suite_add_tcase(suite, attention);
    return suite;
}
