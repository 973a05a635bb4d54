/* The program as a user meets it: usage, devices, classify, run. `attend` has its own file. */
#include "program.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "'" SAMPLES_DIR "/models/langid'"

struct expectation {
    const char *arguments;
    int code;
    const char *error; /* part of the last line on standard error */
};

static void run_table(const struct expectation *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct outcome *outcome = program_run("%s", table[i].arguments);
        ck_assert_msg(outcome->code == table[i].code && strstr(outcome->last_error, table[i].error),
                      "adamra %s: exit status %d, '%s'; expected %d and '%s'", table[i].arguments,
                      outcome->code, outcome->last_error, table[i].code, table[i].error);
        ck_assert_msg(!outcome->output[0], "adamra %s: wrote '%.40s' to standard output",
                      table[i].arguments, outcome->output);
    }
}

static const struct expectation wrong_usage[] = {
    {"", 2, "no command"},
    {"bake", 2, "unknown command 'bake'; expected one of devices, attend"},
    {"--quiet devices", 2, "unknown command '--quiet'"},
    {"devices --nonsense", 2, "unsupported flag '--nonsense'; supported: --json"},
    {"devices -x", 2, "unsupported flag '-x'"},
    {"devices --json=1", 2, "--json takes no value"},
    {"devices extra", 2, "too many file names"},
    {"attend", 2, "a file name is missing"},
    {"attend a b -o c --rates 1", 2, "too many file names"},
    {"attend a --rates 1", 2, "expected -o"},
    {"attend a -o", 2, "--output lacks its value"},
    {"attend a -o b", 2, "expected --rates"},
    {"attend a -o b --rates 0", 2, "--rates '0'; expected 1 to 64"},
    {"attend a -o b --rates 1,,2", 2, "--rates '1,,2'"},
    {"attend a -o b --rates 1,", 2, "--rates '1,'"},
    {"attend a -o b --rates ''", 2, "--rates ''"},
    {"attend a -o b --rates 1,-2", 2, "--rates '1,-2'"},
    {"attend a -o b --rates 4294967296", 2, "--rates '4294967296'"},
    {"attend a -o b --rates 99999999999999999999", 2, "--rates"},
    {"attend a -o b --rates 1.5", 2, "--rates '1.5'"},
    {"attend a -o b --rates $(seq -s, 65)", 2, "expected 1 to 64"},
    {"attend a -o b --rates 1 --eps -1", 2, "--eps '-1'"},
    {"attend a -o b --rates 1 --eps nan", 2, "--eps 'nan'"},
    {"attend a -o b --rates 1 --eps inf", 2, "--eps 'inf'"},
    {"attend a -o b --rates 1 --eps 1e-6x", 2, "--eps '1e-6x'"},
    {"attend a -o b --rates 1 --eps 1e-38", 2, "--eps '1e-38'"},
    {"attend a -o b --rates 1 --eps 0x1p-3", 2, "--eps '0x1p-3'"},
    {"attend a -o b --rates 1 --dtype f64", 2, "--dtype 'f64'; expected f32 or f16"},
    {"attend a -o b --rates 1 --routing best", 2, "expected top1, soft or none"},
    {"attend a -o b --rates 1 --feature-map exp", 2, "expected elu1 or relu"},
    {"attend a -o b --rates 1 --pooling sum", 2, "expected mean or max"},
    {"attend a -o b --attention flash", 2, "expected adamra, softmax, linear or bigbird"},
    {"attend a -o b --attention bigbird --rates 1", 2, "has no --rates"},
    {"attend a -o b --attention bigbird --block 0", 2, "--block '0'; expected a whole number"},
    {"attend a -o b --attention bigbird --window 2", 2, "--window '2'; expected an odd"},
    {"attend a -o b --attention bigbird --window 3x", 2, "--window '3x'"},
    {"attend a -o b --attention bigbird --global-blocks -1", 2, "--global-blocks '-1'"},
    {"attend a -o b --attention bigbird --random-blocks ''", 2, "--random-blocks ''"},
    {"attend a -o b --attention bigbird --seed 4294967296", 2, "--seed '4294967296'"},
    {"attend a -o b --attention softmax --rates 1", 2, "has no --rates"},
    {"attend a -o b --attention linear --rates 1,2", 2, "has no --rates"},
    {"attend a -o b --rates 1 --causal", 2, "unsupported flag '--causal'; supported: "},
    {"attend a -o b --rates 1 --max-device-memory 0", 2, "expected a whole number >= 1"},
    {"attend a -o b --rates 1 --max-device-memory 1MB", 2, "--max-device-memory '1MB'"},
    {"attend a -o b --rates 1 --max-device-memory M", 2, "--max-device-memory 'M'"},
    {"attend a -o b --rates 1 --max-device-memory -1", 2, "--max-device-memory '-1'"},
    {"attend a -o b --rates 1 --max-device-memory 17179869184G", 2, "--max-device-memory"},
    {"classify model --text x --max-device-memory 1M", 2, "--max-device-memory"},
    {"attend a -o b --rates 1 --device ''", 2, "--device ''"},
    {"classify", 2, "a file name is missing"},
    {"classify model", 2, "no text given"},
    {"classify model --top 0 --text x", 2, "--top '0'; expected a whole number >= 1"},
    {"classify model --top 1e3 --text x", 2, "--top '1e3'"},
    {"run model -o b", 2, "expected --tokens"},
    {"run model --tokens a", 2, "expected -o"},
    {"selftest extra", 2, "too many file names"},
    {"selftest --repeat 0", 2, "--repeat '0'; expected a whole number >= 1"},
    {"selftest --seed -1", 2, "--seed '-1'"},
};

START_TEST(refuses_wrong_usage)
{
    run_table(wrong_usage, ARRAY_SIZE(wrong_usage));
}
END_TEST

START_TEST(says_its_help_and_version)
{
    static const char *const commands[] = {"devices", "attend",   "classify",
                                           "run",     "selftest", "tune"};
    const struct outcome *outcome = program_run("--version");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_str_eq(outcome->output, "adamra 0.1.0\n");
    outcome = program_run("--help");
    ck_assert_int_eq(outcome->code, 0);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        ck_assert_ptr_nonnull(strstr(program_run("--help")->output, commands[i]));
        outcome = program_run("%s --help", commands[i]);
        ck_assert_int_eq(outcome->code, 0);
        ck_assert_ptr_nonnull(strstr(outcome->output, "--device DEVICE"));
    }
}
END_TEST

START_TEST(lists_devices)
{
    const struct outcome *outcome = program_run("devices");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_int_eq(strncmp(outcome->output, "0: ", 3), 0);
    ck_assert_ptr_nonnull(strstr(outcome->output, ", Vulkan 1."));
    json_t *list = json_loads(program_run("devices --json")->output, 0, NULL);
    const json_t *device = json_array_get(list, 0);
    ck_assert_int_eq(json_integer_value(json_object_get(device, "index")), 0);
    static const char *const texts[] = {"name",   "type",           "uuid",
                                        "driver", "driver_version", "api_version"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        ck_assert_msg(json_is_string(json_object_get(device, texts[i])), "%s", texts[i]);
    }
    ck_assert_int_eq(json_string_length(json_object_get(device, "uuid")), 36);
    ck_assert_int_gt(json_integer_value(json_object_get(device, "memory_bytes")), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(device, "subgroup_size")), 0);
    static const char *const limits[] = {
        "max_storage_range", "max_texel_elements", "max_allocation_bytes",
        "max_groups_x",      "max_groups_y",       "max_groups_z",
        "max_shared_bytes",  "max_push_bytes",     "max_group_invocations"};
    static const char *const features[] = {
        "subgroup_shuffle",   "texel_buffers",  "storage_16bit", "float16",
        "cooperative_matrix", "unified_memory", "timestamps"};
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        const json_t *limit = json_object_get(json_object_get(device, "limits"), limits[i]);
        ck_assert_msg(json_is_integer(limit) && json_integer_value(limit) > 0, "%s", limits[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const json_t *feature = json_object_get(json_object_get(device, "features"), features[i]);
        ck_assert_msg(json_is_boolean(feature), "%s", features[i]);
    }
    json_decref(list);
}
END_TEST

/* --device belongs to all commands: it says which are listed. */
START_TEST(lists_the_device_that_is_named)
{
    json_t *list = json_loads(program_run("devices --json --device 0")->output, 0, NULL);
    ck_assert_uint_eq(json_array_size(list), 1);
    json_decref(list);
    program_expect(program_run("devices --device 99"), 4, "matches '99'; those there are: 0: ");
    program_expect(program_run_in("ADAMRA_DEVICE=99", "devices"), 0, "");
}
END_TEST

START_TEST(selftest_takes_one_storage_type)
{
    const char *output = program_run("selftest --dtype f16 | head -n 2")->output;
    ck_assert_msg(strstr(output, " f16  cases") && !strstr(output, " f32 "), "%s", output);
}
END_TEST

START_TEST(says_that_there_is_no_device)
{
    static const char none[] = "VK_DRIVER_FILES=/none.json VK_ICD_FILENAMES=/none.json";
    program_expect(program_run_in(none, "devices"), 4, "device");
    program_expect(program_run_in(none, "classify " MODEL " --text x"), 4, "");
    program_expect(program_run("classify " MODEL " --text x --device nonsense"), 4, "nonsense");
    program_expect(program_run_in("ADAMRA_DEVICE=nonsense", "classify " MODEL " --text x"), 4,
                   "nonsense");
    /* digits of a name or a version are no index */
    program_expect(program_run("classify " MODEL " --text x --device 15"), 4, "matches '15'");
    program_expect(program_run_in("ADAMRA_DEVICE=15", "classify " MODEL " --text x"), 4,
                   "matches '15'");
    /* a flag stands before the environment */
    const struct outcome *outcome =
        program_run_in("ADAMRA_DEVICE=nonsense", "classify " MODEL " --text x --device 0");
    ck_assert_int_eq(outcome->code, 0);
}
END_TEST

START_TEST(classifies_texts)
{
    static const struct {
        const char *file, *label;
    } texts[] = {
        {"deutsch", "de"},  {"english", "en"}, {"espanol", "es"}, {"francais", "fr"},
        {"italiano", "it"}, {"polski", "pl"},  {"russkij", "ru"}, {"suomi", "fi"},
    };
    char arguments[4096] = "classify --quiet " MODEL, expected[512];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        size_t used = strlen(arguments);
        snprintf(arguments + used, sizeof(arguments) - used, " '%s/texts/%s.txt'", SAMPLES_DIR,
                 texts[i].file);
    }
    const struct outcome *outcome = program_run_in("", arguments);
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_str_eq(outcome->errors, "");
    const char *line = outcome->output;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        int length = snprintf(expected, sizeof(expected), "%s/texts/%s.txt\t%s\t", SAMPLES_DIR,
                              texts[i].file, texts[i].label);
        ck_assert_msg(!strncmp(line, expected, (size_t)length), "'%.100s'; expected '%s'", line,
                      expected);
        double probability = strtod(line + length, (char **)&line);
        ck_assert(probability > 0.5 && probability <= 1 && *line == '\n');
        line++;
    }
    ck_assert_str_eq(line, "");
}
END_TEST

START_TEST(prints_inputs_of_all_kinds_in_order)
{
    program_write("a.jsonl",
                  "\xef\xbb\xbf" /* a byte order mark */
                  "{\"text\": \"the name of the file and of the tensor\", \"label\": \"en\"}\n"
                  "\n"
                  "{\"text\": \"der Name der Datei\", \"label\": \"fr\", \"more\": 1}");
    program_write("in.txt", "le nom du fichier et du tenseur, la mémoire et le périphérique");
    const struct outcome *outcome = program_run(
        "classify " MODEL " --jsonl a.jsonl --text 'the second' - --text third --top 2 <in.txt");
    ck_assert_int_eq(outcome->code, 0);
    static const char *const names[] = {"-", "text", "text", "a.jsonl:1", "a.jsonl:3"};
    const char *line = outcome->output;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char name[32], labels[2][8];
        float probabilities[2];
        int used = 0;
        int fields = sscanf(line, "%31[^\t]\t%7s\t%f\t%7s\t%f%n", name, labels[0],
                            &probabilities[0], labels[1], &probabilities[1], &used);
        ck_assert_msg(fields == 5 && line[used] == '\n', "'%.60s'", line);
        ck_assert_str_eq(name, names[i]);
        ck_assert(probabilities[0] >= probabilities[1]);
        line += used + 1;
    }
    ck_assert_msg(!strcmp(line, "accuracy 1/2 0.5000\n"), "'%s'", line);
}
END_TEST

START_TEST(names_do_not_part_lines)
{
    const struct outcome *outcome =
        program_run_in("printf 'the name of the file' >\"$(printf 'a\\tb\\nc')\";",
                       "classify " MODEL " \"$(printf 'a\\tb\\nc')\"");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_msg(!strncmp(outcome->output, "a\\tb\\nc\ten\t", 11), "%s", outcome->output);
}
END_TEST

START_TEST(prints_json)
{
    const struct outcome *outcome =
        program_run("classify " MODEL " --json --top 99 --text 'the name of the file'");
    json_t *object = json_loads(outcome->output, 0, NULL);
    ck_assert_msg(object != NULL, "'%s'", outcome->output);
    ck_assert_str_eq(json_string_value(json_object_get(object, "name")), "text");
    const json_t *top = json_object_get(object, "top");
    ck_assert_int_eq(json_array_size(top), 18);
    double sum = 0;
    for (size_t i = 0; i < json_array_size(top); i++) {
        sum += json_real_value(json_object_get(json_array_get(top, i), "probability"));
    }
    ck_assert(fabs(sum - 1) < 1e-4);
    ck_assert_str_eq(json_string_value(json_object_get(object, "label")),
                     json_string_value(json_object_get(json_array_get(top, 0), "label")));
    json_decref(object);
}
END_TEST

START_TEST(refuses_bad_texts)
{
    program_write("empty.txt", "");
    program_write("empty.jsonl", "\n");
    program_write("broken.jsonl", "{\"text\": \"a\", \"label\": \"en\"}\n{\"text\": \n");
    program_write("unlabelled.jsonl", "{\"text\": \"a\"}\n");
    program_write("unknown.jsonl", "{\"text\": \"a\", \"label\": \"xx\"}\n");
    program_write("longer.jsonl", "{\"text\": \"a\", \"label\": \"en\\u0000x\"}\n");
    program_write("number.jsonl", "{\"text\": 1, \"label\": \"en\"}\n");
    program_write("list.jsonl", "[1]\n");
    program_write("void.jsonl", "{\"text\": \"\", \"label\": \"en\"}\n");
    static const struct expectation table[] = {
        {"classify " MODEL " empty.txt", 3, "empty.txt: the text is empty"},
        {"classify " MODEL " -", 3, "-: the text is empty"},
        {"classify " MODEL " --text ''", 3, "text: the text is empty"},
        {"classify " MODEL " --jsonl empty.jsonl", 3, "empty.jsonl: holds no text"},
        {"classify " MODEL " --jsonl broken.jsonl", 3, "broken.jsonl:2: "},
        {"classify " MODEL " --jsonl unlabelled.jsonl", 3, "unlabelled.jsonl:1: key \"label\""},
        {"classify " MODEL " --jsonl unknown.jsonl", 3, "unknown.jsonl:1: label \"xx\""},
        {"classify " MODEL " --jsonl longer.jsonl", 3, "longer.jsonl:1: label \"en"},
        {"classify " MODEL " --jsonl number.jsonl", 3, "number.jsonl:1: key \"text\""},
        {"classify " MODEL " --jsonl list.jsonl", 3, "list.jsonl:1: "},
        {"classify " MODEL " --jsonl void.jsonl", 3, "void.jsonl:1: the text is empty"},
        {"classify " MODEL " missing.txt", 1, "missing.txt: cannot be opened"},
        {"classify " MODEL " .", 1, ".: cannot be read"},
        {"classify . --text x", 1, "config.json"},
        {"classify '" TESTS_DIR "/golden/encoder_adamra' --text x", 3, "\"tokenizer\" is \"ids\""},
    };
    run_table(table, ARRAY_SIZE(table));
}
END_TEST

START_TEST(cuts_long_texts_and_says_so_once)
{
    const struct outcome *outcome = program_run_in(
        "yes 'the name of the file' | head -c 9999 > long.txt; cp long.txt longer.txt;",
        "classify " MODEL " long.txt longer.txt");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_ptr_nonnull(strstr(outcome->output, "long.txt\ten\t"));
    const char *said = strstr(outcome->errors, "cut");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_null(strstr(said + 1, "cut"));
    ck_assert_ptr_nonnull(strstr(outcome->errors, "4096"));
}
END_TEST

/* ---- tune ---- */

/* Keeps what it measures in the folder of the test. */
#define CACHE "XDG_CACHE_HOME=\"$PWD\""

START_TEST(tune_refuses_wrong_usage)
{
    static const struct expectation table[] = {
        {"selftest --no-tune", 2, "unsupported flag '--no-tune'"},
        {"tune extra", 2, "too many file names"},
        {"tune --max-seconds 0", 2, "--max-seconds '0'; expected a number of seconds above 0"},
        {"tune --max-seconds inf", 2, "--max-seconds 'inf'"},
        {"tune --max-seconds 5s", 2, "--max-seconds '5s'"},
        {"tune --no-tune", 2, "unsupported flag '--no-tune'"},
    };
    run_table(table, ARRAY_SIZE(table));
}
END_TEST

START_TEST(tune_says_what_it_measured)
{
    const struct outcome *outcome = program_run_in(CACHE, "tune --max-seconds 1e-6");
    ck_assert_int_eq(outcome->code, 0);
    ck_assert_int_eq(strncmp(outcome->output, "op       shape", 14), 0);
    ck_assert_ptr_nonnull(strstr(outcome->output, "not measured: there was no time\n"));
    ck_assert_ptr_nonnull(strstr(outcome->output, "nothing was measured on "));
    ck_assert_ptr_nonnull(strstr(outcome->output, "were not measured; another run"));
    outcome = program_run_in(CACHE, "tune --max-seconds 1e-6 --json --dtype f16");
    ck_assert_int_eq(outcome->code, 0);
    json_t *object = json_loads(outcome->output, 0, NULL);
    ck_assert_msg(object != NULL, "'%s'", outcome->output);
    ck_assert_str_eq(json_string_value(json_object_get(object, "dtype")), "f16");
    ck_assert(json_is_boolean(json_object_get(object, "kept")));
    const json_t *result = json_array_get(json_object_get(object, "results"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(result, "op")), "linear");
    ck_assert_str_eq(json_string_value(json_object_get(result, "outcome")), "left");
    ck_assert(json_is_null(json_object_get(result, "best")));
    ck_assert(json_is_null(json_object_get(result, "ratio")));
    json_decref(object);
}
END_TEST

START_TEST(reports_a_full_disk)
{
    program_expect(program_run("devices > /dev/full"), 1, "standard output");
    program_expect(program_run("classify " MODEL " --text x > /dev/full"), 1, "standard output");
}
END_TEST

Suite *cli_suite(void)
{
    Suite *suite = suite_create("cli");
    TCase *usage = program_case("usage", "program");
    tcase_add_test(usage, refuses_wrong_usage);
    tcase_add_test(usage, says_its_help_and_version);
    tcase_add_test(usage, lists_devices);
    tcase_add_test(usage, lists_the_device_that_is_named);
    tcase_add_test(usage, selftest_takes_one_storage_type);
    tcase_add_test(usage, says_that_there_is_no_device);
    tcase_add_test(usage, reports_a_full_disk);
    suite_add_tcase(suite, usage);
    TCase *tune = program_case("tune", "program");
    tcase_add_test(tune, tune_refuses_wrong_usage);
    tcase_add_test(tune, tune_says_what_it_measured);
    suite_add_tcase(suite, tune);
    TCase *texts = program_case("texts", ""); /* once on every driver */
    tcase_add_test(texts, classifies_texts);
    suite_add_tcase(suite, texts);
    TCase *classify = program_case("classify", "program");
    tcase_add_test(classify, prints_inputs_of_all_kinds_in_order);
    tcase_add_test(classify, names_do_not_part_lines);
    tcase_add_test(classify, prints_json);
    tcase_add_test(classify, refuses_bad_texts);
    tcase_add_test(classify, cuts_long_texts_and_says_so_once);
    suite_add_tcase(suite, classify);
    return suite;
}
