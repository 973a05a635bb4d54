/* embed_model: models recorded into a program's own command buffers. */
#include "api/model.h"
#include "host.h"
#include "model_cases.h"
#include <stdlib.h>
#include <string.h>

/* What the program brings: which usages its buffers have, and whether lengths. */
struct brought {
    VkBufferUsageFlags usage;
    bool lengths;
};

/* Records the cases of a model folder and executes them twice. */
static void record_model(struct host *host, adamra_context *context, adamra_model *model,
                         const struct model_cases *cases, const struct brought *brought)
{
    const bool lengths = brought->lengths;
    uint32_t quads = (cases->num_labels + 3) / 4;
    size_t tokens_bytes = (size_t)cases->batch * cases->n * 4;
    struct host_buffer inputs = host_buffer(host, tokens_bytes + 256, brought->usage);
    struct host_buffer outputs =
        host_buffer(host, 16 + (uint64_t)cases->batch * quads * 16, brought->usage);
    float *expected = calloc((size_t)cases->batch * cases->num_labels, sizeof(*expected));
    adamra_model_io io = {.batch = cases->batch,
                          .n = cases->n,
                          .tokens = host_wrap(context, &inputs),
                          .logits = host_wrap(context, &outputs),
                          .logits_offset = 16};
    io.lengths_offset = (tokens_bytes + 15) / 16 * 16;
    io.lengths = lengths ? io.tokens : NULL;
    memcpy(inputs.mapped, cases->tokens, tokens_bytes);
    memcpy((char *)inputs.mapped + io.lengths_offset, cases->lengths, cases->batch * 4);
    ck_assert_msg(!adamra_model_run(model, cases->tokens, cases->batch, cases->n,
                                    lengths ? cases->lengths : NULL, expected, NULL),
                  "%s", adamra_error(context));
    adamra_recording *recording;
    VkCommandBuffer command = host_begin(host);
    ck_assert_msg(!adamra_model_record(model, &io, command, &recording), "%s",
                  adamra_error(context));
    ck_assert_uint_gt(adamra_recording_bytes(recording), lengths ? 0 : 4 * cases->batch);
    host_end(host, command);
    for (int round = 0; round < 2; round++) {
        memset(outputs.mapped, 0, outputs.size);
        host_submit(host, command);
        for (uint32_t row = 0; row < cases->batch; row++)
            ck_assert_mem_eq((float *)outputs.mapped + 4 + (size_t)row * quads * 4,
                             expected + (size_t)row * cases->num_labels, cases->num_labels * 4);
    }
    adamra_recording_destroy(recording);
    host_free(host, command);
    adamra_buffer_destroy((adamra_buffer *)io.tokens);
    adamra_buffer_destroy((adamra_buffer *)io.logits);
    host_buffer_finish(host, &inputs);
    host_buffer_finish(host, &outputs);
    free(expected);
}

static void record_models(struct host *host, const char *limits, VkBufferUsageFlags usage)
{
    static const char *const folders[] = {"golden/encoder_adamra", "golden/encoder_bigbird"};
    const adamra_context_params params = {.vulkan = &host->vulkan, .limits = limits};
    adamra_context *context;
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        adamra_model *model;
        struct model_cases cases = model_cases_load(model_file(folders[i], "cases.safetensors"));
        ck_assert_int_eq(adamra_model_load(context, test_path(folders[i]), NULL, &model),
                         ADAMRA_OK);
        record_model(host, context, model, &cases, &(struct brought){usage, true});
        record_model(host, context, model, &cases, &(struct brought){usage, false});
        model_cases_finish(&cases);
        adamra_model_destroy(model);
    }
    adamra_context_destroy(context);
}

START_TEST(recorded_models_are_as_run)
{
    struct host host;
    host_init(&host, HOST_FEATURES);
    record_models(&host, NULL, HOST_ALL_USAGES);
    host_finish(&host);
}
END_TEST

/* Of a program's buffers storage usage is enough, also where shaders bind four storage buffers and
 * read what else there is as texels. */
START_TEST(storage_usage_is_enough)
{
    struct host host;
    host_init(&host, HOST_PLAIN);
    record_models(&host, NULL, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    record_models(&host, "vulkan-minimum", VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
    host_finish(&host);
}
END_TEST

START_TEST(model_recording_refuses)
{
    struct host host;
    host_init(&host, HOST_PLAIN);
    adamra_context *context = host_context(&host);
    adamra_model *model;
    adamra_recording *recording;
    ck_assert_int_eq(adamra_model_load(context, test_path("golden/encoder_adamra"), NULL, &model),
                     ADAMRA_OK);
    struct host_buffer memory = host_buffer(&host, 4096, HOST_ALL_USAGES);
    adamra_buffer *buffer = host_wrap(context, &memory);
    VkCommandBuffer command = host_begin(&host);
    const adamra_model_io good = {
        .batch = 1, .n = 8, .tokens = buffer, .logits = buffer, .logits_offset = 1024};
    adamra_model_io io;
#define REFUSE_MODEL(change, message)                                                              \
    io = good;                                                                                     \
    change;                                                                                        \
    ck_assert_int_eq(adamra_model_record(model, &io, command, &recording),                         \
                     ADAMRA_INVALID_ARGUMENT);                                                     \
    ck_assert_msg(strstr(adamra_error(context), message) != NULL, "expected \"%s\" in \"%s\"",     \
                  message, adamra_error(context))
    REFUSE_MODEL(io.batch = 0, "batch: expected");
    REFUSE_MODEL(io.n = 0, "n: expected 1..");
    REFUSE_MODEL(io.n = 1u << 30, "n: expected 1..");
    REFUSE_MODEL(io.tokens = NULL, "tokens: expected a buffer");
    REFUSE_MODEL(io.logits = NULL, "logits: expected a buffer");
    REFUSE_MODEL(io.tokens_offset = 8, "tokens: expected an offset");
    REFUSE_MODEL(io.logits_offset = 4096, "logits: expected");
    REFUSE_MODEL(io.logits_offset = 16, "logits: expected memory of its own");
    host_end(&host, command);
    host_free(&host, command);
    adamra_buffer_destroy(buffer);
    host_buffer_finish(&host, &memory);
    adamra_model_destroy(model);
    adamra_context_destroy(context);
    host_finish(&host);
}
END_TEST

Suite *embed_model_suite(void)
{
    Suite *suite = suite_create("embed_model");
    TCase *model = tcase_create("model");
    tcase_set_tags(model, "host");
    tcase_add_test(model, recorded_models_are_as_run);
    tcase_add_test(model, storage_usage_is_enough);
    tcase_add_test(model, model_recording_refuses);
    suite_add_tcase(suite, model);
    return suite;
}
