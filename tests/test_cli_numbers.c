/* Numbers that the storage type does not hold, and results that are not finite. */
#include "program.h"
#include <math.h>
#include <string.h>

enum { ROWS = 3, WIDTH = 4, COUNT = ROWS * WIDTH };

struct numbers {
    const char *tensor; /* q, k or v */
    enum st_type type;  /* of that tensor: F32 or F64 */
    uint32_t element;
    double value; /* of that element; others are 1 */
    int64_t keys; /* that are no padding */
    const char *flags;
    int code;
    const char *error; /* part of the last line on standard error */
};

static void write_numbers(const struct numbers *numbers)
{
    static float ones[COUNT], changed[COUNT];
    static double changed64[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        ones[i] = changed[i] = 1;
        changed64[i] = 1;
    }
    changed[numbers->element] = (float)numbers->value;
    changed64[numbers->element] = numbers->value;
    struct st_tensor tensors[] = {
        {.name = "q", .dims = 4, .shape = {1, 1, ROWS, WIDTH}},
        {.name = "k", .dims = 5, .shape = {1, 1, 1, ROWS, WIDTH}},
        {.name = "v", .dims = 5, .shape = {1, 1, 1, ROWS, WIDTH}},
        {.name = "key_lengths", .type = ST_I64, .dims = 1, .shape = {1}, .data = &numbers->keys},
    };
    for (size_t i = 0; i < 3; i++) {
        bool change = !strcmp(tensors[i].name, numbers->tensor);
        tensors[i].type = change ? numbers->type : ST_F32;
        tensors[i].data = !change                   ? (const void *)ones
                          : numbers->type == ST_F64 ? (const void *)changed64
                                                    : (const void *)changed;
        tensors[i].bytes = COUNT * (uint64_t)st_type_bytes(tensors[i].type);
    }
    tensors[3].bytes = sizeof(numbers->keys);
    ck_assert_int_eq(
        st_write(test_logger(), program_path("in"), tensors, ARRAY_SIZE(tensors), NULL, 0),
        STATUS_OK);
}

#define LINEAR  "--attention linear"
#define SOFTMAX "--attention softmax"

static const struct numbers cases[] = {
    {"q", ST_F32, 5, 1e6, 3, LINEAR " --dtype f16", 3,
     "in: tensor 'q': element 5 is 1e+06; expected at most 65504 for 16 bit storage"},
    {"k", ST_F32, 11, -65520, 3, LINEAR " --dtype f16", 3, "tensor 'k': element 11 is -65520"},
    {"v", ST_F64, 0, 1e300, 3, SOFTMAX " --dtype f16", 3, "tensor 'v': element 0 is 1e+300"},
    {"v", ST_F64, 0, 1e300, 3, SOFTMAX, 3,
     "'v': element 0 is 1e+300; expected at most 3.40282e+38 for 32 bit storage"},
    /* what storage holds, and padding */
    {"v", ST_F32, 0, 65519, 3, SOFTMAX " --dtype f16", 0, ""},
    {"v", ST_F32, 0, 1e6, 3, SOFTMAX, 0, ""},
    {"v", ST_F32, 11, 1e6, 2, SOFTMAX " --dtype f16", 0, ""},
    {"k", ST_F64, 11, 1e300, 2, LINEAR, 0, ""},
    /* what the file has itself stays, and shows */
    {"v", ST_F32, 0, INFINITY, 3, SOFTMAX, 0, "out: tensor 'y': 3 of 12 numbers are not finite"},
    {"v", ST_F64, 2, NAN, 3, LINEAR " --dtype f16", 0,
     "3 of 12 numbers are not finite; --dtype f32 has a wider range"},
    {"v", ST_F64, 2, NAN, 3, LINEAR " --quiet", 0, ""},
};

START_TEST(numbers_that_storage_does_not_hold_are_refused)
{
    const struct numbers *numbers = &cases[_i];
    write_numbers(numbers);
    const struct outcome *outcome = program_run("attend in -o out %s", numbers->flags);
    program_expect(outcome, numbers->code, numbers->error);
    if (numbers->code == 0 && !*numbers->error)
        ck_assert_ptr_null(strstr(outcome->errors, "finite"));
}
END_TEST

Suite *cli_numbers_suite(void)
{
    Suite *suite = suite_create("cli_numbers");
    TCase *tests = program_case("cli_numbers", "long");
    tcase_add_loop_test(tests, numbers_that_storage_does_not_hold_are_refused, 0,
                        ARRAY_SIZE(cases));
    suite_add_tcase(suite, tests);
    return suite;
}
