/* adamra inside a program that uses Vulkan itself: on its instance, device and queue, over its
 * buffers, in its command buffer. One command buffer holds
 *   a dispatch of the program's that makes queries, keys and values,
 *   attention, recorded by adamra,
 *   a dispatch of the program's that doubles the result,
 * with no copy and no wait in between, and is executed three times. Plain loops check the result.
 * The program's shader is embed_vulkan.comp. */
#include <adamra_vulkan.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 512, WIDTH = 32, HEADS = 3, FRAMES = 3 };
enum { TENSOR = N * WIDTH, QUERIES = 0, KEYS = TENSOR, VALUES = 2 * TENSOR, RESULT = 3 * TENSOR };

/* Storage usage is enough for adamra; the others let its fastest kernels and its copies work. */
static const VkBufferUsageFlags usage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
    VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;

static
#include "embed_vulkan.spv.h"

static const uint32_t rates[HEADS] = {1, 2, 4};

/* The program's own Vulkan. */
struct app {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkBuffer numbers, doubles; /* q, k, v, y; and what is read back */
    VkDeviceMemory memory[2];
    const float *mapped; /* doubles */
    VkDescriptorPool descriptors;
    VkDescriptorSetLayout set_layout;
    VkDescriptorSet set;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkCommandPool commands;
    VkCommandBuffer command;
    float weight[HEADS * WIDTH]; /* of the router */
};

static void must(VkResult result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "embed_vulkan: %s failed: %d\n", what, (int)result);
        exit(EXIT_FAILURE);
    }
}

static void must_attend(adamra_context *context, adamra_status status, const char *what)
{
    if (status) {
        fprintf(stderr, "embed_vulkan: %s: %s: %s\n", what, adamra_status_text(status),
                adamra_error(context));
        exit(EXIT_FAILURE);
    }
}

/* ---- Vulkan, and adamra on it ---- */

static void open_instance(struct app *app)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_1};
    const char *portability = "VK_KHR_portability_enumeration"; /* MoltenVK's and its like */
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR,
                                 .pApplicationInfo = &application,
                                 .enabledExtensionCount = 1,
                                 .ppEnabledExtensionNames = &portability};
    uint32_t count = 1, family_count = 16;
    VkResult result = vkCreateInstance(&info, NULL, &app->instance);
    if (result == VK_ERROR_EXTENSION_NOT_PRESENT) {
        info.flags = info.enabledExtensionCount = 0;
        result = vkCreateInstance(&info, NULL, &app->instance);
    }
    must(result, "vkCreateInstance");
    must(vkEnumeratePhysicalDevices(app->instance, &count, &app->physical), "listing devices");
    must(count ? VK_SUCCESS : VK_ERROR_INITIALIZATION_FAILED, "finding a Vulkan device");
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(app->physical, &properties);
    must(properties.apiVersion < VK_API_VERSION_1_1 ? VK_ERROR_INCOMPATIBLE_DRIVER : VK_SUCCESS,
         "finding Vulkan 1.1");
    VkQueueFamilyProperties families[16];
    vkGetPhysicalDeviceQueueFamilyProperties(app->physical, &family_count, families);
    while (app->family + 1 < family_count &&
           !(families[app->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        app->family++;
}

/* The device is made with what adamra can use of it; the context is made on the device. */
static adamra_context *open_device(struct app *app)
{
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = app->family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    adamra_vulkan_features features; /* the last argument but one: the program's own chain */
    adamra_status status = adamra_vulkan_get_features(vkGetInstanceProcAddr, app->instance,
                                                      app->physical, NULL, &features);
    must_attend(NULL, status, features.error);
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = features.chain,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = features.extension_count,
                                     .ppEnabledExtensionNames = features.extensions};
    must(vkCreateDevice(app->physical, &info, NULL, &app->device), "vkCreateDevice");
    vkGetDeviceQueue(app->device, app->family, 0, &app->queue);

    const adamra_vulkan vulkan = {.get_instance_proc_addr = vkGetInstanceProcAddr,
                                  .instance = app->instance,
                                  .api_version = VK_API_VERSION_1_1,
                                  .physical_device = app->physical,
                                  .device = app->device,
                                  .device_info = &info,
                                  .queue = app->queue,
                                  .queue_family = app->family};
    const adamra_context_params params = {.vulkan = &vulkan};
    adamra_context *context = NULL;
    must_attend(NULL, adamra_context_create(&params, &context), "adamra_context_create");
    return context;
}

/* ---- the program's buffers and pipeline ---- */

static uint32_t find_memory(const struct app *app, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(app->physical, &memory);
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++)
        if (allowed >> i & 1 && (memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return i;
    must(VK_ERROR_FEATURE_NOT_PRESENT, "finding a memory type");
    return 0;
}

static VkBuffer make_buffer(const struct app *app, VkDeviceSize size, VkMemoryPropertyFlags wanted,
                            VkDeviceMemory *memory)
{
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkBuffer buffer;
    VkMemoryRequirements needs;
    must(vkCreateBuffer(app->device, &info, NULL, &buffer), "vkCreateBuffer");
    vkGetBufferMemoryRequirements(app->device, buffer, &needs);
    const VkMemoryAllocateInfo allocation = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                             .allocationSize = needs.size,
                                             .memoryTypeIndex =
                                                 find_memory(app, needs.memoryTypeBits, wanted)};
    must(vkAllocateMemory(app->device, &allocation, NULL, memory), "vkAllocateMemory");
    must(vkBindBufferMemory(app->device, buffer, *memory, 0), "vkBindBufferMemory");
    return buffer;
}

static void make_buffers(struct app *app)
{
    const VkMemoryPropertyFlags for_host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    app->numbers = make_buffer(app, 4 * TENSOR * sizeof(float), VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                               &app->memory[0]);
    app->doubles = make_buffer(app, TENSOR * sizeof(float), for_host, &app->memory[1]);
    must(vkMapMemory(app->device, app->memory[1], 0, VK_WHOLE_SIZE, 0, (void **)&app->mapped),
         "vkMapMemory");
}

static void make_set(struct app *app)
{
    const VkDescriptorType storage = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    const VkDescriptorPoolSize size = {storage, 2};
    const VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = 1,
                                             .poolSizeCount = 1,
                                             .pPoolSizes = &size};
    const VkDescriptorSetLayoutBinding bindings[] = {
        {0, storage, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {1, storage, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL}};
    const VkDescriptorSetLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = 2,
        .pBindings = bindings};
    must(vkCreateDescriptorPool(app->device, &pool, NULL, &app->descriptors), "a descriptor pool");
    must(vkCreateDescriptorSetLayout(app->device, &layout, NULL, &app->set_layout), "a set layout");
    const VkDescriptorSetAllocateInfo set = {.sType =
                                                 VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                             .descriptorPool = app->descriptors,
                                             .descriptorSetCount = 1,
                                             .pSetLayouts = &app->set_layout};
    must(vkAllocateDescriptorSets(app->device, &set, &app->set), "a descriptor set");
    const VkDescriptorBufferInfo buffers[] = {{app->numbers, 0, VK_WHOLE_SIZE},
                                              {app->doubles, 0, VK_WHOLE_SIZE}};
    const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                        .dstSet = app->set,
                                        .descriptorCount = 2,
                                        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                        .pBufferInfo = buffers};
    vkUpdateDescriptorSets(app->device, 1, &write, 0, NULL);
}

static void make_pipeline(struct app *app)
{
    const VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 3 * sizeof(uint32_t)};
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &app->set_layout,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &push};
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = sizeof(embed_vulkan),
                                           .pCode = embed_vulkan};
    VkShaderModule module;
    must(vkCreatePipelineLayout(app->device, &layout, NULL, &app->layout), "a pipeline layout");
    must(vkCreateShaderModule(app->device, &code, NULL, &module), "a shader module");
    const VkComputePipelineCreateInfo pipeline = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
        .layout = app->layout};
    must(vkCreateComputePipelines(app->device, VK_NULL_HANDLE, 1, &pipeline, NULL, &app->pipeline),
         "a pipeline");
    vkDestroyShaderModule(app->device, module, NULL);
}

/* ---- one command buffer ---- */

static void dispatch(const struct app *app, uint32_t stage, uint32_t first, uint32_t count)
{
    const uint32_t push[] = {stage, first, count};
    vkCmdBindPipeline(app->command, VK_PIPELINE_BIND_POINT_COMPUTE, app->pipeline);
    vkCmdBindDescriptorSets(app->command, VK_PIPELINE_BIND_POINT_COMPUTE, app->layout, 0, 1,
                            &app->set, 0, NULL);
    vkCmdPushConstants(app->command, app->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push),
                       push);
    vkCmdDispatch(app->command, (count + 63) / 64, 1, 1);
}

/* adamra brings the barriers: from the dispatch before it, and to the one after it. */
static adamra_recording *record(struct app *app, adamra_context *context,
                                adamra_attention *attention, adamra_buffer *numbers)
{
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = app->family};
    must(vkCreateCommandPool(app->device, &pool, NULL, &app->commands), "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = app->commands,
                                              .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    must(vkAllocateCommandBuffers(app->device, &info, &app->command), "a command buffer");
    must(vkBeginCommandBuffer(app->command, &begin), "vkBeginCommandBuffer");
    dispatch(app, 0, 0, 3 * TENSOR);
    const adamra_attention_io io = {
        .q = {.buffer = numbers, .offset = QUERIES * sizeof(float)},
        .k = {.buffer = numbers, .offset = KEYS * sizeof(float)},
        .v = {.buffer = numbers, .offset = VALUES * sizeof(float)},
        .router_weight = {.data = app->weight}, /* read now */
        .y = {.buffer = numbers, .offset = RESULT * sizeof(float)},
    };
    adamra_recording *recording = NULL;
    must_attend(context, adamra_attention_record(attention, &io, app->command, &recording),
                "record");
    dispatch(app, 1, RESULT, TENSOR);
    const VkMemoryBarrier to_host = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(app->command, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, NULL, 0, NULL);
    must(vkEndCommandBuffer(app->command), "vkEndCommandBuffer");
    return recording;
}

static void execute(const struct app *app)
{
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &app->command};
    must(vkQueueSubmit(app->queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
    must(vkQueueWaitIdle(app->queue), "vkQueueWaitIdle");
}

static void close_app(struct app *app)
{
    vkDestroyCommandPool(app->device, app->commands, NULL);
    vkDestroyPipeline(app->device, app->pipeline, NULL);
    vkDestroyPipelineLayout(app->device, app->layout, NULL);
    vkDestroyDescriptorSetLayout(app->device, app->set_layout, NULL);
    vkDestroyDescriptorPool(app->device, app->descriptors, NULL);
    vkDestroyBuffer(app->device, app->numbers, NULL);
    vkDestroyBuffer(app->device, app->doubles, NULL);
    vkFreeMemory(app->device, app->memory[0], NULL);
    vkFreeMemory(app->device, app->memory[1], NULL);
    vkDestroyDevice(app->device, NULL);
    vkDestroyInstance(app->instance, NULL);
}

/* ---- the same in plain loops, made-up numbers first ---- */

static float made_up(uint32_t i)
{
    const uint32_t state = i * 747796405U + 2891336453U;
    const uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737U;
    return (float)(((word >> 22) ^ word) & 0xfff) / 2048 - 1;
}

static double feature(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* Adds weight * A_h(q_i) to y: keys and values are pooled by the head's rate. */
static void add_head(uint32_t i, uint32_t rate, double weight, double y[WIDTH])
{
    double sum[WIDTH] = {0}, norm = 1e-6;
    for (uint32_t first = 0; first < N; first += rate) {
        double score = 0;
        for (uint32_t c = 0; c < WIDTH; c++) {
            double key = 0;
            for (uint32_t t = first; t < first + rate; t++)
                key += made_up(KEYS + t * WIDTH + c) / (double)rate;
            score += feature(made_up(QUERIES + i * WIDTH + c)) * feature(key);
        }
        for (uint32_t c = 0; c < WIDTH; c++)
            for (uint32_t t = first; t < first + rate; t++)
                sum[c] += score * made_up(VALUES + t * WIDTH + c) / (double)rate;
        norm += score;
    }
    for (uint32_t c = 0; c < WIDTH; c++)
        y[c] += weight * sum[c] / norm;
}

/* norm(got - expected) / norm(expected), over some of the queries. */
static double check(const struct app *app)
{
    double error = 0, norm = 0;
    for (uint32_t i = 0; i < N; i += 37) {
        double y[WIDTH] = {0}, gates[HEADS], total = 0;
        for (uint32_t h = 0; h < HEADS; h++) {
            double logit = 0;
            for (uint32_t c = 0; c < WIDTH; c++)
                logit += app->weight[h * WIDTH + c] * made_up(QUERIES + i * WIDTH + c);
            total += gates[h] = exp(logit);
        }
        for (uint32_t h = 0; h < HEADS; h++)
            add_head(i, rates[h], gates[h] / total, y);
        for (uint32_t c = 0; c < WIDTH; c++) {
            error += pow(app->mapped[i * WIDTH + c] - 2 * y[c], 2);
            norm += pow(2 * y[c], 2);
        }
    }
    return sqrt(error / norm);
}

int main(void)
{
    struct app app = {0};
    open_instance(&app);
    adamra_context *context = open_device(&app);
    make_buffers(&app);
    make_set(&app);
    make_pipeline(&app);
    for (uint32_t i = 0; i < HEADS * WIDTH; i++)
        app.weight[i] = made_up(4 * TENSOR + i);
    const adamra_attention_params params = {.queries = N,
                                            .keys = N,
                                            .key_width = WIDTH,
                                            .value_width = WIDTH,
                                            .heads = HEADS,
                                            .rates = rates,
                                            .shared_keys = 1,
                                            .shared_values = 1,
                                            .routing = ADAMRA_SOFT,
                                            .router = ADAMRA_ROUTER_WEIGHT};
    adamra_attention *attention = NULL;
    adamra_buffer *numbers = NULL;
    must_attend(context, adamra_attention_create(context, &params, &attention), "create");
    const uint64_t bytes = 4 * TENSOR * sizeof(float);
    must_attend(context, adamra_buffer_wrap(context, app.numbers, bytes, usage, &numbers), "wrap");
    adamra_recording *recording = record(&app, context, attention, numbers);
    for (int frame = 0; frame < FRAMES; frame++)
        execute(&app);
    double error = check(&app);
    printf("%d queries in a command buffer of ours, executed %d times: relative error %.1e\n", N,
           FRAMES, error);

    /* What was executed is over: adamra's parts first, then what they stand on. */
    adamra_recording_destroy(recording);
    adamra_buffer_destroy(numbers);
    adamra_attention_destroy(attention);
    adamra_context_destroy(context);
    close_app(&app);
    return error < 1e-5 ? EXIT_SUCCESS : EXIT_FAILURE;
}
