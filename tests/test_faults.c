/* faults: every call of Vulkan's and of malloc's fails once, at every place where it can, while a
 * context is opened and while it works. Each time there is one status with one line that says why,
 * nothing is lost, and what failed works when it is done again; but for a lost device, of which
 * all that follows fails. */
#include "api/context.h"
#include "attention_cases.h"
#include "faults.h"
#include "faults_work.h"
#include "model_cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct failure {
    VkResult result;
    adamra_status status;
} failures[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, ADAMRA_OUT_OF_HOST_MEMORY},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, ADAMRA_OUT_OF_DEVICE_MEMORY},
    {VK_ERROR_DEVICE_LOST, ADAMRA_DEVICE_LOST},
    {VK_ERROR_INITIALIZATION_FAILED, ADAMRA_DRIVER},
    {VK_ERROR_MEMORY_MAP_FAILED, ADAMRA_DRIVER},
    {VK_ERROR_OUT_OF_POOL_MEMORY, ADAMRA_OUT_OF_DEVICE_MEMORY},
};

static char log_text[1024]; /* the last error line */
static uint32_t log_lines;  /* their number */

static void keep_errors(void *user, adamra_log_level level, const char *text)
{
    (void)user;
    if (level != ADAMRA_LOG_ERROR)
        return;
    log_lines++;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

/* ---- one failure ---- */

/* Calls whose failure is no failure of what was asked for. */
static bool is_optional(const char *name)
{
    static const char *const names[] = {"vkDeviceWaitIdle", "vkEnumerateInstanceLayerProperties",
                                        "vkEnumerateInstanceExtensionProperties",
                                        "vkGetPipelineCacheData", "vkWaitForFences"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static adamra_status status_of(VkResult error)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        if (failures[i].result == error)
            return failures[i].status;
    return ADAMRA_OK;
}

/* The code that says of a failure what it was, and one line of text. */
static void check_failure(adamra_status code, VkResult error, const char *text, const char *where)
{
    const char *name = faults_failed();
    bool memory = strcmp(name, "vkAllocateMemory") == 0 && code == ADAMRA_OUT_OF_DEVICE_MEMORY;
    bool none = strcmp(name, "vkEnumeratePhysicalDevices") == 0 && code == ADAMRA_NO_DEVICE;
    ck_assert_msg(code == status_of(error) || memory || none, "%s, %s fails with %d: %s (%s)",
                  where, name, (int)error, adamra_status_text(code), text);
    ck_assert_msg(text[0] && !strchr(text, '\n'), "%s, %s: '%s'", where, name, text);
}

/* ---- opening a context ---- */

/* Opens a context with one failure; false: it had no call of that number. */
static bool open_with(const adamra_context_params *params, uint32_t classes, uint32_t index,
                      VkResult error)
{
    adamra_context *context = NULL;
    log_lines = 0;
    faults_arm(classes, index, error);
    adamra_status code = adamra_context_create(params, &context);
    faults_disarm();
    if (!faults_failed() || code == ADAMRA_OK) {
        ck_assert_msg(!faults_failed() || is_optional(faults_failed()) || classes == FAULT_HOST,
                      "%s failed, and nobody said so", faults_failed());
        ck_assert_int_eq(code, ADAMRA_OK);
        adamra_context_destroy(context);
    } else {
        ck_assert_ptr_null(context);
        ck_assert_msg(log_lines == 1, "%s: %u lines", faults_failed(), log_lines);
        check_failure(code, error, log_text, "open");
    }
    ck_assert_msg(faults_alive() == 0, "%s: %d objects are left", faults_failed(), faults_alive());
    return faults_failed() != NULL;
}

START_TEST(opening_a_context)
{
    const adamra_context_params params = {.log = keep_errors, .validate = _i % 2};
    faults_watch(true);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        for (uint32_t index = 0; open_with(&params, FAULT_OPEN | FAULT_PIPELINE | FAULT_DEVICE,
                                           index, failures[i].result);)
            index++;
    for (uint32_t index = 0; open_with(&params, FAULT_HOST, index, VK_ERROR_OUT_OF_HOST_MEMORY);)
        index++;
    faults_watch(false);
    ck_assert_ptr_null(faults_misuse());
}
END_TEST

/* Lists devices with one failure, of Vulkan's or of malloc's. */
static bool list_with(uint32_t classes, uint32_t index, VkResult error)
{
    uint32_t count = 0;
    faults_arm(classes, index, error);
    adamra_status code = adamra_devices(NULL, &count, keep_errors, NULL);
    faults_disarm();
    if (!faults_failed() || code == ADAMRA_OK)
        ck_assert(code == ADAMRA_OK && (count > 0 || faults_failed()));
    else
        check_failure(code, error, log_text, "list");
    ck_assert_int_eq(faults_alive(), 0);
    return faults_failed() != NULL;
}

START_TEST(listing_devices)
{
    faults_watch(true);
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        for (uint32_t index = 0; list_with(FAULT_OPEN, index, failures[i].result);)
            index++;
    for (uint32_t index = 0; list_with(FAULT_HOST, index, VK_ERROR_OUT_OF_HOST_MEMORY);)
        index++;
    faults_watch(false);
}
END_TEST

/* ---- working ---- */

static adamra_context *open_watched(bool unified)
{
    adamra_context *context = NULL;
    faults_watch(true);
    ck_assert_int_eq(adamra_context_create(NULL, &context), ADAMRA_OK);
    faults_watch(false);
    /* Else copies through staging buffers are not made on devices that need none. */
    context->device->features.unified = unified;
    return context;
}

/* Does the work, once more where it fails. *text: the line of the first failure. Between arming and
 * disarming nothing of Check's is called: it allocates too. */
static adamra_status do_work(struct work *work, char *text, size_t size)
{
    adamra_status first = ADAMRA_OK, code = ADAMRA_OK;
    for (const work_step *step = work->kind->steps; *step && !code; step++) {
        code = (*step)(work);
        if (!code || first)
            continue;
        first = code;
        snprintf(text, size, "%s", adamra_error(work->context));
        if (first == ADAMRA_DEVICE_LOST)
            break;
        faults_disarm();
        code = (*step)(work);
    }
    if (first == ADAMRA_DEVICE_LOST)
        return first;
    faults_disarm();
    ck_assert_msg(!code, "%s, after %s had failed: %s", work->kind->name, faults_failed(),
                  adamra_error(work->context));
    ck_assert_msg(work_is_right(work), "%s, %s: wrong", work->kind->name, faults_failed());
    return first;
}

/* The work with one failure; false: it had no call of that number. */
static bool work_with(struct work *work, uint32_t classes, uint32_t index, VkResult error)
{
    char text[1024] = "";
    faults_arm(classes, index, error);
    adamra_status code = do_work(work, text, sizeof(text));
    const char *name = faults_failed();
    if (code)
        check_failure(code, error, text, work->kind->name);
    else
        ck_assert_msg(!name || is_optional(name) || classes == FAULT_HOST,
                      "%s: %s failed, and nobody said so", work->kind->name, name);
    work_release(work);
    ck_assert_msg(!faults_misuse(), "%s, %s: %s of what is in use", work->kind->name, name,
                  faults_misuse());
    uint64_t used = gpu_memory_used(work->context->device);
    ck_assert_msg(used == 0, "%s, %s: %llu bytes are left", work->kind->name, name,
                  (unsigned long long)used);
    return name != NULL;
}

/* Compiles all pipelines anew. */
static void drop_pipelines(adamra_context *context)
{
    gpu_pipelines_destroy(context->device);
    ck_assert_int_eq(gpu_pipelines_create(context->device), STATUS_OK);
}

/* The kinds of work in turn: over mapped memory, then through staging buffers. */
START_TEST(working)
{
    adamra_context *context = open_watched((uint32_t)_i < work_count);
    struct work work;
    work_init(&work, &work_kinds[(uint32_t)_i % work_count], context);
    work_with(&work, 0, 0, VK_SUCCESS);
    int32_t alive = faults_alive();
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        VkResult error = failures[i].result;
        for (uint32_t index = 0; error != VK_ERROR_DEVICE_LOST &&
                                 work_with(&work, FAULT_OPEN | FAULT_DEVICE, index, error);)
            index++;
    }
    for (uint32_t index = 0; work_with(&work, FAULT_HOST, index, VK_ERROR_OUT_OF_HOST_MEMORY);)
        index++;
    ck_assert_msg(faults_alive() == alive, "%s: %d objects at first, %d in the end",
                  work.kind->name, alive, faults_alive());
    work_finish(&work);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
}
END_TEST

/* Pipelines are compiled with failures, and by the next run. */
START_TEST(compiling)
{
    static const VkResult errors[] = {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY};
    adamra_context *context = open_watched(true);
    struct work work;
    work_init(&work, &work_kinds[_i], context);
    /* A model compiles many: once is enough. */
    for (size_t i = 0; i < (work.kind->attention ? ARRAY_SIZE(errors) : 1); i++)
        for (uint32_t index = 0; work_with(&work, FAULT_PIPELINE, index, errors[i]); index++)
            drop_pipelines(context);
    work_finish(&work);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
}
END_TEST

/* ---- a lost device ---- */

static bool lose(const struct work_kind *kind, bool unified, uint32_t index)
{
    adamra_context *context = open_watched(unified);
    struct work work;
    char text[1024] = "";
    uint32_t others = 0;
    work_init(&work, kind, context);
    faults_arm(FAULT_DEVICE, index, VK_ERROR_DEVICE_LOST);
    adamra_status code = do_work(&work, text, sizeof(text));
    if (code)
        others = work_others_than(&work, ADAMRA_DEVICE_LOST);
    const char *name = faults_failed();
    work_release(&work);
    adamra_context_destroy(context);
    faults_disarm();
    if (name) {
        check_failure(code, VK_ERROR_DEVICE_LOST, text, kind->name);
        ck_assert_msg(others == 0, "%s, %s: %u calls did not say that the device is lost",
                      kind->name, name, others);
    }
    work_finish(&work);
    ck_assert_msg(!faults_misuse(), "%s, %s: %s of what is in use", kind->name, name,
                  faults_misuse());
    ck_assert_msg(faults_alive() == 0, "%s, %s: %d objects are left", kind->name, name,
                  faults_alive());
    return name != NULL;
}

START_TEST(losing_the_device)
{
    for (uint32_t index = 0; lose(&work_kinds[_i], true, index);)
        index++;
}
END_TEST

/* Also between the submissions that copy. Every list of dispatches is lost in the same way, so one
 * kind of attention will do. */
START_TEST(losing_the_device_while_copying)
{
    static const char *const names[] = {"adamra", "buffers", "model"};
    for (uint32_t i = 0; i < work_count; i++) {
        bool chosen = strcmp(work_kinds[i].name, names[_i]) == 0;
        for (uint32_t index = 0; chosen && lose(&work_kinds[i], false, index);)
            index++;
    }
}
END_TEST

START_TEST(failures_were_many)
{
    printf("%u calls were made to fail\n", faults_total());
    ck_assert_uint_gt(faults_total(), 1000);
}
END_TEST

Suite *faults_suite(void)
{
    Suite *suite = suite_create("faults");
    TCase *open = tcase_create("open"), *work = tcase_create("work"), *end = tcase_create("end");
    tcase_add_checked_fixture(open, faults_reset, NULL);
    tcase_add_checked_fixture(work, faults_reset, NULL);
    tcase_add_loop_test(open, opening_a_context, 0, 2);
    tcase_add_test(open, listing_devices);
    tcase_add_loop_test(work, working, 0, (int)(2 * work_count));
    tcase_add_loop_test(work, compiling, 0, (int)work_count);
    tcase_add_loop_test(work, losing_the_device, 0, (int)work_count);
    tcase_add_loop_test(work, losing_the_device_while_copying, 0, 3);
    tcase_add_test(end, failures_were_many);
    suite_add_tcase(suite, open);
    suite_add_tcase(suite, work);
    suite_add_tcase(suite, end);
    return suite;
}
