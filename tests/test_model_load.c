/* model_load: a model from the bytes of its files, as from its folder. */
#include "api/context.h"
#include "base/file.h"
#include "model_cases.h"
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "golden/encoder_adamra"

/* A file's bytes, where no number is aligned. */
struct bytes {
    char *block, *data;
    size_t size;
};

static struct bytes read_bytes(const char *name)
{
    struct bytes bytes = {0};
    const char *path = model_file(FOLDER, name);
    ck_assert(file_load(path, NULL, &bytes.size));
    bytes.block = malloc(bytes.size + 1);
    ck_assert_ptr_nonnull(bytes.block);
    bytes.data = bytes.block + 1;
    ck_assert(file_load(path, bytes.data, &bytes.size));
    return bytes;
}

static adamra_status load(adamra_context *context, const struct bytes *config,
                          const struct bytes *weights, adamra_type type, adamra_model **out)
{
    const adamra_model_params params = {.type = type};
    return adamra_model_load_memory(context, config->data, config->size, weights->data,
                                    weights->size, &params, out);
}

/* Storage types in turn; the bytes are gone before the model runs. */
START_TEST(memory_is_as_a_folder)
{
    const adamra_model_params params = {.type = (adamra_type)_i};
    const adamra_context_params own = test_context_params();
    struct model_cases cases = model_cases_load(model_file(FOLDER, "cases.safetensors"));
    struct bytes config = read_bytes("config.json"), weights = read_bytes("model.safetensors");
    const size_t count = (size_t)cases.batch * cases.num_labels;
    float *logits[2] = {calloc(count, sizeof(float)), calloc(count, sizeof(float))};
    adamra_model *models[2];
    adamra_context *context;
    ck_assert_int_eq(adamra_context_create(&own, &context), ADAMRA_OK);
    ck_assert_int_eq(adamra_model_load(context, test_path(FOLDER), &params, &models[0]), ADAMRA_OK);
    ck_assert_msg(!load(context, &config, &weights, params.type, &models[1]), "%s",
                  adamra_error(context));
    memset(config.data, 0, config.size);
    memset(weights.data, 0, weights.size);
    free(config.block);
    free(weights.block);
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        adamra_model_info info;
        ck_assert_int_eq(adamra_model_run(models[i], cases.tokens, cases.batch, cases.n,
                                          cases.lengths, logits[i], NULL),
                         ADAMRA_OK);
        ck_assert_int_eq(adamra_model_get_info(models[i], &info), ADAMRA_OK);
        ck_assert_uint_eq(info.num_labels, cases.num_labels);
        adamra_model_destroy(models[i]);
    }
    ck_assert_mem_eq(logits[0], logits[1], count * sizeof(float));
    ck_assert_double_lt(relative_error(logits[1], cases.logits, count), _i ? 2e-2 : 2e-4);
    adamra_context_destroy(context);
    free(logits[0]);
    free(logits[1]);
    model_cases_finish(&cases);
}
END_TEST

START_TEST(memory_is_checked)
{
    const adamra_context_params own = test_context_params();
    const struct bytes config = read_bytes("config.json"), none = {0};
    const struct bytes weights = read_bytes("model.safetensors");
    struct bytes cut = config;
    adamra_model *model;
    adamra_context *context;
    ck_assert_int_eq(adamra_context_create(&own, &context), ADAMRA_OK);
#define REFUSE(code, config_, weights_, type, message)                                             \
    model = (adamra_model *)context;                                                               \
    ck_assert_int_eq(load(context, config_, weights_, type, &model), code);                        \
    ck_assert_ptr_null(model);                                                                     \
    ck_assert_msg(strstr(adamra_error(context), message) != NULL, "expected \"%s\" in \"%s\"",     \
                  message, adamra_error(context))
    REFUSE(ADAMRA_INVALID_ARGUMENT, &none, &weights, ADAMRA_F32, "config");
    REFUSE(ADAMRA_INVALID_ARGUMENT, &config, &none, ADAMRA_F32, "weights");
    REFUSE(ADAMRA_INVALID_ARGUMENT, &config, &weights, (adamra_type)2, "type: expected");
    REFUSE(ADAMRA_BAD_INPUT, &weights, &config, ADAMRA_F32, "config.json");
    cut.size /= 2;
    REFUSE(ADAMRA_BAD_INPUT, &cut, &weights, ADAMRA_F32, "config.json");
    for (size_t size = 0; size < weights.size; size += weights.size / 7 + 1) {
        cut = (struct bytes){.data = weights.data, .size = size};
        REFUSE(ADAMRA_BAD_INPUT, &config, &cut, ADAMRA_F32, "model.safetensors");
    }
    adamra_context_destroy(context);
    free(config.block);
    free(weights.block);
}
END_TEST

static char warning[256];

static void keep_warning(void *user, adamra_log_level level, const char *text)
{
    (void)user;
    if (level == ADAMRA_LOG_WARNING && strstr(text, "layers."))
        snprintf(warning, sizeof(warning), "%s", text);
}

/* A digit of config.json may make another model of the same weights. */
START_TEST(layers_left_out_are_told)
{
    const char key[] = "\"num_hidden_layers\": 2";
    adamra_context_params own = test_context_params();
    struct bytes config = read_bytes("config.json"), weights = read_bytes("model.safetensors");
    adamra_model *model;
    adamra_context *context;
    own.log = keep_warning;
    ck_assert_int_eq(adamra_context_create(&own, &context), ADAMRA_OK);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(load(context, &config, &weights, ADAMRA_F32, &model), ADAMRA_OK);
        adamra_model_destroy(model);
        if (i == 0) {
            ck_assert_str_eq(warning, "");
            char *digit = NULL;
            for (size_t at = 0; at + sizeof(key) <= config.size && !digit; at++)
                if (!memcmp(config.data + at, key, sizeof(key) - 1))
                    digit = config.data + at + sizeof(key) - 2;
            ck_assert_ptr_nonnull(digit);
            *digit = '1';
        }
    }
    ck_assert_str_eq(warning, "model.safetensors: layers.1.attention_norm.weight is not read, as "
                              "num_hidden_layers is 1");
    adamra_context_destroy(context);
    free(config.block);
    free(weights.block);
}
END_TEST

Suite *model_load_suite(void)
{
    Suite *suite = suite_create("model_load");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, memory_is_as_a_folder, 0, 2);
    tcase_add_test(all, memory_is_checked);
    tcase_add_test(all, layers_left_out_are_told);
    suite_add_tcase(suite, all);
    return suite;
}
