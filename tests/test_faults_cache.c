/* faults_cache: every call fails once, at every place where it can, while a context finds kept
 * pipelines, and while it keeps what it has compiled. Then it is a miss, or is not kept; a context
 * that cannot be opened says why. */
#include "api/context.h"
#include "faults.h"
#include "support.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

static char folder[256], file[640]; /* where pipelines are kept */

static const VkResult results[] = {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY};
static const adamra_status codes[] = {ADAMRA_OUT_OF_HOST_MEMORY, ADAMRA_OUT_OF_DEVICE_MEMORY};

static uint32_t found; /* lines that say that pipelines were found */

static void watch_log(void *user, adamra_log_level level, const char *text)
{
    (void)user;
    if (level == ADAMRA_LOG_DEBUG && strncmp(text, "cache: ", 7) == 0 && strstr(text, " bytes") &&
        !strstr(text, "kept"))
        found++;
}

static adamra_status open_context(adamra_context **context)
{
    const adamra_cache cache = {.folder = folder};
    const adamra_context_params params = {.cache = &cache, .log = watch_log};
    return adamra_context_create(&params, context);
}

/* A pipeline, so that there is something to keep. */
static void compile(adamra_context *context)
{
    const uint32_t constants[] = {[ID_GROUP] = 64, [ID_TILE] = 1};
    const struct gpu_pipeline *pipeline;
    ck_assert_int_eq(gpu_pipeline_get(context->device, SHADER_bench, constants,
                                      ARRAY_SIZE(constants), &pipeline),
                     STATUS_OK);
}

static void find_file(void)
{
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries))
        if (strncmp(entry->d_name, "pipelines-", 10) == 0)
            snprintf(file, sizeof(file), "%s/%s", folder, entry->d_name);
    closedir(entries);
}

static void setup(void)
{
    adamra_context *context;
    faults_reset();
    test_folder_make(folder, sizeof(folder));
    file[0] = 0;
    faults_watch(true);
    ck_assert_int_eq(open_context(&context), ADAMRA_OK);
    compile(context);
    adamra_context_destroy(context);
    find_file();
    ck_assert_msg(file[0], "nothing was kept in %s", folder);
}

static void teardown(void)
{
    test_folder_remove(folder);
    faults_watch(false);
}

/* ---- what was kept is found ---- */

static bool open_with(uint32_t classes, uint32_t index, size_t error)
{
    adamra_context *context = NULL;
    faults_arm(classes, index, results[error]);
    adamra_status code = open_context(&context);
    faults_disarm();
    const char *name = faults_failed();
    bool malloc_only = classes == FAULT_HOST && code == ADAMRA_OK; /* a miss */
    ck_assert_msg(code == (name ? codes[error] : ADAMRA_OK) || malloc_only ||
                      (name && strncmp(name, "vkEnumerate", 11) == 0),
                  "%s: %s", name, adamra_status_text(code));
    ck_assert((context != NULL) == (code == ADAMRA_OK));
    adamra_context_destroy(context);
    ck_assert_msg(faults_alive() == 0, "%s: %d objects are left", name, faults_alive());
    return name != NULL;
}

START_TEST(finding)
{
    const uint32_t before = faults_total();
    found = 0;
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        for (uint32_t index = 0; open_with(FAULT_PIPELINE | FAULT_DEVICE, index, i);)
            index++;
    for (uint32_t index = 0; open_with(FAULT_HOST, index, 0);)
        index++;
    ck_assert_uint_gt(found, 0);
    printf("%u calls were made to fail while kept pipelines were found\n", faults_total() - before);
}
END_TEST

/* ---- what is new is kept ---- */

/* Closes a context that found nothing, where another one has kept something since. */
static bool close_with(uint32_t classes, uint32_t index, VkResult error)
{
    char away[660];
    adamra_context *context;
    snprintf(away, sizeof(away), "%s.away", file);
    ck_assert_int_eq(rename(file, away), 0);
    ck_assert_int_eq(open_context(&context), ADAMRA_OK);
    compile(context);
    ck_assert_int_eq(rename(away, file), 0);
    faults_arm(classes, index, error);
    adamra_context_destroy(context);
    faults_disarm();
    const char *name = faults_failed();
    ck_assert_msg(faults_alive() == 0, "%s: %d objects are left", name, faults_alive());
    found = 0;
    ck_assert_int_eq(open_context(&context), ADAMRA_OK);
    adamra_context_destroy(context);
    ck_assert_msg(found == 1, "%s: no more pipelines are found", name);
    return name != NULL;
}

START_TEST(keeping)
{
    const uint32_t before = faults_total();
    for (size_t i = 0; i < ARRAY_SIZE(results); i++)
        for (uint32_t index = 0; close_with(FAULT_PIPELINE | FAULT_DEVICE, index, results[i]);)
            index++;
    for (uint32_t index = 0; close_with(FAULT_HOST, index, VK_ERROR_OUT_OF_HOST_MEMORY);)
        index++;
    printf("%u calls were made to fail while pipelines were kept\n", faults_total() - before);
}
END_TEST

Suite *faults_cache_suite(void)
{
    Suite *suite = suite_create("faults_cache");
    TCase *cache = tcase_create("cache");
    tcase_add_checked_fixture(cache, setup, teardown);
    tcase_add_test(cache, finding);
    tcase_add_test(cache, keeping);
    suite_add_tcase(suite, cache);
    return suite;
}
