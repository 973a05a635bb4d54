/* embed_usage: buffers of a program's that have no usage but storage, on devices with many storage
 * buffers a shader and with few, whose kernels read some inputs as texels. */
#include "attention_cases.h"
#include "context.h"
#include "host.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *kind;
    adamra_routing routing;
    adamra_router router;
    bool no_route; /* the readout makes it */
} shapes[] = {
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, false},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, true},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT, false},
    {"adamra", ADAMRA_TOP1, ADAMRA_ROUTER_WEIGHT, true},
    {"adamra", ADAMRA_SOFT, ADAMRA_ROUTER_LOGITS, false},
    {"adamra", ADAMRA_SOFT, ADAMRA_ROUTER_WEIGHT, false},
    {"adamra", ADAMRA_NONE, ADAMRA_ROUTER_LOGITS, false},
    {"linear", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, false},
    {"softmax", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, false},
    {"bigbird", ADAMRA_TOP1, ADAMRA_ROUTER_LOGITS, false},
};

static void draw_shape(struct attention_case *c, struct random *random, int index)
{
    *c = (struct attention_case){.rates = {1, 3, 8}};
    c->bigbird = (adamra_bigbird){16, 1, 1, 1, 0};
    c->params = (adamra_attention_params){.kind = shapes[index].kind,
                                          .batch = 2,
                                          .groups = 2,
                                          .queries = 61,
                                          .keys = 61,
                                          .key_width = 12,
                                          .value_width = 20,
                                          .heads = 1,
                                          .routing = shapes[index].routing,
                                          .router = shapes[index].router};
    if (strcmp(shapes[index].kind, "adamra") == 0)
        c->params.heads = 3;
    if (strcmp(shapes[index].kind, "bigbird") == 0)
        c->params.bigbird = &c->bigbird;
    attention_case_draw(c, random, true);
    c->no_route = shapes[index].no_route;
    strcpy(c->name, shapes[index].kind);
}

static adamra_context *open_context(struct host *host, const char *limits)
{
    adamra_context *context;
    const adamra_context_params params = {.vulkan = &host->vulkan, .limits = limits};
    ck_assert_int_eq(adamra_context_create(&params, &context), ADAMRA_OK);
    return context;
}

/* A tensor of the case in a buffer of its own, of storage usage and no more. */
struct lone_tensor {
    struct host_buffer memory;
    adamra_buffer *buffer;
};

static struct lone_tensor put(struct host *host, adamra_context *context, adamra_type type,
                              const float *numbers, size_t count)
{
    const size_t item = type == ADAMRA_F16 ? 2 : 4;
    struct lone_tensor tensor = {.memory = host_buffer(host, size_round_up(count * item, 16),
                                                       VK_BUFFER_USAGE_STORAGE_BUFFER_BIT)};
    attention_store(type, tensor.memory.mapped, numbers, count);
    tensor.buffer = host_wrap(context, &tensor.memory);
    return tensor;
}

static void run_in_buffers(struct host *host, adamra_context *context,
                           const struct attention_case *c, adamra_type type,
                           struct attention_result *result)
{
    adamra_attention_params params = c->params;
    adamra_attention *attention;
    adamra_attention_io io = attention_case_io(c, result);
    const size_t outputs = attention_case_outputs(c);
    struct lone_tensor tensors[5] = {put(host, context, type, c->q, attention_case_inputs(c)),
                                     put(host, context, type, c->k, attention_case_keys(c)),
                                     put(host, context, type, c->v, attention_case_values(c)),
                                     put(host, context, type, result->y, outputs)};
    io.q = (adamra_tensor){.buffer = tensors[0].buffer};
    io.k = (adamra_tensor){.buffer = tensors[1].buffer};
    io.v = (adamra_tensor){.buffer = tensors[2].buffer};
    io.y = (adamra_output){.buffer = tensors[3].buffer};
    if (c->logits) {
        tensors[4] =
            put(host, context, type, c->logits, attention_case_queries(c) * c->params.heads);
        io.router_logits = (adamra_tensor){.buffer = tensors[4].buffer};
    }
    params.type = type;
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    ck_assert_msg(!adamra_attention_run(attention, &io, NULL), "%s: %s", c->name,
                  adamra_error(context));
    adamra_attention_destroy(attention);
    attention_fetch(type, tensors[3].memory.mapped, result->y, outputs);
    for (size_t i = 0; i < ARRAY_SIZE(tensors) && tensors[i].buffer; i++) {
        adamra_buffer_destroy(tensors[i].buffer);
        host_buffer_finish(host, &tensors[i].memory);
    }
}

static PFN_vkCreateDescriptorSetLayout create_layout;

/* The driver may bind more than it is asked to be content with: what is asked of it is counted. */
static VKAPI_ATTR VkResult VKAPI_CALL
create_small_layout(VkDevice device, const VkDescriptorSetLayoutCreateInfo *info,
                    const VkAllocationCallbacks *allocator, VkDescriptorSetLayout *layout)
{
    uint32_t buffers = 0;
    for (uint32_t i = 0; i < info->bindingCount; i++)
        buffers += info->pBindings[i].descriptorType == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    ck_assert_uint_le(buffers, 4);
    return create_layout(device, info, allocator, layout);
}

static void check_shapes(const char *limits)
{
    struct host host;
    struct random random = random_seed(test_seed() + 23);
    host_init(&host, HOST_PLAIN);
    adamra_context *context = open_context(&host, limits);
    create_layout = context->device->vk.vkCreateDescriptorSetLayout;
    if (limits)
        context->device->vk.vkCreateDescriptorSetLayout = create_small_layout;
    for (int i = 0; i < 2 * (int)ARRAY_SIZE(shapes); i++) {
        const adamra_type type = i % 2 ? ADAMRA_F16 : ADAMRA_F32;
        struct attention_case c;
        struct attention_result result;
        draw_shape(&c, &random, i / 2);
        attention_result_init(&result, &c);
        run_in_buffers(&host, context, &c, type, &result);
        attention_case_check(&c, type, &result);
        attention_result_finish(&result);
        attention_case_finish(&c);
    }
    adamra_context_destroy(context);
    host_finish(&host);
}

START_TEST(storage_usage_is_enough)
{
    check_shapes(NULL);
}
END_TEST

START_TEST(storage_usage_is_enough_where_shaders_bind_four)
{
    check_shapes("vulkan-minimum");
}
END_TEST

static PFN_vkCmdPipelineBarrier place_barrier;
static uint32_t entries, exits; /* barriers that wait for compute; that the host waits for, too */

static VKAPI_ATTR void VKAPI_CALL count_barrier(
    VkCommandBuffer command, VkPipelineStageFlags from, VkPipelineStageFlags to,
    VkDependencyFlags flags, uint32_t count, const VkMemoryBarrier *memory, uint32_t buffer_count,
    const VkBufferMemoryBarrier *buffers, uint32_t image_count, const VkImageMemoryBarrier *images)
{
    entries += count == 1 && from & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT &&
               memory->srcAccessMask & VK_ACCESS_SHADER_WRITE_BIT &&
               to & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT &&
               memory->dstAccessMask & VK_ACCESS_SHADER_READ_BIT;
    exits += count == 1 && to & VK_PIPELINE_STAGE_HOST_BIT;
    place_barrier(command, from, to, flags, count, memory, buffer_count, buffers, image_count,
                  images);
}

/* The program relies on the barriers at both ends, also where there is nothing in between. */
START_TEST(an_empty_attention_has_barriers)
{
    struct host host;
    host_init(&host, HOST_PLAIN);
    adamra_context *context = host_context(&host);
    adamra_attention *attention;
    adamra_recording *recording;
    const adamra_attention_params params = {.kind = "linear", .key_width = 4, .value_width = 4};
    const adamra_attention_io io = {0};
    VkCommandBuffer command = host_begin(&host);
    ck_assert_int_eq(adamra_attention_create(context, &params, &attention), ADAMRA_OK);
    place_barrier = context->device->vk.vkCmdPipelineBarrier;
    context->device->vk.vkCmdPipelineBarrier = count_barrier;
    entries = exits = 0;
    ck_assert_int_eq(adamra_attention_record(attention, &io, command, &recording), ADAMRA_OK);
    ck_assert_uint_eq(entries, 2); /* the last one is for later compute work too */
    ck_assert_uint_eq(exits, 1);
    host_end(&host, command);
    host_submit(&host, command);
    adamra_recording_destroy(recording);
    adamra_attention_destroy(attention);
    adamra_context_destroy(context);
    host_free(&host, command);
    host_finish(&host);
}
END_TEST

Suite *embed_usage_suite(void)
{
    Suite *suite = suite_create("embed_usage");
    TCase *usage = tcase_create("usage"), *barriers = tcase_create("barriers");
    tcase_set_timeout(usage, 300);
    tcase_set_tags(usage, "kernels host");
    tcase_set_tags(barriers, "host");
    tcase_add_test(usage, storage_usage_is_enough);
    tcase_add_test(usage, storage_usage_is_enough_where_shaders_bind_four);
    suite_add_tcase(suite, usage);
    tcase_add_test(barriers, an_empty_attention_has_barriers);
    suite_add_tcase(suite, barriers);
    return suite;
}
