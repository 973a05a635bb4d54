/* Weights and the encoder's graph, on the reference loops: no device. */
#include "model/encoder.h"
#include "model_cases.h"
#include "suites.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADAMRA "golden/encoder_adamra"
#define LANGID "../samples/models/langid"

/* A golden model, on the reference path. */
struct reference {
    struct model_config config;
    struct weights weights;
};

static void open_reference(const char *config, const char *file, enum element_type type,
                           struct reference *out)
{
    struct logger *log = test_logger();
    ck_assert_msg(config_open(log, config, &out->config) == STATUS_OK, "%s", log->error);
    status result = weights_load(log, NULL, &out->config, file, type, &out->weights);
    ck_assert_msg(result == STATUS_OK, "%s", log->error);
}

static void close_reference(struct reference *reference)
{
    weights_finish(&reference->weights);
    config_finish(&reference->config);
}

static void run_reference(const struct reference *reference, const struct model_cases *cases,
                          float *logits)
{
    struct encoder encoder;
    struct logger *log = test_logger();
    size_t row = (size_t)reference->weights.classifier_out.n4 * 4;
    float *padded = calloc(cases->batch * row, sizeof(*padded));
    ck_assert_ptr_nonnull(padded);
    ck_assert_int_eq(encoder_build(log, &reference->config, &reference->weights, cases->batch,
                                   cases->n, false, &encoder),
                     STATUS_OK);
    encoder.bindings[encoder.tokens].host = cases->tokens;
    encoder.bindings[encoder.lengths].host = cases->lengths;
    encoder.bindings[encoder.logits].host = padded;
    ck_assert_int_eq(plan_run_reference(log, &encoder.graph, encoder.bindings), STATUS_OK);
    for (uint32_t b = 0; b < cases->batch; b++)
        memcpy(logits + (size_t)b * cases->num_labels, padded + b * row,
               cases->num_labels * sizeof(*logits));
    encoder_finish(&encoder);
    free(padded);
}

static const struct golden {
    const char *folder;
    enum element_type type;
    double tolerance;
} goldens[] = {
    {"golden/encoder_adamra", ELEMENT_F32, 2e-5},  {"golden/encoder_soft", ELEMENT_F32, 2e-5},
    {"golden/encoder_wide", ELEMENT_F32, 2e-5},    {"golden/encoder_max", ELEMENT_F32, 2e-5},
    {"golden/encoder_softmax", ELEMENT_F32, 2e-5}, {"golden/encoder_linear", ELEMENT_F32, 2e-5},
    {"golden/encoder_bigbird", ELEMENT_F32, 2e-5}, {"golden/encoder_adamra", ELEMENT_F16, 5e-3},
    {"golden/encoder_soft", ELEMENT_F16, 5e-3},    {"golden/encoder_max", ELEMENT_F16, 5e-3},
    {"golden/encoder_softmax", ELEMENT_F16, 5e-3}, {"golden/encoder_linear", ELEMENT_F16, 5e-3},
    {"golden/encoder_bigbird", ELEMENT_F16, 5e-3},
};

START_TEST(golden_logits)
{
    const struct golden *golden = &goldens[_i];
    struct reference reference;
    struct model_cases cases = model_cases_load(model_file(golden->folder, "cases.safetensors"));
    open_reference(model_file(golden->folder, "config.json"),
                   model_file(golden->folder, "model.safetensors"), golden->type, &reference);
    size_t count = (size_t)cases.batch * cases.num_labels;
    float *logits = calloc(count, sizeof(*logits));
    run_reference(&reference, &cases, logits);
    double error = relative_error(logits, cases.logits, count);
    ck_assert_msg(error <= golden->tolerance, "%s, type %d: relative error %g", golden->folder,
                  (int)golden->type, error);
    free(logits);
    close_reference(&reference);
    model_cases_finish(&cases);
}
END_TEST

/* Of the trained model's cases, the shortest text: reference loops are slow. */
START_TEST(trained_logits)
{
    struct reference reference;
    struct model_cases cases = model_cases_load(test_path("golden/langid_cases.safetensors"));
    uint32_t row = 0;
    for (uint32_t i = 1; i < cases.batch; i++)
        row = cases.lengths[i] < cases.lengths[row] ? i : row;
    struct model_cases one = {.batch = 1,
                              .n = cases.lengths[row],
                              .num_labels = cases.num_labels,
                              .tokens = cases.tokens + (size_t)row * cases.n,
                              .lengths = &cases.lengths[row]};
    float *logits = calloc(cases.num_labels, sizeof(*logits));
    open_reference(test_path(LANGID "/config.json"), test_path(LANGID "/model.safetensors"),
                   ELEMENT_F32, &reference);
    run_reference(&reference, &one, logits);
    const float *expected = cases.logits + (size_t)row * cases.num_labels;
    ck_assert_double_le(relative_error(logits, expected, cases.num_labels), 2e-5);
    free(logits);
    close_reference(&reference);
    model_cases_finish(&cases);
}
END_TEST

/* ---- weights ---- */

/* Where each head's columns lie; dk 9, 2 groups: a block of a head is 2 * 3 quads. */
START_TEST(products_are_fused)
{
    struct model_config config = {.attention = &attn_adamra,
                                  .num_groups = 2,
                                  .head_dim = 9,
                                  .heads = 4,
                                  .rates = {4, 1, 4, 2},
                                  .pooling = POOLING_MEAN};
    static const struct {
        uint32_t product, key, value;
    } expected[] = {{1, 0, 6}, {0, 6, 12}, {1, 12, 18}, {2, 0, 6}};
    struct projections projections;
    projections_init(&projections, &config);
    ck_assert_uint_eq(projections.count, 3);
    ck_assert_uint_eq(projections.products[0].n4, 18);
    ck_assert_uint_eq(projections.products[1].rate, 4);
    ck_assert_uint_eq(projections.products[1].n4, 24);
    ck_assert_uint_eq(projections.products[2].rate, 2);
    ck_assert_uint_eq(projections.products[2].n4, 12);
    for (uint32_t h = 0; h < config.heads; h++) {
        ck_assert_uint_eq(projections.heads[h].product, expected[h].product);
        ck_assert_uint_eq(projections.heads[h].key, expected[h].key);
        ck_assert_uint_eq(projections.heads[h].value, expected[h].value);
    }

    config.pooling = POOLING_MAX;
    projections_init(&projections, &config);
    ck_assert_uint_eq(projections.count, 1);
    ck_assert_uint_eq(projections.products[0].n4, 6 + 4 * 12);
}
END_TEST

static const struct {
    enum model_change stored, same; /* a file of 16 bit numbers, and one of the same in F32 */
} dtypes[] = {{CHANGE_ALL_F16, CHANGE_HALVED}, {CHANGE_ALL_BF16, CHANGE_TRUNCATED}};

START_TEST(dtypes_are_read)
{
    const char *config = test_path(ADAMRA "/config.json");
    const char *model = test_path(ADAMRA "/model.safetensors");
    const char *folder = temporary_folder();
    enum model_change changes[] = {dtypes[_i].stored, dtypes[_i].same};
    struct reference references[2];
    char path[1200];
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    for (int i = 0; i < 2; i++) {
        write_changed_model(model, folder, changes[i], NULL, 0);
        open_reference(config, path, ELEMENT_F32, &references[i]);
    }
    ck_assert_uint_eq(references[0].weights.bytes, references[1].weights.bytes);
    ck_assert_int_eq(
        memcmp(references[0].weights.host, references[1].weights.host, references[0].weights.bytes),
        0);
    close_reference(&references[0]);
    close_reference(&references[1]);
    remove_model(folder);
}
END_TEST

static const struct refusal {
    enum model_change change;
    const char *tensor;
    float value;
    enum element_type type;
    const char *message; /* after path and tensor */
} refusals[] = {
    {CHANGE_DROP, "norm.bias", 0, ELEMENT_F32, "is missing: expected one of shape [24]"},
    {CHANGE_DROP, "layers.1.attention.router.weight", 0, ELEMENT_F32,
     "is missing: expected one of shape [6, 9]"},
    {CHANGE_SHAPE, "layers.0.attention.key.weight", 0, ELEMENT_F32,
     "expected shape [54, 24], got [24, 54]"},
    {CHANGE_SHAPE, "layers.1.ffn_in.bias", 0, ELEMENT_F32, "expected shape [40], got [1, 40]"},
    {CHANGE_SHAPE, "token_embedding.weight", 0, ELEMENT_F32,
     "expected shape [40, 24], got [24, 40]"},
    {CHANGE_DTYPE, "classifier_out.weight", 0, ELEMENT_F32,
     "expected dtype F32, F16 or BF16, got I32"},
    {CHANGE_VALUE, "layers.1.attention.value.weight", NAN, ELEMENT_F32,
     "element 1295 is NaN: expected finite numbers"},
    {CHANGE_VALUE, "layers.0.attention_norm.weight", INFINITY, ELEMENT_F32,
     "element 23 is infinite: expected finite numbers"},
    {CHANGE_VALUE, "layers.0.attention.router.bias", -INFINITY, ELEMENT_F16,
     "element 5 is infinite: expected finite numbers"},
    {CHANGE_VALUE, "position_embedding.weight", -65520, ELEMENT_F16,
     "element 3071 is -65520: expected at most 65504 for 16 bit storage"},
    {CHANGE_VALUE, "layers.1.ffn_norm.weight", 1e8F, ELEMENT_F16,
     "scale times weight passes 65504 of 16 bit storage"},
    {CHANGE_VALUE, "layers.0.attention_norm.weight", -1e8F, ELEMENT_F16,
     "scale times weight passes 65504 of 16 bit storage"},
};

START_TEST(refused)
{
    const struct refusal *refusal = &refusals[_i];
    const char *folder = temporary_folder();
    struct logger *log = test_logger();
    struct model_config config;
    struct weights weights;
    char path[1200], expected[2400];
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    snprintf(expected, sizeof(expected), "%s: tensor \"%s\"", path, refusal->tensor);
    write_changed_model(test_path(ADAMRA "/model.safetensors"), folder, refusal->change,
                        refusal->tensor, refusal->value);
    ck_assert_int_eq(config_open(log, test_path(ADAMRA "/config.json"), &config), STATUS_OK);
    ck_assert_int_eq(weights_load(log, NULL, &config, path, refusal->type, &weights),
                     STATUS_BAD_INPUT);
    ck_assert_msg(strstr(log->error, expected) && strstr(log->error, refusal->message),
                  "expected %s ... %s, got %s", expected, refusal->message, log->error);
    config_finish(&config);
    remove_model(folder);
}
END_TEST

START_TEST(large_numbers_fit_f32)
{
    const char *folder = temporary_folder();
    struct reference reference;
    char path[1200];
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    write_changed_model(test_path(ADAMRA "/model.safetensors"), folder, CHANGE_VALUE,
                        "position_embedding.weight", -65520);
    open_reference(test_path(ADAMRA "/config.json"), path, ELEMENT_F32, &reference);
    close_reference(&reference);
    remove_model(folder);
}
END_TEST

/* ---- graph ---- */

/* The products dominate; the sum must hold them, and little more. */
START_TEST(cost_counts_products)
{
    struct reference reference;
    struct encoder encoder;
    double operations, bytes, products = 0;
    open_reference(test_path(ADAMRA "/config.json"), test_path(ADAMRA "/model.safetensors"),
                   ELEMENT_F32, &reference);
    ck_assert_int_eq(
        encoder_build(test_logger(), &reference.config, &reference.weights, 2, 64, false, &encoder),
        STATUS_OK);
    for (uint32_t i = 0; i < encoder.graph.call_count; i++)
        if (encoder.graph.calls[i].op == &op_linear) {
            const struct linear_params *linear = &encoder.graph.calls[i].params.linear;
            products += 2.0 * linear->rows * linear->k4 * 4 * linear->n4 * 4;
        }
    encoder_cost(&encoder, &operations, &bytes);
    ck_assert_double_gt(operations, products);
    ck_assert_double_lt(operations, 2 * products);
    ck_assert_double_gt(bytes, (double)reference.weights.bytes / 2);
    encoder_finish(&encoder);
    close_reference(&reference);
}
END_TEST

Suite *encoder_suite(void)
{
    Suite *suite = suite_create("encoder");
    TCase *weights = tcase_create("weights"), *graph = tcase_create("graph");
    tcase_add_test(weights, products_are_fused);
    tcase_add_loop_test(weights, dtypes_are_read, 0, ARRAY_SIZE(dtypes));
    tcase_add_loop_test(weights, refused, 0, ARRAY_SIZE(refusals));
    tcase_add_test(weights, large_numbers_fit_f32);
    tcase_add_loop_test(graph, golden_logits, 0, ARRAY_SIZE(goldens));
    tcase_add_test(graph, trained_logits);
    tcase_add_test(graph, cost_counts_products);
    tcase_set_timeout(graph, 120);
    suite_add_tcase(suite, weights);
    suite_add_tcase(suite, graph);
    return suite;
}
