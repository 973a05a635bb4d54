/* faults: every call of Vulkan's and of malloc's fails once, at every place where it can. Each time
 * there is one status with one line that says why, and but for a lost device nothing is lost. */
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

/* Calls whose failure is no failure of what was asked for, or of memory that is asked for again. */
static bool is_optional(const char *name, VkResult error)
{
    static const char *const names[] = {"vkDeviceWaitIdle", "vkEnumerateInstanceLayerProperties",
                                        "vkEnumerateInstanceExtensionProperties", "vkWaitForFences",
                                        "vkGetPipelineCacheData", "vkAllocateMemory"};
    bool optional = !strcmp(name, "vkMapMemory") && error == VK_ERROR_MEMORY_MAP_FAILED;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        optional = optional || !strcmp(names[i], name);
    return optional;
}

static adamra_status status_of(VkResult error)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
        if (failures[i].result == error)
            return failures[i].status;
    return ADAMRA_OK;
}

/* Where memory of a run cannot be imported, the engine copies. */
static bool is_import(const char *name)
{
    return !strcmp(name, "vkAllocateMemory") || !strcmp(name, "vkBindBufferMemory") ||
           !strcmp(name, "vkCreateBuffer") || !strcmp(name, "vkGetMemoryHostPointerPropertiesEXT");
}

/* The code that says of a failure what it was, and one line of text, which names the call. */
static void check_failure(adamra_status code, VkResult error, const char *text, const char *where)
{
    const char *name = faults_failed();
    bool memory = code == ADAMRA_OUT_OF_DEVICE_MEMORY &&
                  (!strcmp(name, "vkAllocateMemory") || error == VK_ERROR_MEMORY_MAP_FAILED);
    bool none = strcmp(name, "vkEnumeratePhysicalDevices") == 0 && code == ADAMRA_NO_DEVICE;
    ck_assert_msg(code == status_of(error) || memory || none, "%s, %s fails with %d: %s (%s)",
                  where, name, (int)error, adamra_status_text(code), text);
    bool named = none || memory || is_import(name) || strncmp(name, "vk", 2) || strstr(text, name);
    ck_assert_msg(text[0] && !strchr(text, '\n') && (named || error == VK_ERROR_DEVICE_LOST),
                  "%s, %s: '%s'", where, name, text);
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
        ck_assert_msg(!faults_failed() || is_optional(faults_failed(), error) ||
                          classes == FAULT_HOST,
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

#define MEMORY ((uint64_t)16 << 20) /* enough for any kind of work */

/* Failures so far of each kind of work, for the report. */
static uint32_t failed[32];

static void count_failures(const struct work_kind *kind, uint32_t before)
{
    ck_assert_uint_le(work_count, ARRAY_SIZE(failed));
    failed[kind - work_kinds] += faults_total() - before;
}

static adamra_context *open_watched(const struct work_kind *kind, bool unified, uint64_t memory)
{
    const adamra_context_params params = {.max_device_memory =
                                              kind->memory ? kind->memory : memory};
    adamra_context *context = NULL;
    faults_keep_coherent(kind->imports);
    faults_expect_overlap(kind->overlaps);
    faults_watch(true);
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    faults_watch(false);
    /* Else copies through staging buffers are not made on devices that need none. */
    context->device->features.unified = unified;
    if (context->device->limits.texel_elements < 1 << 24) /* others compile for seconds there */
        adamra_context_force(context, "tile");
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
        ck_assert_msg(!name || is_optional(name, error) || classes == FAULT_HOST ||
                          (work->kind->imports && is_import(name)) ||
                          (work->kind->slices && status_of(error) == ADAMRA_OUT_OF_DEVICE_MEMORY),
                      "%s: %s failed, and nobody said so", work->kind->name, name);
    work_release(work);
    ck_assert_msg(!faults_misuse(), "%s, %s: %s of what is in use", work->kind->name, name,
                  faults_misuse());
    uint64_t used = gpu_memory_used(work->context->device);
    ck_assert_msg(used == 0, "%s, %s: %llu bytes are left", work->kind->name, name,
                  (unsigned long long)used);
    return name != NULL;
}

/* Whatever memory there is, all is done as ever or there is too little, which leaves nothing. */
static void bound_memory(struct work *work)
{
    adamra_status code = ADAMRA_OUT_OF_DEVICE_MEMORY;
    for (uint64_t bytes = 1 << 10; bytes <= MEMORY; bytes *= 2) {
        work->context->device->max_memory = bytes;
        code = ADAMRA_OK;
        for (const work_step *step = work->kind->steps; *step && !code; step++)
            code = (*step)(work);
        ck_assert_msg(!code || code == ADAMRA_OUT_OF_DEVICE_MEMORY, "%s in %llu bytes: %s",
                      work->kind->name, (unsigned long long)bytes, adamra_error(work->context));
        ck_assert_msg(code || work_is_right(work), "%s in %llu bytes: wrong", work->kind->name,
                      (unsigned long long)bytes);
        work_release(work);
        ck_assert_uint_eq(gpu_memory_used(work->context->device), 0);
    }
    ck_assert_msg(!code, "%s: %s", work->kind->name, adamra_error(work->context));
}

/* The pieces of a stream make the same calls: of all but the first ones some will do. */
static uint32_t next_index(const struct work_kind *kind, uint32_t index)
{
    return index + (kind->overlaps && index > 60 ? 7 : 1);
}

/* Compiles all pipelines anew. */
static void drop_pipelines(adamra_context *context)
{
    gpu_pipelines_destroy(context->device);
    ck_assert_int_eq(gpu_pipelines_create(context->device), STATUS_OK);
}

/* The kinds of work in turn: over mapped memory, then through staging buffers (no imports). */
START_TEST(working)
{
    const struct work_kind *kind = &work_kinds[(uint32_t)_i % work_count];
    const bool unified = (uint32_t)_i < work_count;
    const uint32_t before = faults_total();
    if (kind->imports && !unified)
        return;
    adamra_context *context = open_watched(kind, unified, 0);
    struct work work;
    work_init(&work, kind, context);
    work_with(&work, 0, 0, VK_SUCCESS);
    int32_t alive = faults_alive();
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        VkResult error = failures[i].result;
        for (uint32_t index = 0; error != VK_ERROR_DEVICE_LOST &&
                                 work_with(&work, FAULT_OPEN | FAULT_DEVICE, index, error);)
            index = next_index(kind, index);
    }
    for (uint32_t index = 0; work_with(&work, FAULT_HOST, index, VK_ERROR_OUT_OF_HOST_MEMORY);)
        index = next_index(kind, index);
    /* Pieces of a stream are as large as what is free, which changes with what is kept empty, and
     * other pieces may be other pipelines. */
    ck_assert_msg(faults_alive() == alive || kind->overlaps,
                  "%s: %d objects at first, %d in the end", work.kind->name, alive, faults_alive());
    count_failures(kind, before);
    work_finish(&work);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
}
END_TEST

/* Pipelines are compiled with failures, and by the next run; after that memory is short. */
START_TEST(compiling)
{
    static const VkResult errors[] = {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY};
    const uint32_t before = faults_total();
    adamra_context *context = open_watched(&work_kinds[_i], true, MEMORY);
    struct work work;
    work_init(&work, &work_kinds[_i], context);
    /* A model compiles many, with four calls each: one of each, and another one at the next. */
    uint32_t step = work.kind->attention ? 1 : 5;
    for (size_t i = 0; i < (work.kind->attention ? ARRAY_SIZE(errors) : 1); i++)
        for (uint32_t index = 0; work_with(&work, FAULT_PIPELINE, index, errors[i]); index += step)
            drop_pipelines(context);
    count_failures(work.kind, before);
    bound_memory(&work);
    work_finish(&work);
    adamra_context_destroy(context);
    ck_assert_int_eq(faults_alive(), 0);
}
END_TEST

/* ---- a lost device ---- */

/* last: the context is closed, too, while the device is lost; else the device, which only seems to
 * be, comes back. */
static bool lose(struct work *work, uint32_t classes, uint32_t index, bool last)
{
    char text[1024] = "";
    uint32_t others = 0;
    faults_arm(classes, index, VK_ERROR_DEVICE_LOST);
    adamra_status code = do_work(work, text, sizeof(text));
    if (code)
        others = work_others_than(work, ADAMRA_DEVICE_LOST);
    const char *name = faults_failed();
    work_release(work);
    if (last)
        adamra_context_destroy(work->context);
    else
        work->context->device->lost = false;
    faults_disarm();
    if (name) {
        check_failure(code, VK_ERROR_DEVICE_LOST, text, work->kind->name);
        ck_assert_msg(others == 0, "%s, %s: %u calls did not say that the device is lost",
                      work->kind->name, name, others);
    }
    ck_assert_msg(!faults_misuse(), "%s, %s: %s of what is in use", work->kind->name, name,
                  faults_misuse());
    return name != NULL;
}

static void lose_all(const struct work_kind *kind, bool unified)
{
    const uint32_t before = faults_total();
    struct work work;
    work_init(&work, kind, open_watched(kind, unified, 0));
    for (uint32_t index = 0; lose(&work, FAULT_DEVICE, index, false);)
        index = next_index(kind, index);
    lose(&work, FAULT_FENCE, 0, false);
    lose(&work, FAULT_DEVICE, 0, true);
    work_finish(&work);
    ck_assert_msg(faults_alive() == 0, "%s: %d objects are left", kind->name, faults_alive());
    count_failures(kind, before);
}

START_TEST(losing_the_device)
{
    lose_all(&work_kinds[_i], true);
}
END_TEST

/* Also between the submissions that copy. All dispatches are lost alike: one kind will do. */
START_TEST(losing_the_device_while_copying)
{
    static const char *const names[] = {"adamra",   "buffers", "streamed",
                                        "recorded", "model",   "recorded model"};
    for (uint32_t i = 0; i < work_count; i++)
        for (size_t j = 0; j < ARRAY_SIZE(names); j++)
            if (!strcmp(work_kinds[i].name, names[j]))
                lose_all(&work_kinds[i], false);
}
END_TEST

START_TEST(failures_were_many)
{
    printf("%u calls were made to fail:", faults_total());
    for (uint32_t i = 0; i < work_count; i++) {
        printf(" %s %u,", work_kinds[i].name, failed[i]);
        ck_assert_uint_gt(failed[i], 50);
    }
    puts(" the others while opening and closing");
    ck_assert_uint_gt(faults_total(), 5000);
}
END_TEST

Suite *faults_suite(void)
{
    Suite *suite = suite_create("faults");
    TCase *open = tcase_create("open"), *work = tcase_create("work");
    tcase_add_checked_fixture(open, faults_reset, NULL);
    tcase_add_checked_fixture(work, faults_reset, NULL);
    tcase_add_loop_test(open, opening_a_context, 0, 2);
    tcase_add_test(open, listing_devices);
    tcase_add_loop_test(work, working, 0, (int)(2 * work_count));
    tcase_add_loop_test(work, compiling, 0, (int)work_count);
    tcase_add_loop_test(work, losing_the_device, 0, (int)work_count);
    tcase_add_test(work, losing_the_device_while_copying);
    tcase_add_test(work, failures_were_many);
    tcase_set_tags(work, "long");
    suite_add_tcase(suite, open);
    suite_add_tcase(suite, work);
    return suite;
}
