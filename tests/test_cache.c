/* cache: pipelines that are kept from one context to the next. */
#include "attention_cases.h"
#include "context.h"
#include "gpu/cache.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

/* ---- contexts ---- */

/* The caller's functions: keep one value, and count. */
struct shelf {
    char key[128];
    uint8_t bytes[65536];
    size_t size;
    uint32_t loads, hits, saves;
};

static int shelf_load(void *user, const char *key, void *data, size_t *size)
{
    struct shelf *shelf = user;
    size_t room = *size;
    *size = strcmp(key, shelf->key) == 0 ? shelf->size : 0;
    if (!data)
        return *size > 0;
    shelf->loads++;
    if (*size == 0 || *size > room)
        return 0;
    memcpy(data, shelf->bytes, *size);
    shelf->hits++;
    return 1;
}

static int shelf_save(void *user, const char *key, const void *data, size_t size)
{
    struct shelf *shelf = user;
    shelf->saves++;
    ck_assert(size <= sizeof(shelf->bytes) && strlen(key) < sizeof(shelf->key));
    for (const char *letter = key; *letter; letter++)
        ck_assert_msg(strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *letter), "key %s", key);
    snprintf(shelf->key, sizeof(shelf->key), "%s", key);
    memcpy(shelf->bytes, data, size);
    shelf->size = size;
    return 1;
}

static adamra_context *open_context(const adamra_cache *cache)
{
    adamra_context_params params = test_context_params();
    adamra_context *context;
    params.cache = cache;
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    return context;
}

/* A small attention. */
static void run_in(adamra_context *context)
{
    static const uint32_t rates[] = {1, 2};
    struct random random = random_seed(1);
    struct attention_case c = {.name = "cached", .rates = {1, 2}};
    struct attention_result result;
    c.params = (adamra_attention_params){.batch = 1,
                                         .groups = 1,
                                         .heads = 2,
                                         .rates = rates,
                                         .queries = 5,
                                         .keys = 5,
                                         .key_width = 4,
                                         .value_width = 4};
    attention_case_draw(&c, &random, false);
    attention_result_init(&result, &c);
    attention_case_run(context, &c, ADAMRA_F32, &result, NULL);
    attention_result_finish(&result);
    attention_case_finish(&c);
}

static void run_once(const adamra_cache *cache)
{
    adamra_context *context = open_context(cache);
    run_in(context);
    adamra_context_destroy(context);
}

START_TEST(contexts_keep_pipelines_by_the_callers_functions)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    ck_assert_ptr_nonnull(shelf);
    const adamra_cache cache = {.load = shelf_load, .save = shelf_save, .user = shelf};
    run_once(&cache);
    ck_assert_uint_eq(shelf->saves, 1);
    ck_assert_uint_eq(shelf->hits, 0);
    ck_assert(strncmp(shelf->key, "pipelines-", 10) == 0);
    shelf->bytes[shelf->size - 1] ^= 1; /* damaged: found, not used, and made again */
    run_once(&cache);
    ck_assert_uint_eq(shelf->saves, 2);
    uint32_t hits = shelf->hits;
    run_once(&cache); /* found; saved again only by drivers whose data changes */
    ck_assert_uint_gt(shelf->hits, hits);
    free(shelf);
}
END_TEST

START_TEST(contexts_keep_pipelines_in_files)
{
    const adamra_cache cache = {.folder = test_in_folder("contexts")};
    char command[640];
    run_once(&cache);
    snprintf(command, sizeof(command), "test -s '%s'/pipelines-*", test_in_folder("contexts"));
    ck_assert_int_eq(system(command), 0);
    run_once(&cache);
    /* No place to keep anything: all the same. */
    run_once(&(adamra_cache){.folder = "/proc/adamra"});
    run_once(&(adamra_cache){.folder = ""});
}
END_TEST

/* A program may be killed before it destroys its context. */
START_TEST(a_run_keeps_what_it_has_compiled)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    ck_assert_ptr_nonnull(shelf);
    char command[640];
    adamra_context *context = open_context(&(adamra_cache){.folder = test_in_folder("runs")});
    snprintf(command, sizeof(command), "test -s '%s'/pipelines-*", test_in_folder("runs"));
    ck_assert_int_ne(system(command), 0);
    run_in(context);
    ck_assert_int_eq(system(command), 0);
    adamra_context_destroy(context);

    context = open_context(&(adamra_cache){.load = shelf_load, .save = shelf_save, .user = shelf});
    run_in(context);
    const uint32_t loads = shelf->loads;
    ck_assert_uint_eq(shelf->saves, 1);
    run_in(context);
    ck_assert_uint_eq(shelf->saves, 1);
    ck_assert_uint_eq(shelf->loads, loads); /* not even looked at */
    adamra_context_destroy(context);
    ck_assert_uint_eq(shelf->saves, 1);
    free(shelf);
}
END_TEST

/* A softmax over one buffer, recorded and not executed. */
static void record_in(adamra_context *context)
{
    const adamra_attention_params params = {
        .kind = "softmax", .queries = 4, .keys = 4, .key_width = 4, .value_width = 4};
    struct gpu_device *device = context->device;
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = device->commands,
                                              .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkCommandBuffer command;
    adamra_buffer *buffer;
    adamra_attention *attention;
    adamra_recording *recording;
    ck_assert_int_eq(adamra_buffer_create(context, 256, &buffer), ADAMRA_OK);
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    ck_assert_int_eq(device->vk.vkAllocateCommandBuffers(device->handle, &info, &command), 0);
    ck_assert_int_eq(device->vk.vkBeginCommandBuffer(command, &begin), 0);
    const adamra_attention_io io = {.q.buffer = buffer,
                                    .k.buffer = buffer,
                                    .v.buffer = buffer,
                                    .y = {.buffer = buffer, .offset = 128}};
    ck_assert_int_eq(adamra_attention_record(attention, &io, command, &recording), ADAMRA_OK);
    ck_assert_int_eq(device->vk.vkEndCommandBuffer(command), 0);
    device->vk.vkFreeCommandBuffers(device->handle, device->commands, 1, &command);
    adamra_recording_destroy(recording);
    adamra_attention_destroy(attention);
    adamra_buffer_destroy(buffer);
}

START_TEST(a_recording_keeps_what_it_has_compiled)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    ck_assert_ptr_nonnull(shelf);
    adamra_context *context =
        open_context(&(adamra_cache){.load = shelf_load, .save = shelf_save, .user = shelf});
    record_in(context);
    ck_assert_uint_eq(shelf->saves, 1);
    record_in(context);
    ck_assert_uint_eq(shelf->saves, 1);
    adamra_context_destroy(context);
    free(shelf);
}
END_TEST

/* ---- what a driver sees ---- */

static PFN_vkCreatePipelineCache create_cache;
static size_t data_seen;
static uint32_t creations;

static VKAPI_ATTR VkResult VKAPI_CALL spy(VkDevice device, const VkPipelineCacheCreateInfo *info,
                                          const VkAllocationCallbacks *callbacks,
                                          VkPipelineCache *out)
{
    data_seen = info->initialDataSize;
    creations++;
    return create_cache(device, info, callbacks, out);
}

/* Bytes that the driver is given for what the shelf holds. */
static size_t seen_by_driver(struct gpu_device *device)
{
    struct gpu_pipeline_cache cache = {0};
    data_seen = SIZE_MAX;
    ck_assert_int_eq(gpu_pipeline_cache_create(device, &cache), STATUS_OK);
    device->vk.vkDestroyPipelineCache(device->handle, cache.handle, NULL);
    return data_seen;
}

START_TEST(drivers_see_their_own_data_only)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    ck_assert_ptr_nonnull(shelf);
    struct gpu_device_params params = {.store = {shelf_load, shelf_save, shelf}};
    struct gpu_device *device;
    const struct gpu_pipeline *pipeline;
    const uint32_t values[] = {64};
    ck_assert_int_eq(gpu_device_create(test_logger(), &params, &device), STATUS_OK);
    create_cache = device->vk.vkCreatePipelineCache;
    device->vk.vkCreatePipelineCache = spy;
    ck_assert_int_eq(gpu_pipeline_get(device, SHADER_repack, values, 1, &pipeline), STATUS_OK);
    gpu_pipelines_keep(device);
    ck_assert_uint_eq(shelf->saves, 1);
    gpu_pipelines_keep(device); /* nothing new */
    ck_assert_uint_eq(shelf->saves, 1);
    size_t whole = seen_by_driver(device);
    ck_assert_uint_ge(whole, sizeof(VkPipelineCacheHeaderVersionOne));
    for (size_t i = 0; i < shelf->size; i++) {
        shelf->bytes[i] ^= 0x10;
        ck_assert_msg(seen_by_driver(device) == 0, "byte %zu", i);
        shelf->bytes[i] ^= 0x10;
    }
    shelf->size--;
    ck_assert_uint_eq(seen_by_driver(device), 0);
    shelf->size++;
    ck_assert_uint_eq(seen_by_driver(device), whole);
    /* Sealed by us, and yet with the header of another driver. */
    VkPipelineCacheHeaderVersionOne header = {.headerSize = sizeof(header), .headerVersion = 1};
    gpu_cache_save(device, &device->store, "pipelines", &header, sizeof(header));
    ck_assert_uint_eq(seen_by_driver(device), 0);
    gpu_device_destroy(device);
    free(shelf);
}
END_TEST

/* Two processes that made different pipelines: the second one to end keeps both. */
START_TEST(what_others_have_kept_is_merged)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    ck_assert_ptr_nonnull(shelf);
    struct gpu_device_params params = {.store = {shelf_load, shelf_save, shelf}};
    struct gpu_device *devices[2];
    const struct gpu_pipeline *pipeline;
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t values[] = {32 << i};
        ck_assert_int_eq(gpu_device_create(test_logger(), &params, &devices[i]), STATUS_OK);
        ck_assert_int_eq(gpu_pipeline_get(devices[i], SHADER_repack, values, 1, &pipeline),
                         STATUS_OK);
    }
    gpu_pipelines_keep(devices[0]);
    create_cache = devices[1]->vk.vkCreatePipelineCache;
    devices[1]->vk.vkCreatePipelineCache = spy;
    creations = 0;
    gpu_pipelines_keep(devices[1]);
    ck_assert_uint_eq(creations, 1); /* of the other's data, to merge it */
    gpu_device_destroy(devices[0]);
    gpu_device_destroy(devices[1]);
    free(shelf);
}
END_TEST

Suite *cache_suite(void)
{
    Suite *suite = suite_create("cache");
    TCase *contexts = tcase_create("contexts");
    tcase_set_tags(contexts, "host");
    tcase_add_checked_fixture(contexts, test_folder_setup, test_folder_teardown);
    tcase_add_test(contexts, contexts_keep_pipelines_by_the_callers_functions);
    tcase_add_test(contexts, contexts_keep_pipelines_in_files);
    tcase_add_test(contexts, a_run_keeps_what_it_has_compiled);
    tcase_add_test(contexts, a_recording_keeps_what_it_has_compiled);
    suite_add_tcase(suite, contexts);
    TCase *drivers = tcase_create("drivers");
    tcase_set_tags(drivers, "host");
    tcase_add_test(drivers, drivers_see_their_own_data_only);
    tcase_add_test(drivers, what_others_have_kept_is_merged);
    suite_add_tcase(suite, drivers);
    return suite;
}
