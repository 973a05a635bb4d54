/* safetensors: every refusal, what is read from legal files, conversions. */
#include "suites.h"
#include "support.h"
#include "model/safetensors.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct st_bytes {
    uint8_t *bytes;
    size_t size;
};

/* A file of this header and of zeros; to be freed. */
static struct st_bytes st_bytes_make(const char *header, size_t data_bytes)
{
    size_t length = strlen(header);
    struct st_bytes file = {.size = 8 + length + data_bytes};
    file.bytes = calloc(1, file.size);
    ck_assert_ptr_nonnull(file.bytes);
    for (int i = 0; i < 8; i++)
        file.bytes[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(file.bytes + 8, header, length);
    return file;
}

/* ---- refusals ---- */

/* One tensor, by the inside of its entry. */
#define ONE(entry)                 "{\"a\":{" entry "}}"
#define F32_ENTRY(shape, offsets)  "\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets
#define ONES_8  "1,1,1,1,1,1,1,1"
#define ONES_32 ONES_8 "," ONES_8 "," ONES_8 "," ONES_8
#define F32_TENSOR(shape, offsets) ONE(F32_ENTRY(shape, offsets))
#define TWO(offsets_a, offsets_b)                                                                  \
    "{\"a\":{" F32_ENTRY("[2]", offsets_a) "},\"b\":{" F32_ENTRY("[2]", offsets_b) "}}"

static const struct {
    const char *header;
    size_t data_bytes;
    const char *message;
} header_rows[] = {
    {"", 0, "header does not start with '{'"},
    {" {}", 0, "header does not start with '{'"},
    {"[]", 0, "header does not start with '{'"},
    {"{", 0, "header is not valid JSON"},
    {"{} x", 0, "header is not valid JSON"},
    {"{}{}", 0, "header is not valid JSON"},
    {"{\"a\xff\":{}}", 0, "header is not valid JSON"},
    {"{\"a\\u0000b\":{}}", 0, "header is not valid JSON"},
    {"{\"a\":{},\"a\":{}}", 0, "duplicate object key"},
    {ONE("\"dtype\":\"F32\",\"dtype\":\"F32\""), 0, "duplicate object key"},
    {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate object key"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: key \"k\": expected a string, got 1"},
    {"{\"__metadata__\":{\"k\":null}}", 0, "__metadata__: key \"k\": expected a string"},
    {"{\"__metadata__\":[]}", 0, "__metadata__: expected an object of strings, got []"},
    {"{\"a\":7}", 0, "tensor \"a\": its entry: expected an object"},
    {ONE("\"shape\":[],\"data_offsets\":[0,4]"), 4,
     "tensor \"a\": dtype: expected a string, got no"},
    {ONE("\"dtype\":5,\"shape\":[],\"data_offsets\":[0,4]"), 4, "\"a\": dtype: expected a string"},
    {ONE("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "tensor \"a\": shape: expected a list"},
    {ONE("\"dtype\":\"F32\",\"shape\":[]"), 4, "\"a\": data_offsets: expected two non-negative"},
    {F32_TENSOR("{}", "[0,4]"), 4, "shape: expected a list of non-negative integers, got {}"},
    {F32_TENSOR("4", "[0,4]"), 4, "shape: expected a list of non-negative integers, got 4"},
    {F32_TENSOR("[1.0]", "[0,4]"), 4, "shape: expected a list of non-negative integers, got [1.0]"},
    {F32_TENSOR("[1e0]", "[0,4]"), 4, "shape: expected a list of non-negative integers"},
    {F32_TENSOR("[-1]", "[0,4]"), 4, "shape: expected a list of non-negative integers, got [-1]"},
    {F32_TENSOR("[\"1\"]", "[0,4]"), 4, "shape: expected a list of non-negative integers"},
    {F32_TENSOR("[true]", "[0,4]"), 4, "shape: expected a list of non-negative integers"},
    {F32_TENSOR("[01]", "[0,4]"), 4, "header is not valid JSON"},
    {F32_TENSOR("[+1]", "[0,4]"), 4, "header is not valid JSON"},
    {F32_TENSOR("[0]", "[-0,0]"), 0, "has a minus at its byte 48"},
    {F32_TENSOR("[9223372036854775808]", "[0,4]"), 4, "expected a list of non-negative integers"},
    {F32_TENSOR("[" ONES_32 ",1]", "[0,4]"), 4, "shape has 33 dimensions, expected at most 32"},
    {F32_TENSOR("[4294967296,4294967296]", "[0,4]"), 4, "a size that 64 bits can hold"},
    {F32_TENSOR("[4611686018427387904]", "[0,0]"), 0, "a size that 64 bits can hold"},
    {F32_TENSOR("[2]", "[0,4]"), 4, "F32 of shape [2]: expected 8 bytes, data_offsets say 4"},
    {F32_TENSOR("[]", "[0,8]"), 8, "F32 of shape []: expected 4 bytes, data_offsets say 8"},
    {F32_TENSOR("[0,3]", "[0,4]"), 4, "F32 of shape [0, 3]: expected 0 bytes"},
    {F32_TENSOR("[1]", "[0]"), 4, "data_offsets: expected two non-negative integers, got [0]"},
    {F32_TENSOR("[1]", "[0,4,4]"), 4, "data_offsets: expected two non-negative integers"},
    {F32_TENSOR("[1]", "{}"), 4, "data_offsets: expected two non-negative integers"},
    {F32_TENSOR("[1]", "[0,4.0]"), 4, "data_offsets: expected two non-negative integers"},
    {F32_TENSOR("[1]", "[-4,0]"), 4, "data_offsets: expected two non-negative integers"},
    {F32_TENSOR("[1]", "[4,0]"), 4, "data_offsets: expected begin <= end, got [4,0]"},
    {F32_TENSOR("[1]", "[0,8]"), 4, "data_offsets end at 8, past the end of the data, 4 bytes"},
    {F32_TENSOR("[1]", "[9223372036854775803,9223372036854775807]"), 4, "past the end"},
    {F32_TENSOR("[1]", "[4,8]"), 8,
     "begin at 4, which leaves a hole: expected 0, right behind the"},
    {F32_TENSOR("[1]", "[0,4]"), 8,
     "tensors end at byte 4 of the data, expected its end, at byte 8"},
    {"{}", 4, "tensors end at byte 0 of the data, expected its end"},
    {TWO("[0,8]", "[4,12]"), 12, "\"b\": data_offsets begin at 4, which overlaps: expected 8"},
    {TWO("[0,8]", "[0,8]"), 8, "\"b\": data_offsets begin at 0, which overlaps: expected 8"},
    {TWO("[12,20]", "[0,8]"), 20,
     "\"a\": data_offsets begin at 12, which leaves a hole: expected 8"},
    {"{\"a\":{" F32_ENTRY("[2]", "[0,8]") "},\"z\":{" F32_ENTRY("[0]", "[4,4]") "}}", 8,
     "\"z\": data_offsets begin at 4, which overlaps: expected 8, right behind tensor a"},
    {ONE("\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[2,4]"), 4, "leaves a hole"},
};

static void expect_refusal(const void *bytes, size_t size, const char *message)
{
    struct st_file file;
    const char *error = test_logger()->error;
    status result = st_parse(test_logger(), "a.st", bytes, size, &file);
    ck_assert_msg(result == STATUS_BAD_INPUT, "expected \"%s\", got status %d", message, result);
    ck_assert_msg(strstr(error, message), "expected \"%s\", got: %s", message, error);
    ck_assert_msg(strncmp(error, "a.st: ", 6) == 0, "no path in: %s", error);
}

START_TEST(malformed_headers_are_refused)
{
    struct st_bytes bytes = st_bytes_make(header_rows[_i].header, header_rows[_i].data_bytes);
    expect_refusal(bytes.bytes, bytes.size, header_rows[_i].message);
    free(bytes.bytes);
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    const char *message;
} prefix_rows[] = {
    {"", 0, "0 bytes long, expected a safetensors file of at least 8"},
    {"\2\0\0\0\0\0\0", 7, "7 bytes long"},
    {"\0\0\0\0\0\0\0\0", 8, "header does not start with '{'"},
    {"\2\0\0\0\0\0\0\0{", 9, "header of 2 bytes runs past the end of the file, 9 bytes long"},
    {"\1\xe1\xf5\5\0\0\0\0{}", 10, "header size 100000001, expected at most 100000000"},
    {"\0\xe1\xf5\5\0\0\0\0{}", 10, "header of 100000000 bytes runs past the end"},
    {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "header size 18446744073709551615, expected at"},
    {"\4\0\0\0\0\0\0\0{}\0\0", 12, "header is not valid JSON"},
};

START_TEST(malformed_prefixes_are_refused)
{
    expect_refusal(prefix_rows[_i].bytes, prefix_rows[_i].size, prefix_rows[_i].message);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    struct st_file file;
    struct st_bytes whole = st_bytes_make(TWO("[0,8]", "[8,16]"), 16);
    ck_assert_int_eq(st_parse(test_logger(), "a.st", whole.bytes, whole.size, &file), STATUS_OK);
    st_finish(&file);
    for (size_t size = 0; size < whole.size; size++) {
        char *part = malloc(size + 1); /* so that sanitizers see a read past it */
        ck_assert_ptr_nonnull(part);
        memcpy(part, whole.bytes, size);
        expect_refusal(part, size, "");
        free(part);
    }
    free(whole.bytes);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 1000000 };
    char *header = malloc(DEPTH + 1);
    ck_assert_ptr_nonnull(header);
    memset(header, '[', DEPTH);
    memcpy(header, "{\"a\":", 5);
    header[DEPTH] = '\0';
    struct st_bytes bytes = st_bytes_make(header, 0);
    expect_refusal(bytes.bytes, bytes.size, "header is not valid JSON");
    free(bytes.bytes);
    free(header);
}
END_TEST

/* ---- legal files ---- */

static const struct {
    const char *header;
    size_t data_bytes;
    const char *first; /* name of the tensor that lies first; NULL: no tensor */
} legal_rows[] = {
    {"{}", 0, NULL},
    {"{}      ", 0, NULL},
    {"{\"__metadata__\":{}}", 0, NULL},
    {F32_TENSOR("[]", "[0,4]"), 4, "a"},
    {F32_TENSOR("[0]", "[0,0]"), 0, "a"},
    {F32_TENSOR("[9223372036854775807,0,9223372036854775807]", "[0,0]"), 0, "a"},
    {F32_TENSOR("[1,1,1,1,1,1,1,1]", "[0,4]"), 4, "a"},
    {TWO("[8,16]", "[0,8]") "   ", 16, "b"},
    {"{\"b\":{" F32_ENTRY("[1]", "[0,4]") "},\"z\":{" F32_ENTRY("[0]", "[0,0]") "}}", 4, "z"},
    {"{\"b\":{" F32_ENTRY("[1]", "[0,4]") "},\"z\":{" F32_ENTRY("[0]", "[4,4]") "}}", 4, "b"},
    {ONE("\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]"), 3, "a"},
    {ONE("\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3],\"more\":\"-1\""), 3, "a"},
};

START_TEST(legal_headers_are_read)
{
    struct st_file file;
    struct st_bytes bytes = st_bytes_make(legal_rows[_i].header, legal_rows[_i].data_bytes);
    status result = st_parse(test_logger(), "a.st", bytes.bytes, bytes.size, &file);
    ck_assert_msg(result == STATUS_OK, "%s: %s", legal_rows[_i].header, test_logger()->error);
    ck_assert_int_eq(file.count == 0, legal_rows[_i].first == NULL);
    if (file.count)
        ck_assert_str_eq(file.tensors[0].name, legal_rows[_i].first);
    ck_assert_str_eq(file.path, "a.st");
    st_finish(&file);
    free(bytes.bytes);
}
END_TEST

START_TEST(fields_are_read)
{
    struct st_file file;
    char text[64];
    struct st_bytes bytes =
        st_bytes_make("{\"__metadata__\":{\"k\":\"v\",\"\\u00e9\":\"\"},"
                      "\"one\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[6,14]},"
                      "\"\\u00e6\\n\":{\"dtype\":\"BF16\",\"shape\":[3,1],\"data_offsets\":[0,6]}}",
                      14);
    ck_assert_int_eq(st_parse(test_logger(), "a.st", bytes.bytes, bytes.size, &file), STATUS_OK);
    ck_assert_uint_eq(file.count, 2);
    ck_assert_uint_eq(file.metadata_count, 2);
    ck_assert_str_eq(st_metadata(&file, "k"), "v");
    ck_assert_str_eq(st_metadata(&file, "\xc3\xa9"), "");
    ck_assert_ptr_null(st_metadata(&file, "v"));
    ck_assert_ptr_null(st_find(&file, "two"));
    const struct st_tensor *one = st_find(&file, "one"), *other = st_find(&file, "\xc3\xa6\n");
    ck_assert(one == &file.tensors[1] && other == &file.tensors[0]);
    ck_assert_int_eq(one->type, ST_I64);
    ck_assert_uint_eq(one->dims, 0);
    ck_assert_uint_eq(one->elements, 1);
    ck_assert_uint_eq(one->bytes, 8);
    ck_assert_str_eq(st_shape_text(one, text, sizeof(text)), "[]");
    ck_assert_int_eq(other->type, ST_BF16);
    ck_assert_str_eq(other->type_text, "BF16");
    ck_assert_uint_eq(other->elements, 3);
    ck_assert_str_eq(st_shape_text(other, text, sizeof(text)), "[3, 1]");
    ck_assert_str_eq(st_shape_text(other, text, 4), "[3,");
    ck_assert_ptr_eq(one->data, (const char *)other->data + 6);
    st_finish(&file);
    free(bytes.bytes);
}
END_TEST

static const struct {
    const char *path;
    status expected;
} file_rows[] = {
    {"golden/tiny_head.safetensors", STATUS_OK},
    {"golden/no such file", STATUS_IO},
    {"golden", STATUS_IO},
    {"main.c", STATUS_BAD_INPUT},
};

START_TEST(files_are_opened)
{
    struct st_file file;
    const char *path = test_path(file_rows[_i].path);
    status result = st_open(test_logger(), path, &file);
    ck_assert_msg(result == file_rows[_i].expected, "%s: %s", path, test_logger()->error);
    if (result != STATUS_OK) {
        ck_assert_ptr_nonnull(strstr(test_logger()->error, path));
        return;
    }
    const struct st_tensor *q = st_find(&file, "q");
    ck_assert_ptr_nonnull(q);
    float value;
    ck_assert_int_eq(st_read_floats(test_logger(), &file, q, q->elements - 1, 1, &value),
                     STATUS_OK);
    ck_assert(isfinite(value));
    st_finish(&file);
}
END_TEST

/* ---- numbers ---- */

/* Little-endian bytes of a tensor of two elements, at an odd address, and what they are. */
static const struct {
    enum st_type type;
    const char *bytes;
    double values[2];
} number_rows[] = {
    {ST_F16, "\x00\x3c\x01\x80", {1, -0x1p-24}},
    {ST_BF16, "\x80\x3f\x01\xc0", {1, -2.015625}},
    {ST_F32, "\xdb\x0f\x49\x40\x01\x00\x00\x80", {0x1.921fb6p+1, -0x1p-149}},
    {ST_F64, "\x18\x2d\x44\x54\xfb\x21\x09\x40\0\0\0\0\0\0\xf0\x7f", {0x1.921fb6p+1, INFINITY}},
    {ST_I32, "\xff\xff\xff\xff\xff\xff\xff\x7f", {-1, INT32_MAX}},
    {ST_I64, "\xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\1\0\0\0", {-2, 4294967296.0}},
};

START_TEST(numbers_are_converted)
{
    uint32_t width = st_type_bytes(number_rows[_i].type);
    char bytes[17];
    memcpy(bytes + 1, number_rows[_i].bytes, 2 * width);
    struct st_file file = {.path = "a.st"};
    struct st_tensor tensor = {.name = "t",
                               .type = number_rows[_i].type,
                               .elements = 2,
                               .data = bytes + 1,
                               .bytes = 2 * width};
    tensor.type_text = st_type_name(tensor.type);
    bool is_float = tensor.type != ST_I32 && tensor.type != ST_I64;
    for (uint32_t i = 0; i < 2; i++) {
        float value;
        int64_t integer;
        status floats = st_read_floats(test_logger(), &file, &tensor, i, 1, &value);
        status ints = st_read_ints(test_logger(), &file, &tensor, i, 1, &integer);
        ck_assert_int_eq(floats, is_float ? STATUS_OK : STATUS_BAD_INPUT);
        ck_assert_int_eq(ints, is_float ? STATUS_BAD_INPUT : STATUS_OK);
        ck_assert_double_eq(is_float ? (double)value : (double)integer, number_rows[_i].values[i]);
    }
}
END_TEST

/* Longer than what is converted at once, from an odd address. */
START_TEST(long_rows_of_halves_are_converted)
{
    enum { COUNT = 5000 };
    uint8_t *bytes = malloc(2 * COUNT + 1);
    float *values = malloc(COUNT * sizeof(*values));
    ck_assert(bytes && values);
    for (uint32_t i = 0; i < COUNT; i++) {
        bytes[1 + 2 * i] = (uint8_t)i;
        bytes[2 + 2 * i] = (uint8_t)(i >> 8);
    }
    struct st_file file = {.path = "a.st"};
    struct st_tensor tensor = {
        .name = "t", .type = ST_F16, .elements = COUNT, .data = bytes + 1, .bytes = 2 * COUNT};
    ck_assert_int_eq(st_read_floats(NULL, &file, &tensor, 3, COUNT - 3, values), STATUS_OK);
    for (uint32_t i = 3; i < COUNT; i++)
        ck_assert_float_eq(values[i - 3], half_to_float((uint16_t)i));
    free(values);
    free(bytes);
}
END_TEST

START_TEST(types_that_are_not_numbers_are_refused_when_read)
{
    struct st_file file;
    float value;
    struct st_bytes bytes =
        st_bytes_make(ONE("\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]"), 8);
    ck_assert_int_eq(st_parse(test_logger(), "a.st", bytes.bytes, bytes.size, &file), STATUS_OK);
    ck_assert_int_eq(file.tensors[0].type, ST_UNKNOWN);
    ck_assert_int_eq(st_read_floats(test_logger(), &file, &file.tensors[0], 0, 1, &value),
                     STATUS_BAD_INPUT);
    ck_assert_str_eq(test_logger()->error,
                     "a.st: tensor \"a\" is of dtype C64, expected F32, F16, BF16 or F64");
    st_finish(&file);
    free(bytes.bytes);
}
END_TEST

Suite *safetensors_suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *refusals = tcase_create("refusals");
    tcase_add_loop_test(refusals, malformed_headers_are_refused, 0, ARRAY_SIZE(header_rows));
    tcase_add_loop_test(refusals, malformed_prefixes_are_refused, 0, ARRAY_SIZE(prefix_rows));
    tcase_add_test(refusals, every_truncation_is_refused);
    tcase_add_test(refusals, deep_nesting_is_refused);
    suite_add_tcase(suite, refusals);
    TCase *legal = tcase_create("legal");
    tcase_add_loop_test(legal, legal_headers_are_read, 0, ARRAY_SIZE(legal_rows));
    tcase_add_test(legal, fields_are_read);
    tcase_add_loop_test(legal, files_are_opened, 0, ARRAY_SIZE(file_rows));
    suite_add_tcase(suite, legal);
    TCase *numbers = tcase_create("numbers");
    tcase_add_loop_test(numbers, numbers_are_converted, 0, ARRAY_SIZE(number_rows));
    tcase_add_test(numbers, long_rows_of_halves_are_converted);
    tcase_add_test(numbers, types_that_are_not_numbers_are_refused_when_read);
    suite_add_tcase(suite, numbers);
    return suite;
}
