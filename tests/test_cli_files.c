/* `attend` and `run` on files: streaming, what is refused and how, what failing leaves. */
#include "ops/random.h"
#include "program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes random tensors of `rows` queries and keys, at an even or odd place in the file. */
static void write_long(const char *name, uint32_t rows, bool aligned)
{
    enum { WIDTH = 8, HEADS = 3 };
    size_t count = (size_t)rows * WIDTH;
    struct random random = random_seed(test_seed());
    static float numbers[20000 * WIDTH];
    ck_assert_uint_le(count, ARRAY_SIZE(numbers));
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (float)random_normal(&random);
    }
    struct st_tensor tensors[] = {
        {.name = "first", .type = ST_U8, .dims = 1, .shape = {!aligned}, .data = numbers},
        {.name = "q", .dims = 4, .shape = {1, 1, rows, WIDTH}, .data = numbers},
        {.name = "k", .dims = 5, .shape = {1, 1, 1, rows, WIDTH}, .data = numbers},
        {.name = "v", .dims = 5, .shape = {1, 1, 1, rows, WIDTH}, .data = numbers},
        {.name = "router.weight", .dims = 3, .shape = {1, HEADS, WIDTH}, .data = numbers},
    };
    tensors[0].bytes = !aligned;
    for (size_t i = 1; i < ARRAY_SIZE(tensors); i++) {
        tensors[i].type = ST_F32;
        tensors[i].bytes = 4 * (i < 4 ? count : HEADS * WIDTH);
    }
    const char *path = program_path(name);
    ck_assert_int_eq(st_write(test_logger(), path, tensors, ARRAY_SIZE(tensors), NULL, 0), 0);
}

/* With a bound on memory that is too small for the tensors, and with one that is too small. */
START_TEST(streams_what_does_not_fit)
{
    static const char same[] = "&& cmp -s whole.st pieces.st && echo same";
    for (int aligned = 0; aligned < 2; aligned++) {
        write_long("in.st", 20000, aligned);
        program_expect(program_run("attend in.st -o whole.st --rates 1,2,4"), 0, "");
        const struct outcome *outcome = program_run(
            "attend in.st -o pieces.st --rates 1,2,4 --verbose --max-device-memory 300K %s", same);
        program_expect(outcome, 0, "streamed");
        ck_assert_str_eq(outcome->output, "same\n");
    }
    program_expect(program_run("attend in.st -o pieces.st --rates 1,2,4 --max-device-memory 2K"), 1,
                   "2048 may be taken");
    program_run("attend in.st -o in.st --rates 1,2,4"); /* over its own input */
    program_expect(program_run_in("cmp in.st whole.st &&", "devices"), 0, "");
}
END_TEST

/* ---- refusals: a legal set of tensors, and one that is changed ---- */

struct change {
    const char *tensor; /* added where the set has none of that name */
    bool drop;
    enum st_type type;
    uint32_t dims;
    uint64_t shape[5];
    int64_t value; /* of all elements */
    const char *flags;
    int code;
    const char *error;
};

#define MAX_TENSORS 10

static uint64_t finish_tensor(struct st_tensor *tensor)
{
    tensor->elements = 1;
    for (uint32_t i = 0; i < tensor->dims; i++) {
        tensor->elements *= tensor->shape[i];
    }
    return tensor->bytes = tensor->elements * st_type_bytes(tensor->type);
}

/* Elements are all zero but those of the changed tensor, integers of 8 bytes. */
static void write_changed(const char *name, const struct st_tensor *set, uint32_t count,
                          const struct change *change)
{
    static uint8_t zeros[8192];
    static int64_t values[64];
    struct st_tensor tensors[MAX_TENSORS];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(set[i].name, change->tensor)) {
            tensors[kept++] = set[i];
        }
    }
    if (!change->drop) {
        tensors[kept] =
            (struct st_tensor){.name = change->tensor, .type = change->type, .dims = change->dims};
        memcpy(tensors[kept++].shape, change->shape, sizeof(change->shape));
    }
    for (uint32_t i = 0; i < kept; i++) {
        uint64_t bytes = finish_tensor(&tensors[i]);
        ck_assert_uint_le(bytes, sizeof(zeros));
        tensors[i].data = zeros;
        if (tensors[i].type == ST_I64 && bytes <= sizeof(values)) {
            for (size_t at = 0; at < ARRAY_SIZE(values); at++) {
                values[at] = change->value;
            }
            tensors[i].data = values;
        }
    }
    ck_assert_int_eq(st_write(test_logger(), program_path(name), tensors, kept, NULL, 0),
                     STATUS_OK);
}

static void try_changes(const char *command, const struct st_tensor *set, uint32_t count,
                        const struct change *changes, size_t change_count)
{
    for (size_t i = 0; i < change_count; i++) {
        const struct change *change = &changes[i];
        write_changed("in.safetensors", set, count, change);
        const struct outcome *outcome = program_run("%s %s", command, change->flags);
        ck_assert_msg(outcome->code == change->code && strstr(outcome->last_error, change->error),
                      "row %zu (%s %s): exit status %d, '%s'; expected %d and '%s'", i,
                      change->tensor, change->flags, outcome->code, outcome->last_error,
                      change->code, change->error);
        if (change->code == 3) {
            ck_assert_ptr_nonnull(strstr(outcome->last_error, "in.safetensors"));
        }
    }
}

START_TEST(attend_checks_tensors)
{
    static const struct st_tensor set[] = {
        {.name = "q", .type = ST_F32, .dims = 4, .shape = {2, 3, 5, 4}},
        {.name = "k", .type = ST_F64, .dims = 5, .shape = {2, 3, 2, 7, 4}},
        {.name = "v", .type = ST_BF16, .dims = 5, .shape = {2, 3, 1, 7, 6}},
        {.name = "router.weight", .type = ST_F16, .dims = 3, .shape = {3, 2, 4}},
        {.name = "unused", .type = ST_BOOL, .dims = 1, .shape = {1}},
    };
    static const char rates[] = "--rates 1,2";
    static const struct change changes[] = {
        {"other", false, ST_U8, 1, {3}, 0, rates, 0, ""},
        {"router.bias", false, ST_F32, 2, {3, 2}, 0, rates, 0, ""},
        {"key_lengths", false, ST_I64, 1, {2}, 7, rates, 0, ""},
        {"q", false, ST_F32, 4, {2, 3, 0, 4}, 0, rates, 0, ""},
        {"q", true, 0, 0, {0}, 0, rates, 3, "tensor 'q' is missing"},
        {"k", true, 0, 0, {0}, 0, rates, 3, "tensor 'k' is missing"},
        {"v", true, 0, 0, {0}, 0, rates, 3, "tensor 'v' is missing"},
        {"router.weight", true, 0, 0, {0}, 0, rates, 3, "are both missing"},
        {"router.logits", false, ST_F32, 4, {2, 3, 5, 2}, 0, rates, 3, "are both there"},
        {"q", false, ST_F32, 3, {2, 3, 5}, 0, rates, 3, "'q' has the shape [2, 3, 5]; expected [B"},
        {"q", false, ST_F32, 4, {0, 3, 5, 4}, 0, rates, 3, "'q' has the shape [0, 3, 5, 4]"},
        {"q", false, ST_F32, 4, {2, 3, 5, 4}, 0, "--rates 1,2 --routing none", 3, "'q'"},
        {"q", false, ST_I32, 4, {2, 3, 5, 4}, 0, rates, 3, "q"},
        {"k", false, ST_F32, 5, {2, 3, 3, 7, 4}, 0, rates, 3, "H = 2 or 1, m, dk = 4"},
        {"k", false, ST_F32, 5, {2, 3, 2, 7, 5}, 0, rates, 3, "dk = 4"},
        {"k", false, ST_F32, 5, {1, 3, 2, 7, 4}, 0, rates, 3, "B = 2"},
        {"v", false, ST_F32, 5, {2, 3, 2, 8, 6}, 0, rates, 3, "m = 7"},
        {"v", false, ST_F32, 5, {2, 3, 2, 7, 0}, 0, rates, 3, "'v'"},
        {"router.weight", false, ST_F32, 3, {3, 1, 4}, 0, rates, 3, "H = 2, dk = 4"},
        {"router.weight", false, ST_F32, 3, {1, 2, 4}, 0, rates, 3, "G = 3"},
        {"router.bias", false, ST_F32, 2, {3, 3}, 0, rates, 3, "'router.bias'"},
        {"key_lengths", false, ST_I64, 1, {2}, 8, rates, 3, "has the length 8; expected 0 to m"},
        {"key_lengths", false, ST_I64, 1, {2}, -1, rates, 3, "has the length -1"},
        {"key_lengths", false, ST_I64, 1, {3}, 1, rates, 3, "'key_lengths' has the shape [3]"},
        {"key_lengths", false, ST_F32, 1, {2}, 0, rates, 3, "key_lengths"},
        {"query_lengths", false, ST_I64, 1, {2}, 6, rates, 3, "expected 0 to n = 5"},
        {"other", true, 0, 0, {0}, 0, "--rates 1,2,3", 3, "H = 3 or 1"},
        {"other", true, 0, 0, {0}, 0, "--rates 1", 3, "H = 1"},
        {"other", true, 0, 0, {0}, 0, "--attention softmax", 3, "H = 1"},
    };
    try_changes("attend in.safetensors -o out.safetensors", set, ARRAY_SIZE(set), changes,
                ARRAY_SIZE(changes));
}
END_TEST

/* bigbird: as many keys as queries. */
START_TEST(bigbird_is_self_attention)
{
    static const struct st_tensor set[] = {
        {.name = "q", .type = ST_F32, .dims = 4, .shape = {2, 3, 5, 4}},
        {.name = "k", .type = ST_F32, .dims = 5, .shape = {2, 3, 1, 5, 4}},
        {.name = "v", .type = ST_F32, .dims = 5, .shape = {2, 3, 1, 5, 6}},
    };
    static const char bigbird[] = "--attention bigbird --block 2 --global-blocks 0 --window 1 "
                                  "--random-blocks 1 --seed 4294967295";
    static const struct change changes[] = {
        {"other", false, ST_U8, 1, {3}, 0, bigbird, 0, ""},
        {"other", false, ST_U8, 1, {3}, 0, "--attention bigbird", 0, ""},
        {"key_lengths", false, ST_I64, 1, {2}, 5, bigbird, 0, ""},
        {"key_lengths", false, ST_I64, 1, {2}, 6, bigbird, 3, "expected 0 to n = 5"},
        {"k", false, ST_F32, 5, {2, 3, 1, 6, 4}, 0, bigbird, 3, "n = 5"},
        {"v", false, ST_F32, 5, {2, 3, 1, 4, 6}, 0, bigbird, 3, "n = 5"},
        {"k", false, ST_F32, 5, {2, 3, 2, 5, 4}, 0, bigbird, 3, "H = 1"},
    };
    try_changes("attend in.safetensors -o out.safetensors", set, ARRAY_SIZE(set), changes,
                ARRAY_SIZE(changes));
}
END_TEST

START_TEST(run_checks_tokens)
{
    static const struct st_tensor set[] = {
        {.name = "tokens", .type = ST_I64, .dims = 2, .shape = {2, 4}}};
    static const struct change changes[] = {
        {"tokens", false, ST_I64, 2, {2, 4}, 39, "", 0, ""},
        {"lengths", false, ST_I64, 1, {2}, 3, "", 0, ""},
        {"tokens", true, 0, 0, {0}, 0, "", 3, "tensor 'tokens' is missing"},
        {"tokens", false, ST_I64, 2, {2, 4}, 40, "", 3, "row 0, position 0 holds 40; expected"},
        {"tokens", false, ST_I64, 2, {2, 4}, -1, "", 3, "holds -1"},
        {"tokens", false, ST_F32, 2, {2, 4}, 0, "", 3, "tokens"},
        {"tokens", false, ST_I32, 1, {4}, 0, "", 3, "'tokens' has the shape [4]"},
        {"tokens", false, ST_I32, 2, {1, 129}, 0, "", 3, "max_position_embeddings = 128"},
        {"lengths", false, ST_I64, 1, {2}, 5, "", 3, "has the length 5; expected 0 to n = 4"},
        {"lengths", false, ST_I64, 1, {1}, 1, "", 3, "'lengths' has the shape [1]"},
    };
    try_changes("run '" TESTS_DIR "/golden/encoder_adamra' --tokens in.safetensors "
                "-o out.safetensors",
                set, ARRAY_SIZE(set), changes, ARRAY_SIZE(changes));
}
END_TEST

/* ---- files that cannot be read or written ---- */

#define GOLDEN "'" TESTS_DIR "/golden/long_row.safetensors'"

START_TEST(reports_files_it_cannot_use)
{
    program_write("text.safetensors", "this is no tensor file, but it is long enough");
    program_expect(program_run("attend none.safetensors -o y --rates 1"), 1, "none.safetensors");
    program_expect(program_run("attend . -o y --rates 1"), 1, ".");
    program_expect(program_run("attend text.safetensors -o y --rates 1"), 3, "text.safetensors");
    /* devices that never end: their beginning says enough */
    program_expect(program_run("attend /dev/zero -o y --rates 1"), 3, "/dev/zero: header does not");
    program_expect(program_run("attend /dev/stdin -o y --rates 1 </dev/zero"), 3, "/dev/stdin: ");
    program_expect(program_run("attend " GOLDEN " -o none/y --rates 1,4,32"), 1, "none/y");
    program_expect(program_run("attend " GOLDEN " -o /dev/full --rates 1,4,32"), 1, "/dev/full");
}
END_TEST

/* No file that the program opens may stand in for a stream that is closed, and what names such a
 * stream stays. The links are those that /dev/stdin and /dev/stdout are on Linux. */
START_TEST(closed_streams_stay_closed)
{
    static const char links[] = "ln -sf /proc/self/fd/0 in; ln -sf /proc/self/fd/1 out;";
    static const struct {
        const char *arguments;
        int code;
        const char *error;
    } rows[] = {
        {"attend " GOLDEN " -o out --rates 1,4,32 >&-", 1, "out: cannot write: No space left"},
        {"attend " GOLDEN " -o out --rates 1,4,32 <&- >&-", 1, "out: cannot write: No space left"},
        {"attend in -o y --rates 1,4,32 <&-", 3, "in: 0 bytes long"},
        {"devices <&- >&-", 1, "standard output"},
        {"attend " GOLDEN " -o y --rates 1,4,32 <&- >&- 2>&-", 0, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        program_expect(program_run_in(links, rows[i].arguments), rows[i].code, rows[i].error);
    }
    ck_assert_int_eq(readlink(program_path("out"), (char[32]){0}, 32), strlen("/proc/self/fd/1"));
}
END_TEST

/* The new file is made beside the old one, and goes when the run fails. A limit on file sizes would
 * end drivers that keep memory in files; the library's tests set one. */
START_TEST(keeps_the_old_file_when_a_run_fails)
{
    program_write("y", "old");
    program_expect(program_run("attend " GOLDEN " -o y --rates 1,4,32 --max-device-memory 2K"), 1,
                   "2048");
    const struct outcome *outcome = program_run_in("cat y; ls -A | grep -v '^\\.[eo][ru]'; :", "");
    ck_assert_str_eq(outcome->output, "oldy\n");
}
END_TEST

/* Nor is it to replace what it comes from, by whatever name. */
START_TEST(an_output_is_not_the_model)
{
#define ENCODER "'" TESTS_DIR "/golden/encoder_adamra'"
    static const char *const outputs[] = {"own/model.safetensors", "own/config.json", "link"};
    program_expect(program_run_in("mkdir own; cp " ENCODER "/model.safetensors " ENCODER
                                  "/config.json own; ln -s own/model.safetensors link;",
                                  "devices"),
                   0, "");
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
        program_expect(program_run("run own --tokens none -o %s", outputs[i]), 2,
                       "expected another file than the model's");
        program_expect(program_run_in("cmp own/model.safetensors " ENCODER "/model.safetensors &&"
                                      "cmp own/config.json " ENCODER "/config.json &&",
                                      "devices"),
                       0, "");
    }
}
END_TEST

Suite *cli_files_suite(void)
{
    Suite *suite = suite_create("cli_files");
    TCase *files = program_case("files", "program");
    tcase_add_test(files, streams_what_does_not_fit);
    tcase_add_test(files, attend_checks_tensors);
    tcase_add_test(files, bigbird_is_self_attention);
    tcase_add_test(files, run_checks_tokens);
    tcase_add_test(files, reports_files_it_cannot_use);
    tcase_add_test(files, closed_streams_stay_closed);
    tcase_add_test(files, keeps_the_old_file_when_a_run_fails);
    tcase_add_test(files, an_output_is_not_the_model);
    suite_add_tcase(suite, files);
    return suite;
}
