/* api: what listing devices, contexts and buffers refuse, and what they take. */
#include "gpu/gpu.h"
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

#define BYTES 64 /* of the buffer that is read and written */

static adamra_context *context;
static adamra_buffer *buffer;

static void open_buffer(void)
{
    const adamra_context_params params = test_context_params();
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_create(context, BYTES, &buffer), ADAMRA_OK);
}

static void close_buffer(void)
{
    const uint32_t errors = adamra_validation_errors(context);
    adamra_buffer_destroy(buffer);
    adamra_context_destroy(context);
    ck_assert_uint_eq(errors, 0);
}

static void expect(const char *what, adamra_status found, adamra_status expected,
                   const char *message)
{
    ck_assert_msg(found == expected && (!message || strstr(adamra_error(context), message)),
                  "%s: %s, '%s'; expected %s, '%s'", what, adamra_status_text(found),
                  adamra_error(context), adamra_status_text(expected), message ? message : "");
}

/* ---- buffers ---- */

/* Ranges of the buffer, copied both ways; message NULL: it is one. */
static const struct {
    uint64_t offset, bytes;
    bool null;
    const char *message;
} ranges[] = {
    {0, BYTES, false, NULL},
    {BYTES - 1, 1, false, NULL},
    {3, 5, false, NULL},
    {BYTES, 0, false, NULL},
    {0, 0, true, NULL}, /* of no bytes nothing is read */
    {0, 1, true, "data: expected a pointer, got NULL"},
    {0, BYTES + 1, false, "offset 0, bytes 65: expected a range within the buffer's 64 bytes"},
    {BYTES, 1, false, "offset 64, bytes 1: expected a range"},
    {BYTES + 1, 0, false, "offset 65, bytes 0: expected a range"},
    {BYTES / 2, BYTES, false, "offset 32, bytes 64: expected a range"},
    {UINT64_MAX, 1, false, "offset 18446744073709551615, bytes 1: expected a range"},
    {1, UINT64_MAX, false, "offset 1, bytes 18446744073709551615: expected a range"},
    {UINT64_MAX - 15, 16, false, "expected a range"}, /* their sum is 0 */
};

START_TEST(ranges_are_checked)
{
    static uint8_t data[BYTES + 1];
    void *at = ranges[_i].null ? NULL : data;
    const adamra_status code = ranges[_i].message ? ADAMRA_INVALID_ARGUMENT : ADAMRA_OK;
    const uint64_t offset = ranges[_i].offset, bytes = ranges[_i].bytes;
    expect("write", adamra_buffer_write(buffer, offset, at, bytes), code, ranges[_i].message);
    expect("write to NULL", adamra_buffer_write(NULL, 0, data, 1), ADAMRA_INVALID_ARGUMENT, NULL);
    expect("read", adamra_buffer_read(buffer, offset, at, bytes), code, ranges[_i].message);
    expect("read from NULL", adamra_buffer_read(NULL, 0, data, 1), ADAMRA_INVALID_ARGUMENT, NULL);
}
END_TEST

/* What is refused copies nothing; what is not copies just its range. */
START_TEST(ranges_are_kept_to)
{
    uint8_t whole[BYTES], data[BYTES], expected[BYTES];
    memset(whole, 1, sizeof(whole));
    memset(data, 2, sizeof(data));
    memcpy(expected, whole, sizeof(expected));
    memset(expected + 3, 2, 5);
    ck_assert_int_eq(adamra_buffer_write(buffer, 0, whole, BYTES), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_write(buffer, 3, data, 5), ADAMRA_OK);
    ck_assert_int_ne(adamra_buffer_write(buffer, BYTES / 2, data, BYTES), ADAMRA_OK);
    ck_assert_int_eq(adamra_buffer_read(buffer, 0, data, BYTES), ADAMRA_OK);
    ck_assert_mem_eq(data, expected, BYTES);
    ck_assert_int_ne(adamra_buffer_read(buffer, 1, whole, BYTES), ADAMRA_OK);
    for (size_t i = 0; i < BYTES; i++)
        ck_assert_uint_eq(whole[i], 1);
}
END_TEST

START_TEST(buffers_are_created_or_refused)
{
    adamra_buffer *made = buffer;
    expect("no context", adamra_buffer_create(NULL, 16, &made), ADAMRA_INVALID_ARGUMENT, NULL);
    expect("no out", adamra_buffer_create(context, 16, NULL), ADAMRA_INVALID_ARGUMENT,
           "out: expected a pointer, got NULL");
    expect("too large", adamra_buffer_create(context, UINT64_MAX, &made),
           ADAMRA_OUT_OF_DEVICE_MEMORY, "memory");
    ck_assert_ptr_null(made);
    expect("nothing", adamra_buffer_create(context, 0, &made), ADAMRA_OK, NULL);
    expect("past nothing", adamra_buffer_write(made, 0, "", 1), ADAMRA_INVALID_ARGUMENT,
           "within the buffer's 0 bytes");
    adamra_buffer_destroy(made);
    adamra_buffer_destroy(NULL);
}
END_TEST

#define STORAGE VK_BUFFER_USAGE_STORAGE_BUFFER_BIT

/* The handle is never used: each of these is refused before. */
static const struct {
    uintptr_t handle;
    uint64_t size;
    VkBufferUsageFlags usage;
    const char *message;
} wrong_wraps[] = {
    {0, 16, STORAGE, "buffer: expected a Vulkan buffer, got VK_NULL_HANDLE"},
    {1, 0, STORAGE, "size: expected at least 16 and a multiple of 4, got 0"},
    {1, 8, STORAGE, "size: expected at least 16 and a multiple of 4, got 8"},
    {1, 18, STORAGE, "size: expected at least 16 and a multiple of 4, got 18"},
    {1, 16, 0, "usage: expected VK_BUFFER_USAGE_STORAGE_BUFFER_BIT among the bits, got 0x0"},
    {1, 16, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, "usage: expected VK_BUFFER_USAGE_STORAGE"},
};

START_TEST(wrapped_buffers_are_checked)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong_wraps); i++) {
        adamra_buffer *made = buffer;
        expect("wrap",
               adamra_buffer_wrap(context, (VkBuffer)wrong_wraps[i].handle, wrong_wraps[i].size,
                                  wrong_wraps[i].usage, &made),
               ADAMRA_INVALID_ARGUMENT, wrong_wraps[i].message);
        ck_assert_ptr_null(made);
    }
    adamra_buffer *made;
    const VkBuffer handle = (VkBuffer)(uintptr_t)1;
    expect("no context", adamra_buffer_wrap(NULL, handle, 16, STORAGE, &made),
           ADAMRA_INVALID_ARGUMENT, NULL);
    expect("no out", adamra_buffer_wrap(context, handle, 16, STORAGE, NULL),
           ADAMRA_INVALID_ARGUMENT, "out: expected a pointer, got NULL");
}
END_TEST

/* ---- devices and contexts ---- */

static char said[1024];

static void keep_line(void *user, adamra_log_level level, const char *text)
{
    ck_assert_ptr_eq(user, said);
    if (level == ADAMRA_LOG_ERROR)
        strncpy(said, text, sizeof(said) - 1);
}

/* No entry past those that the caller has is written, and the number is that of all. */
START_TEST(devices_fill_what_there_is)
{
    uint32_t count = 0, listed;
    ck_assert_int_eq(adamra_devices(NULL, &count, NULL, NULL), ADAMRA_OK);
    ck_assert_uint_gt(count, 0);
    adamra_device_info *infos = malloc((count + 1) * sizeof(*infos));
    ck_assert_ptr_nonnull(infos);
    for (uint32_t room = 0; room <= count + 1; room++) {
        memset(infos, 0x55, (count + 1) * sizeof(*infos));
        listed = room;
        ck_assert_int_eq(adamra_devices(infos, &listed, NULL, NULL), ADAMRA_OK);
        ck_assert_uint_eq(listed, count);
        for (uint32_t i = 0; i <= count; i++) {
            if (i < room && i < count)
                ck_assert(infos[i].index == i && strlen(infos[i].name) > 0);
            else
                ck_assert_uint_eq(infos[i].index, 0x55555555);
        }
    }
    free(infos);
    said[0] = 0;
    ck_assert_int_eq(adamra_devices(NULL, NULL, keep_line, said), ADAMRA_INVALID_ARGUMENT);
    ck_assert_str_eq(said, "count: expected a pointer, got NULL");
    ck_assert_int_eq(adamra_devices(NULL, NULL, NULL, NULL), ADAMRA_INVALID_ARGUMENT);
}
END_TEST

START_TEST(contexts_accept_null)
{
    const adamra_context_params params = {.log = keep_line, .user = said};
    adamra_device_info info;
    said[0] = 0;
    ck_assert_int_eq(adamra_context_create(&params, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_str_eq(said, "out: expected a pointer, got NULL");
    ck_assert_int_eq(adamra_context_create(NULL, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_context_device(NULL, &info), ADAMRA_INVALID_ARGUMENT);
    ck_assert_int_eq(adamra_context_device(context, NULL), ADAMRA_INVALID_ARGUMENT);
    ck_assert_str_eq(adamra_error(context), "info: expected a pointer, got NULL");
    ck_assert_int_eq(adamra_context_device(context, &info), ADAMRA_OK);
    ck_assert_uint_gt(strlen(info.name), 0);
    ck_assert_str_eq(adamra_error(NULL), "");
    ck_assert_uint_eq(adamra_validation_errors(NULL), 0);
    adamra_cancel(NULL);
    adamra_context_destroy(NULL);
}
END_TEST

START_TEST(versions_agree)
{
    char numbers[32];
    snprintf(numbers, sizeof(numbers), "%d.%d.%d", ADAMRA_VERSION_MAJOR, ADAMRA_VERSION_MINOR,
             ADAMRA_VERSION_PATCH);
    ck_assert_str_eq(numbers, ADAMRA_VERSION);
    ck_assert_str_eq(adamra_version(), ADAMRA_VERSION);
    ck_assert_str_eq(PROJECT_VERSION, ADAMRA_VERSION);
}
END_TEST

Suite *api_suite(void)
{
    Suite *suite = suite_create("api");
    TCase *tests = tcase_create("buffers");
    tcase_add_unchecked_fixture(tests, open_buffer, close_buffer);
    tcase_add_loop_test(tests, ranges_are_checked, 0, ARRAY_SIZE(ranges));
    tcase_add_test(tests, ranges_are_kept_to);
    tcase_add_test(tests, buffers_are_created_or_refused);
    tcase_add_test(tests, wrapped_buffers_are_checked);
    suite_add_tcase(suite, tests);
    tests = tcase_create("contexts");
    tcase_add_unchecked_fixture(tests, open_buffer, close_buffer);
    tcase_add_test(tests, devices_fill_what_there_is);
    tcase_add_test(tests, contexts_accept_null);
    tcase_add_test(tests, versions_agree);
    suite_add_tcase(suite, tests);
    return suite;
}
