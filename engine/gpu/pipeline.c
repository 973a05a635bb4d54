/* The embedded shader modules, and the pipelines made of them so far. */
#include "base/parallel.h"
#include "gpu/cache.h"
#include "gpu/needs.h"
#include "gpu/spirv.h"
#include "shader_includes.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const uint32_t *words;
    size_t count;
} modules[] = {
#define SHADER(name) {#name, spirv_##name, ARRAY_SIZE(spirv_##name)},
#include "shader_list.h"
#undef SHADER
};

const uint32_t *gpu_shader_words(enum gpu_shader shader, size_t *count)
{
    *count = modules[shader].count;
    return modules[shader].words;
}

const char *gpu_shader_name(enum gpu_shader shader)
{
    return modules[shader].name;
}

/* ---- the set of pipelines: a hash table of chains ---- */

#define BUCKETS 256

struct pipeline_entry {
    struct gpu_pipeline pipeline;
    uint32_t values[GPU_MAX_CONSTANTS];
    uint32_t count;
    struct pipeline_entry *next;
};

struct gpu_pipeline_set {
    struct pipeline_entry *buckets[BUCKETS];
    uint32_t count;
    uint32_t kept; /* pipelines of which the cache has been kept */
    struct gpu_pipeline_cache cache;
};

static struct pipeline_entry *find_entry(const struct gpu_pipeline_set *set, uint32_t bucket,
                                         enum gpu_shader shader, const uint32_t *values,
                                         uint32_t count)
{
    struct pipeline_entry *entry = set->buckets[bucket];
    for (; entry; entry = entry->next)
        if (entry->pipeline.shader == shader && entry->count == count &&
            (count == 0 || !memcmp(entry->values, values, count * sizeof(*values))))
            return entry;
    return NULL;
}

/* ---- making one ---- */

static status create_set_layout(struct gpu_device *device, struct gpu_pipeline *pipeline)
{
    static const VkDescriptorType types[] = {
        [GPU_BINDING_STORAGE] = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        [GPU_BINDING_TEXEL] = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER};
    const struct gpu_reflection *reflection = &pipeline->reflection;
    VkDescriptorSetLayoutBinding bindings[GPU_MAX_BINDINGS];
    uint32_t count = 0;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < reflection->binding_count; i++)
        if (reflection->kinds[i])
            bindings[count++] =
                (VkDescriptorSetLayoutBinding){.binding = i,
                                               .descriptorType = types[reflection->kinds[i]],
                                               .descriptorCount = 1,
                                               .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo info = {.sType =
                                                VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            .bindingCount = count,
                                            .pBindings = bindings};
    GPU_TRY(
        device, result,
        device->vk.vkCreateDescriptorSetLayout(device->handle, &info, NULL, &pipeline->set_layout));
error:
    return result;
}

static status create_layout(struct gpu_device *device, struct gpu_pipeline *pipeline)
{
    status result = create_set_layout(device, pipeline);
    if (result)
        return result;
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                .size = pipeline->reflection.push_bytes};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = &pipeline->set_layout,
                                       .pushConstantRangeCount = push.size ? 1 : 0,
                                       .pPushConstantRanges = &push};
    GPU_TRY(device, result,
            device->vk.vkCreatePipelineLayout(device->handle, &info, NULL, &pipeline->layout));
error:
    return result;
}

static status create_module(struct gpu_device *device, const struct pipeline_entry *entry,
                            VkShaderModule *module)
{
    const enum gpu_shader shader = entry->pipeline.shader;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    uint32_t *words = NULL;
    size_t count;
    status result = spirv_freeze(device->log, modules[shader].words, modules[shader].count,
                                 entry->values, entry->count, &words, &count);
    if (result)
        return result;
    code.codeSize = count * sizeof(*words);
    code.pCode = words;
    GPU_TRY(device, result, device->vk.vkCreateShaderModule(device->handle, &code, NULL, module));
error:
    free(words);
    return result;
}

static void destroy_entry(struct gpu_device *device, struct pipeline_entry *entry)
{
    const struct gpu_pipeline *pipeline = &entry->pipeline;
    device->vk.vkDestroyPipeline(device->handle, pipeline->handle, NULL);
    device->vk.vkDestroyPipelineLayout(device->handle, pipeline->layout, NULL);
    device->vk.vkDestroyDescriptorSetLayout(device->handle, pipeline->set_layout, NULL);
    free(entry);
}

/* Whether the specialised group fits the device. */
static status check_group(struct gpu_device *device, const struct pipeline_entry *entry)
{
    const struct gpu_reflection *reflection = &entry->pipeline.reflection;
    uint64_t invocations = 1;
    bool fits = true;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t id = reflection->local_size_id[i];
        uint32_t size = id < entry->count ? entry->values[id] : reflection->local_size[i];
        fits = fits && size > 0 && size <= device->limits.group_size[i];
        invocations = fits ? invocations * size : invocations;
    }
    if (fits && invocations <= device->limits.group_invocations)
        return STATUS_OK;
    return fail(device->log, STATUS_UNSUPPORTED,
                "shader %s: a group passes the %u invocations that %s can do",
                modules[entry->pipeline.shader].name, device->limits.group_invocations,
                device->info.name);
}

/* All but the pipeline itself. */
static status create_entry(struct gpu_device *device, const struct gpu_pipeline_key *key,
                           struct pipeline_entry **out)
{
    const enum gpu_shader shader = key->shader;
    struct pipeline_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a pipeline");
    entry->pipeline.shader = shader;
    entry->count = key->count;
    memcpy(entry->values, key->values, key->count * sizeof(*key->values));
    status result = gpu_reflect(device->log, modules[shader].words, modules[shader].count,
                                &entry->pipeline.reflection);
    if (!result)
        result = check_group(device, entry);
    if (!result)
        result = create_layout(device, &entry->pipeline);
    if (result) {
        destroy_entry(device, entry);
        return result;
    }
    *out = entry;
    return STATUS_OK;
}

/* ---- making several ---- */

struct making {
    struct gpu_device *device;
    struct pipeline_entry *entry;
    VkShaderModule module;
    VkResult result;
};

/* On any thread: nothing else of the device is touched. */
static void compile(void *user, uint32_t index)
{
    struct making *making = (struct making *)user + index;
    struct gpu_device *device = making->device;
    struct pipeline_entry *entry = making->entry;
    const uint32_t subgroup = entry->count > ID_SUBGROUP ? entry->values[ID_SUBGROUP] : 0;
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
        .requiredSubgroupSize = subgroup};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = making->module,
                  .pName = "main"},
        .layout = entry->pipeline.layout};
    if (subgroup && device->features.subgroup_most) {
        info.stage.pNext = &size;
        info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
    }
    making->result = device->vk.vkCreateComputePipelines(
        device->handle, device->pipelines->cache.handle, 1, &info, NULL, &entry->pipeline.handle);
}

/* Enters what is not there yet, without its pipeline. */
static status begin_making(struct gpu_device *device, const struct gpu_pipeline_key *keys,
                           uint32_t count, struct making *makings, uint32_t *begun)
{
    struct gpu_pipeline_set *set = device->pipelines;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count && !result; i++) {
        const struct gpu_pipeline_key *key = &keys[i];
        uint32_t bucket = gpu_shader_hash(key->shader, key->values, key->count) % BUCKETS;
        struct making *making = &makings[*begun];
        if (find_entry(set, bucket, key->shader, key->values, key->count))
            continue;
        result = create_entry(device, key, &making->entry);
        if (result)
            break;
        making->device = device;
        making->entry->next = set->buckets[bucket];
        set->buckets[bucket] = making->entry;
        set->count++;
        ++*begun;
        result = create_module(device, making->entry, &making->module);
    }
    return result;
}

/* The longest first: what is begun last keeps the other threads waiting the least. */
static int compare_lengths(const void *a, const void *b)
{
    const struct making *left = a, *right = b;
    size_t left_count = modules[left->entry->pipeline.shader].count;
    size_t right_count = modules[right->entry->pipeline.shader].count;
    return (left_count < right_count) - (left_count > right_count);
}

static void undo_making(struct gpu_device *device, struct making *making)
{
    struct gpu_pipeline_set *set = device->pipelines;
    struct pipeline_entry *entry = making->entry;
    struct pipeline_entry **link =
        &set->buckets[gpu_shader_hash(entry->pipeline.shader, entry->values, entry->count) %
                      BUCKETS];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    set->count--;
    destroy_entry(device, entry);
}

status gpu_pipelines_make(struct gpu_device *device, const struct gpu_pipeline_key *keys,
                          uint32_t count)
{
    uint32_t begun = 0;
    struct making *makings = calloc((size_t)count + 1, sizeof(*makings));
    if (!makings)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for %u pipelines",
                    count);
    status result = begin_making(device, keys, count, makings, &begun);
    qsort(makings, begun, sizeof(*makings), compare_lengths);
    if (!result)
        parallel_run(begun, device->compile_threads, compile, makings);
    for (uint32_t i = 0; i < begun && !result; i++)
        if (makings[i].result < 0)
            result = gpu_vk_fail(device, makings[i].result, "vkCreateComputePipelines", __FILE__,
                                 __LINE__);
    for (uint32_t i = 0; i < begun; i++) {
        device->vk.vkDestroyShaderModule(device->handle, makings[i].module, NULL);
        if (result)
            undo_making(device, &makings[i]);
    }
    free(makings);
    return result;
}

status gpu_pipeline_get(struct gpu_device *device, enum gpu_shader shader, const uint32_t *values,
                        uint32_t count, const struct gpu_pipeline **out)
{
    struct gpu_pipeline_key key = {.shader = shader, .count = count};
    if ((uint32_t)shader >= SHADER_COUNT || count > GPU_MAX_CONSTANTS)
        return fail(device->log, STATUS_INVALID_ARGUMENT,
                    "shader %d with %u constants: at most %d are supported", (int)shader, count,
                    GPU_MAX_CONSTANTS);
    uint32_t bucket = gpu_shader_hash(shader, values, count) % BUCKETS;
    struct pipeline_entry *entry = find_entry(device->pipelines, bucket, shader, values, count);
    if (!entry) {
        if (count)
            memcpy(key.values, values, count * sizeof(*values));
        status result = gpu_pipelines_make(device, &key, 1);
        if (result)
            return result;
        entry = find_entry(device->pipelines, bucket, shader, key.values, count);
    }
    *out = &entry->pipeline;
    return STATUS_OK;
}

uint32_t gpu_pipeline_count(const struct gpu_device *device)
{
    return device->pipelines->count;
}

void gpu_pipelines_keep(struct gpu_device *device)
{
    struct gpu_pipeline_set *set = device->pipelines;
    if (set->count != set->kept)
        gpu_pipeline_cache_keep(device, &set->cache);
    set->kept = set->count;
}

status gpu_pipelines_create(struct gpu_device *device)
{
    device->pipelines = calloc(1, sizeof(*device->pipelines));
    if (!device->pipelines)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no host memory for a device");
    return gpu_pipeline_cache_create(device, &device->pipelines->cache);
}

void gpu_pipelines_destroy(struct gpu_device *device)
{
    struct gpu_pipeline_set *set = device->pipelines;
    if (!set)
        return;
    gpu_pipelines_keep(device);
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (set->buckets[i]) {
            struct pipeline_entry *next = set->buckets[i]->next;
            destroy_entry(device, set->buckets[i]);
            set->buckets[i] = next;
        }
    device->vk.vkDestroyPipelineCache(device->handle, set->cache.handle, NULL);
    free(set);
    device->pipelines = NULL;
}
