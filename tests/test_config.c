/* config: every refusal of a config.json, and what is read from legal ones. */
#include "suites.h"
#include "support.h"
#include "model/config.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base_text[] =
    "{\"model_type\": \"adamra\", \"task\": \"sequence-classification\", \"tokenizer\": \"bytes\","
    " \"vocab_size\": 257, \"pad_token_id\": 256, \"max_position_embeddings\": 4096,"
    " \"hidden_size\": 96, \"num_hidden_layers\": 2, \"intermediate_size\": 192,"
    " \"classifier_size\": 80, \"num_labels\": 3, \"labels\": [\"a\", \"b\", \"\\u00e6\"],"
    " \"attention\": \"adamra\", \"num_groups\": 2, \"head_dim\": 33,"
    " \"compression_rates\": [1, 2, 1000], \"feature_map\": \"relu\", \"routing\": \"soft\","
    " \"pooling\": \"max\", \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-5,"
    " \"not_a_key_of_ours\": {\"x\": [-1.5, null]}}";

/* The base text with some of its keys changed; `changes` is the inside of an object, and a key
 * with a null is left out. */
static status parse_changed(const char *changes, struct model_config *config)
{
    char text[1024];
    const char *key;
    json_t *value;
    void *next;
    snprintf(text, sizeof(text), "{%s}", changes);
    json_t *root = json_loads(base_text, 0, NULL), *patch = json_loads(text, 0, NULL);
    ck_assert_msg(root && patch, "the test's own JSON is malformed: %s", text);
    json_object_update(root, patch);
    json_object_foreach_safe(root, next, key, value)
    {
        if (json_is_null(value))
            json_object_del(root, key);
    }
    char *all = json_dumps(root, 0);
    status result = config_parse(test_logger(), "a.json", all, strlen(all), config);
    free(all);
    json_decref(root);
    json_decref(patch);
    return result;
}

START_TEST(every_value_is_read)
{
    struct model_config config;
    ck_assert_int_eq(config_parse(test_logger(), "a.json", base_text, strlen(base_text), &config),
                     STATUS_OK);
    ck_assert(config.bytes_tokenizer);
    ck_assert_uint_eq(config.vocab_size, 257);
    ck_assert_uint_eq(config.pad_token_id, 256);
    ck_assert_uint_eq(config.max_position_embeddings, 4096);
    ck_assert_uint_eq(config.hidden_size, 96);
    ck_assert_uint_eq(config.num_hidden_layers, 2);
    ck_assert_uint_eq(config.intermediate_size, 192);
    ck_assert_uint_eq(config.classifier_size, 80);
    ck_assert_uint_eq(config.num_labels, 3);
    ck_assert_str_eq(config.labels[0], "a");
    ck_assert_str_eq(config.labels[2], "\xc3\xa6");
    ck_assert_str_eq(config.attention->name, "adamra");
    ck_assert_uint_eq(config.num_groups, 2);
    ck_assert_uint_eq(config.head_dim, 33);
    ck_assert_uint_eq(config.heads, 3);
    ck_assert_uint_eq(config.rates[2], 1000);
    ck_assert_uint_eq(config.feature, FEATURE_RELU);
    ck_assert_uint_eq(config.routing, ROUTING_SOFT);
    ck_assert_uint_eq(config.pooling, POOLING_MAX);
    ck_assert_float_eq(config.layer_norm_eps, 1e-5f);
    config_finish(&config);
}
END_TEST

static const struct {
    const char *changes;
    const char *attention;
    uint32_t heads;
} legal_rows[] = {
    {"\"routing\": \"top1\", \"pooling\": \"mean\", \"feature_map\": \"elu1\"", "adamra", 3},
    {"\"tokenizer\": \"ids\", \"vocab_size\": 1, \"pad_token_id\": 0", "adamra", 3},
    {"\"layer_norm_eps\": 0", "adamra", 3},
    {"\"layer_norm_eps\": 1", "adamra", 3},
    {"\"layer_norm_eps\": 1.17549436e-38", "adamra", 3},
    {"\"vocab_size\": 256, \"pad_token_id\": 255", "adamra", 3},
    {"\"compression_rates\": [1073741824]", "adamra", 1},
    {"\"attention\": \"softmax\"", "softmax", 1},
    {"\"attention\": \"softmax\", \"compression_rates\": null, \"routing\": null,"
     " \"pooling\": null, \"feature_map\": null",
     "softmax", 1},
    {"\"attention\": \"softmax\", \"compression_rates\": [0], \"routing\": 3,"
     " \"pooling\": \"?\", \"feature_map\": []",
     "softmax", 1},
    {"\"attention\": \"linear\", \"compression_rates\": null, \"routing\": null,"
     " \"pooling\": null",
     "linear", 1},
    {"\"attention\": \"bigbird\"", "bigbird", 1},
    {"\"attention\": \"bigbird\", \"bigbird\": {\"window\": 4294967295, \"seed\": 4294967295}",
     "bigbird", 1},
    {"\"attention\": \"softmax\", \"bigbird\": 7", "softmax", 1},
};

/* Of a key that is nobody's: as tokenizers write that they have no bound. */
START_TEST(vast_integers_are_read)
{
    static const char vast[] = "{\"model_max_length\": [1000000000000000019884624838656], ";
    static const char broken[] = "{\"model_max_length\": 1000000000000000019884624838656, ]";
    struct model_config config;
    char text[sizeof(vast) + sizeof(base_text)];
    snprintf(text, sizeof(text), "%s%s", vast, base_text + 1);
    ck_assert_int_eq(config_parse(test_logger(), "a.json", text, strlen(text), &config), STATUS_OK);
    ck_assert_uint_eq(config.hidden_size, 96);
    ck_assert_uint_eq(config.rates[2], 1000);
    ck_assert_float_eq(config.layer_norm_eps, 1e-5f);
    config_finish(&config);
    ck_assert_int_eq(config_parse(test_logger(), "a.json", broken, strlen(broken), &config),
                     STATUS_BAD_INPUT);
}
END_TEST

START_TEST(bigbird_is_read)
{
    struct model_config config;
    const char *changes = "\"attention\": \"bigbird\", \"bigbird\": {\"block\": 8,"
                          " \"global_blocks\": 0, \"random_blocks\": 5, \"other\": 1}";
    ck_assert_int_eq(parse_changed(changes, &config), STATUS_OK);
    ck_assert_uint_eq(config.bigbird.block, 8);
    ck_assert_uint_eq(config.bigbird.global_blocks, 0);
    ck_assert_uint_eq(config.bigbird.window, 3);
    ck_assert_uint_eq(config.bigbird.random_blocks, 5);
    ck_assert_uint_eq(config.bigbird.seed, 0);
    config_finish(&config);
}
END_TEST

START_TEST(legal_variants_are_read)
{
    struct model_config config;
    ck_assert_msg(parse_changed(legal_rows[_i].changes, &config) == STATUS_OK, "%s: %s",
                  legal_rows[_i].changes, test_logger()->error);
    ck_assert_str_eq(config.attention->name, legal_rows[_i].attention);
    ck_assert_uint_eq(config.heads, legal_rows[_i].heads);
    config_finish(&config);
}
END_TEST

#define MISSING(key)                                                                               \
    {                                                                                              \
        "\"" key "\": null", "key \"" key "\" is missing: expected"                                \
    }
#define BIGBIRD(value) "\"attention\": \"bigbird\", \"bigbird\": " value
#define INTEGER(key)                                                                               \
    MISSING(key), {"\"" key "\": \"7\"", "key \"" key "\": expected an integer of "},              \
        {"\"" key "\": 7.0", "key \"" key "\": expected an integer of "},                          \
        {"\"" key "\": -1", "key \"" key "\": expected an integer of "},                           \
        {"\"" key "\": true", "key \"" key "\": expected an integer of "},                         \
    {                                                                                              \
        "\"" key "\": 9223372036854775807", "got 9223372036854775807"                              \
    }

static const struct {
    const char *changes, *message;
} refusal_rows[] = {
    INTEGER("vocab_size"),
    INTEGER("pad_token_id"),
    INTEGER("max_position_embeddings"),
    INTEGER("hidden_size"),
    INTEGER("num_hidden_layers"),
    INTEGER("intermediate_size"),
    INTEGER("classifier_size"),
    INTEGER("num_labels"),
    INTEGER("num_groups"),
    INTEGER("head_dim"),
    MISSING("model_type"),
    MISSING("task"),
    MISSING("hidden_act"),
    MISSING("tokenizer"),
    MISSING("attention"),
    MISSING("compression_rates"),
    MISSING("feature_map"),
    MISSING("routing"),
    MISSING("pooling"),
    MISSING("labels"),
    MISSING("layer_norm_eps"),
    {"\"model_type\": \"bert\"", "key \"model_type\": expected \"adamra\", got \"bert\""},
    {"\"model_type\": 1", "key \"model_type\": expected \"adamra\", got 1"},
    {"\"task\": \"ner\"", "expected \"sequence-classification\", got \"ner\""},
    {"\"hidden_act\": \"relu\"", "key \"hidden_act\": expected \"gelu\""},
    {"\"tokenizer\": \"words\"", "key \"tokenizer\": expected \"ids\" or \"bytes\""},
    {"\"attention\": \"flash\"", "key \"attention\": expected \"adamra\" or "},
    {"\"attention\": \"linear\", \"feature_map\": null", "key \"feature_map\" is missing"},
    {"\"feature_map\": \"tanh\"", "key \"feature_map\": expected \"elu1\" or \"relu\""},
    {"\"routing\": \"none\"", "key \"routing\": expected \"top1\" or \"soft\""},
    {"\"pooling\": [\"mean\"]", "key \"pooling\": expected \"mean\" or \"max\", got [\"mean\"]"},
    {"\"hidden_size\": 0", "key \"hidden_size\": expected an integer of 1..1048576, got 0"},
    {"\"vocab_size\": 255, \"pad_token_id\": 0", "key \"vocab_size\": expected at least 256"},
    {"\"pad_token_id\": 257", "key \"pad_token_id\": expected less than vocab_size, got 257"},
    {"\"compression_rates\": []", "key \"compression_rates\": expected a list of 1..64"},
    {"\"compression_rates\": 4", "key \"compression_rates\": expected a list of 1..64"},
    {"\"compression_rates\": [1, 0]", "integers of 1..1073741824, got [1,0]"},
    {"\"compression_rates\": [1, 2.0]", "key \"compression_rates\": expected a list"},
    {"\"compression_rates\": [-4]", "key \"compression_rates\": expected a list"},
    {"\"compression_rates\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
     "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
     "key \"compression_rates\": expected a list of 1..64 integers"},
    {BIGBIRD("7"), "key \"bigbird\": expected an object, got 7"},
    {BIGBIRD("{\"block\": 0}"), "key \"bigbird.block\": expected an integer of 1..4294967295"},
    {BIGBIRD("{\"block\": 8.0}"), "key \"bigbird.block\": expected an integer of "},
    {BIGBIRD("{\"global_blocks\": -1}"), "key \"bigbird.global_blocks\": expected an integer"},
    {BIGBIRD("{\"window\": 4}"), "key \"bigbird.window\": expected an odd number, got 4"},
    {BIGBIRD("{\"random_blocks\": null}"), "key \"bigbird.random_blocks\": expected an integer"},
    {BIGBIRD("{\"seed\": 4294967296}"), "key \"bigbird.seed\": expected an integer of "},
    {"\"labels\": [\"a\", \"b\"]", "key \"labels\": expected a list of 3 strings"},
    {"\"labels\": [\"a\", \"b\", 3]", "key \"labels\": expected a list of 3 strings"},
    {"\"labels\": {\"a\": 1, \"b\": 2, \"c\": 3}", "key \"labels\": expected a list of 3"},
    {"\"layer_norm_eps\": -1e-9", "key \"layer_norm_eps\": expected 0, or a number of 1.2e-38"},
    {"\"layer_norm_eps\": \"1e-5\"", "key \"layer_norm_eps\": expected 0, or a number of"},
    {"\"layer_norm_eps\": 1e300", "expected 0, or a number of 1.2e-38 to 3.4e38, got 1"},
    {"\"layer_norm_eps\": 1.1754e-38", "key \"layer_norm_eps\": expected 0, or a number of"},
    {"\"layer_norm_eps\": 1e-300", "key \"layer_norm_eps\": expected 0, or a number of"},
    {"\"hidden_size\": 1000000, \"vocab_size\": 10000", "\"hidden_size\" and \"vocab_size\""},
    {"\"hidden_size\": 1000000, \"max_position_embeddings\": 1, \"intermediate_size\": 10000",
     "\"hidden_size\" and \"intermediate_size\""},
    {"\"num_labels\": 1, \"labels\": [\"a\"], \"num_groups\": 1000000, \"head_dim\": 1000000",
     "keys \"num_groups\", \"head_dim\" and \"compression_rates\": expected"},
};

START_TEST(refusals_name_the_key)
{
    struct model_config config;
    const char *changes = refusal_rows[_i].changes, *error = test_logger()->error;
    ck_assert_msg(parse_changed(changes, &config) == STATUS_BAD_INPUT, "accepted: %s", changes);
    ck_assert_msg(strstr(error, refusal_rows[_i].message), "%s: %s", changes, error);
    ck_assert_msg(strncmp(error, "a.json: ", 8) == 0, "no path in: %s", error);
}
END_TEST

static const struct {
    const char *text, *message;
} malformed_rows[] = {
    {"", "not valid JSON"},
    {"{", "not valid JSON"},
    {"[]", "expected a JSON object"},
    {"7", "not valid JSON"},
    {"{} {}", "not valid JSON"},
    {"{\"a\": 1, \"a\": 1}", "duplicate object key"},
    {"{\"a\": 01}", "not valid JSON"},
    {"{\"a\": 1e999}", "real number overflow"},
    {"{\"a\": \"\xff\"}", "not valid JSON"},
    {"{\"a\\u0000b\": 1}", "not valid JSON"},
    {"\xef\xbb\xbf{}", "not valid JSON"},
    {"{}", "key \"model_type\" is missing"},
};

START_TEST(malformed_texts_are_refused)
{
    struct model_config config;
    const char *text = malformed_rows[_i].text, *error = test_logger()->error;
    ck_assert_int_eq(config_parse(test_logger(), "a.json", text, strlen(text), &config),
                     STATUS_BAD_INPUT);
    ck_assert_msg(strstr(error, malformed_rows[_i].message), "%s: %s", text, error);
    ck_assert_msg(strncmp(error, "a.json: ", 8) == 0, "no path in: %s", error);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 1000000 };
    struct model_config config;
    char *text = malloc(DEPTH);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', DEPTH);
    memcpy(text, "{\"a\":", 5);
    ck_assert_int_eq(config_parse(test_logger(), "a.json", text, DEPTH, &config), STATUS_BAD_INPUT);
    free(text);
}
END_TEST

static const struct {
    const char *path;
    status expected;
} file_rows[] = {
    {"golden/encoder_adamra/config.json", STATUS_OK},
    {"golden/encoder_linear/config.json", STATUS_OK},
    {"golden/encoder_softmax/config.json", STATUS_OK},
    {"golden/encoder_bigbird/config.json", STATUS_OK},
    {"golden/no such file", STATUS_IO},
    {"golden", STATUS_IO},
    {"main.c", STATUS_BAD_INPUT},
};

START_TEST(files_are_opened)
{
    struct model_config config;
    const char *path = test_path(file_rows[_i].path);
    status result = config_open(test_logger(), path, &config);
    ck_assert_msg(result == file_rows[_i].expected, "%s: %s", path, test_logger()->error);
    if (result == STATUS_OK)
        config_finish(&config);
    else
        ck_assert_ptr_nonnull(strstr(test_logger()->error, path));
}
END_TEST

Suite *config_suite(void)
{
    Suite *suite = suite_create("config");
    TCase *values = tcase_create("values");
    tcase_add_test(values, every_value_is_read);
    tcase_add_test(values, bigbird_is_read);
    tcase_add_test(values, vast_integers_are_read);
    tcase_add_loop_test(values, legal_variants_are_read, 0, ARRAY_SIZE(legal_rows));
    suite_add_tcase(suite, values);
    TCase *refusals = tcase_create("refusals");
    tcase_add_loop_test(refusals, refusals_name_the_key, 0, ARRAY_SIZE(refusal_rows));
    tcase_add_loop_test(refusals, malformed_texts_are_refused, 0, ARRAY_SIZE(malformed_rows));
    tcase_add_test(refusals, deep_nesting_is_refused);
    suite_add_tcase(suite, refusals);
    TCase *files = tcase_create("files");
    tcase_add_loop_test(files, files_are_opened, 0, ARRAY_SIZE(file_rows));
    suite_add_tcase(suite, files);
    return suite;
}
