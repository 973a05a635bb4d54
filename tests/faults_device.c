/* Vulkan's device functions, replaced by ones that can be made to fail and that count objects. One
 * watched device at a time: the functions behind the replacements are those of the last one. */
#include "base/base.h"
#include "faults_inside.h"
#include <pthread.h>
#include <string.h>

static void expect_idle_fence(VkFence fence, const char *name)
{
    if (faults_pending_fence(fence))
        faults_misused(name);
}

static void expect_idle_command(VkCommandBuffer command, const char *name)
{
    if (faults_pending_command(command))
        faults_misused(name);
}

/* Of a fence it is known; a module is not used any more once there are pipelines of it. */
static bool is_in_use(const char *name, VkFence fence)
{
    if (strcmp(name, "Fence") == 0)
        return faults_pending_fence(fence);
    return strcmp(name, "ShaderModule") != 0 && faults_in_use();
}

/* ---- objects: vkCreateX and vkDestroyX, all of one form ---- */

#define OBJECTS(ROW)                                                                               \
    ROW(Buffer, FAULT_DEVICE, HOST | DEVICE)                                                       \
    ROW(BufferView, FAULT_DEVICE, HOST | DEVICE)                                                   \
    ROW(CommandPool, FAULT_DEVICE, HOST | DEVICE)                                                  \
    ROW(DescriptorPool, FAULT_DEVICE, HOST | DEVICE)                                               \
    ROW(DescriptorSetLayout, FAULT_PIPELINE, HOST | DEVICE)                                        \
    ROW(Fence, FAULT_DEVICE, HOST | DEVICE)                                                        \
    ROW(PipelineCache, FAULT_PIPELINE, HOST | DEVICE)                                              \
    ROW(PipelineLayout, FAULT_PIPELINE, HOST | DEVICE)                                             \
    ROW(QueryPool, FAULT_DEVICE, HOST | DEVICE)                                                    \
    ROW(ShaderModule, FAULT_PIPELINE, HOST | DEVICE)

#define OBJECT(name, class, errors)                                                                \
    static PFN_vkCreate##name real_Create##name;                                                   \
    static PFN_vkDestroy##name real_Destroy##name;                                                 \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_Create##name(                                       \
        VkDevice device, const Vk##name##CreateInfo *info, const VkAllocationCallbacks *allocator, \
        Vk##name *out)                                                                             \
    {                                                                                              \
        VkResult result = faults_result("vkCreate" #name, class, errors);                          \
        if (result >= 0)                                                                           \
            result = real_Create##name(device, info, allocator, out);                              \
        faults_count(result >= 0);                                                                 \
        return result;                                                                             \
    }                                                                                              \
    static VKAPI_ATTR void VKAPI_CALL wrap_Destroy##name(VkDevice device, Vk##name object,         \
                                                         const VkAllocationCallbacks *allocator)   \
    {                                                                                              \
        if (object && is_in_use(#name, (VkFence)object))                                           \
            faults_misused("vkDestroy" #name);                                                     \
        faults_count(-(object != VK_NULL_HANDLE));                                                 \
        real_Destroy##name(device, object, allocator);                                             \
    }
OBJECTS(OBJECT)

/* ---- the other device functions ---- */

/* Functions that do their work or fail, and no more. */
#define SIMPLE(name, errors, parameters, arguments)                                                \
    static PFN_vk##name real_##name;                                                               \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_##name parameters                                   \
    {                                                                                              \
        VkResult result = faults_result("vk" #name, FAULT_DEVICE, errors);                         \
        return result < 0 ? result : real_##name arguments;                                        \
    }

SIMPLE(AllocateDescriptorSets, HOST | DEVICE | POOL,
       (VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out),
       (device, info, out))
SIMPLE(BindBufferMemory, HOST | DEVICE,
       (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),
       (device, buffer, memory, offset))
SIMPLE(EndCommandBuffer, HOST | DEVICE, (VkCommandBuffer command), (command))
SIMPLE(FlushMappedMemoryRanges, HOST | DEVICE,
       (VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges),
       (device, count, ranges))
SIMPLE(GetMemoryHostPointerPropertiesEXT, HOST,
       (VkDevice device, VkExternalMemoryHandleTypeFlagBits type, const void *data,
        VkMemoryHostPointerPropertiesEXT *out),
       (device, type, data, out))
SIMPLE(GetPipelineCacheData, HOST | DEVICE,
       (VkDevice device, VkPipelineCache cache, size_t *size, void *data),
       (device, cache, size, data))
SIMPLE(GetQueryPoolResults, HOST | DEVICE | LOST,
       (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t size, void *data,
        VkDeviceSize stride, VkQueryResultFlags flags),
       (device, pool, first, count, size, data, stride, flags))
SIMPLE(InvalidateMappedMemoryRanges, HOST | DEVICE,
       (VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges),
       (device, count, ranges))
SIMPLE(MergePipelineCaches, HOST | DEVICE,
       (VkDevice device, VkPipelineCache target, uint32_t count, const VkPipelineCache *sources),
       (device, target, count, sources))
SIMPLE(MapMemory, HOST | DEVICE | MAP,
       (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,
        VkMemoryMapFlags flags, void **data),
       (device, memory, offset, size, flags, data))

static PFN_vkAllocateMemory real_AllocateMemory;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_AllocateMemory(VkDevice device,
                                                          const VkMemoryAllocateInfo *info,
                                                          const VkAllocationCallbacks *allocator,
                                                          VkDeviceMemory *out)
{
    VkResult result = faults_result("vkAllocateMemory", FAULT_DEVICE, HOST | DEVICE);
    if (result >= 0)
        result = real_AllocateMemory(device, info, allocator, out);
    faults_count(result >= 0);
    return result;
}

static PFN_vkFreeMemory real_FreeMemory;
static VKAPI_ATTR void VKAPI_CALL wrap_FreeMemory(VkDevice device, VkDeviceMemory memory,
                                                  const VkAllocationCallbacks *allocator)
{
    if (memory && faults_in_use())
        faults_misused("vkFreeMemory");
    faults_count(-(memory != VK_NULL_HANDLE));
    real_FreeMemory(device, memory, allocator);
}

static PFN_vkAllocateCommandBuffers real_AllocateCommandBuffers;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_AllocateCommandBuffers(
    VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out)
{
    VkResult result = faults_result("vkAllocateCommandBuffers", FAULT_DEVICE, HOST | DEVICE);
    if (result >= 0)
        result = real_AllocateCommandBuffers(device, info, out);
    if (result >= 0)
        faults_count((int32_t)info->commandBufferCount);
    else /* as Vulkan demands of it */
        memset(out, 0, info->commandBufferCount * sizeof(*out));
    return result;
}

static PFN_vkFreeCommandBuffers real_FreeCommandBuffers;
static VKAPI_ATTR void VKAPI_CALL wrap_FreeCommandBuffers(VkDevice device, VkCommandPool pool,
                                                          uint32_t count,
                                                          const VkCommandBuffer *commands)
{
    for (uint32_t i = 0; i < count; i++) {
        expect_idle_command(commands[i], "vkFreeCommandBuffers");
        faults_count(-(commands[i] != NULL));
    }
    real_FreeCommandBuffers(device, pool, count, commands);
}

static PFN_vkBeginCommandBuffer real_BeginCommandBuffer;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_BeginCommandBuffer(VkCommandBuffer command,
                                                              const VkCommandBufferBeginInfo *info)
{
    expect_idle_command(command, "vkBeginCommandBuffer");
    VkResult result = faults_result("vkBeginCommandBuffer", FAULT_DEVICE, HOST | DEVICE);
    return result < 0 ? result : real_BeginCommandBuffer(command, info);
}

static PFN_vkCreateComputePipelines real_CreateComputePipelines;
static VKAPI_ATTR VkResult VKAPI_CALL
wrap_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                            const VkComputePipelineCreateInfo *infos,
                            const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    /* The one function that the engine calls from several threads. */
    static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&counting);
    VkResult result = faults_result("vkCreateComputePipelines", FAULT_PIPELINE, HOST | DEVICE);
    pthread_mutex_unlock(&counting);
    if (result >= 0)
        result = real_CreateComputePipelines(device, cache, count, infos, allocator, out);
    pthread_mutex_lock(&counting);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = result < 0 ? VK_NULL_HANDLE : out[i];
        faults_count(out[i] != VK_NULL_HANDLE);
    }
    pthread_mutex_unlock(&counting);
    return result;
}

static PFN_vkDestroyPipeline real_DestroyPipeline;
static VKAPI_ATTR void VKAPI_CALL wrap_DestroyPipeline(VkDevice device, VkPipeline pipeline,
                                                       const VkAllocationCallbacks *allocator)
{
    if (pipeline && faults_in_use())
        faults_misused("vkDestroyPipeline");
    faults_count(-(pipeline != VK_NULL_HANDLE));
    real_DestroyPipeline(device, pipeline, allocator);
}

/* ---- the queue ---- */

static PFN_vkQueueSubmit real_QueueSubmit;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_QueueSubmit(VkQueue queue, uint32_t count,
                                                       const VkSubmitInfo *submits, VkFence fence)
{
    expect_idle_fence(fence, "vkQueueSubmit");
    VkResult result = faults_result("vkQueueSubmit", FAULT_DEVICE, HOST | DEVICE | LOST);
    if (result >= 0)
        result = real_QueueSubmit(queue, count, submits, fence);
    for (uint32_t i = 0; i < count && result >= 0; i++)
        for (uint32_t c = 0; c < submits[i].commandBufferCount; c++)
            faults_submitted(fence, submits[i].pCommandBuffers[c]);
    return result;
}

static PFN_vkWaitForFences real_WaitForFences;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_WaitForFences(VkDevice device, uint32_t count,
                                                         const VkFence *fences, VkBool32 all,
                                                         uint64_t timeout)
{
    const char *name = faults_failed();
    /* For a lost device it may succeed: after a look at the fence has told of the loss it does. */
    const uint32_t lost = name && !strcmp(name, "vkGetFenceStatus") ? 0 : LOST;
    VkResult result = faults_result("vkWaitForFences", FAULT_DEVICE, HOST | DEVICE | lost);
    if (result < 0)
        return result;
    result = real_WaitForFences(device, count, fences, all, timeout);
    for (uint32_t i = 0; i < count && result == VK_SUCCESS && (all || count == 1); i++)
        faults_waited(fences[i]);
    return result;
}

static PFN_vkGetFenceStatus real_GetFenceStatus;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_GetFenceStatus(VkDevice device, VkFence fence)
{
    VkResult result = faults_result("vkGetFenceStatus", FAULT_FENCE, LOST);
    return result < 0 ? result : real_GetFenceStatus(device, fence);
}

static PFN_vkResetFences real_ResetFences;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_ResetFences(VkDevice device, uint32_t count,
                                                       const VkFence *fences)
{
    for (uint32_t i = 0; i < count; i++)
        expect_idle_fence(fences[i], "vkResetFences");
    VkResult result = faults_result("vkResetFences", FAULT_DEVICE, DEVICE);
    return result < 0 ? result : real_ResetFences(device, count, fences);
}

static PFN_vkQueueWaitIdle real_QueueWaitIdle;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_QueueWaitIdle(VkQueue queue)
{
    VkResult result = faults_result("vkQueueWaitIdle", FAULT_DEVICE, HOST | DEVICE | LOST);
    if (result >= 0)
        result = real_QueueWaitIdle(queue);
    if (result == VK_SUCCESS)
        faults_idle();
    return result;
}

static PFN_vkDeviceWaitIdle real_DeviceWaitIdle;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_DeviceWaitIdle(VkDevice device)
{
    VkResult result = faults_result("vkDeviceWaitIdle", FAULT_DEVICE, HOST | DEVICE | LOST);
    if (result >= 0)
        result = real_DeviceWaitIdle(device);
    if (result == VK_SUCCESS)
        faults_idle();
    return result;
}

/* ---- the table ---- */

struct row {
    const char *name;
    PFN_vkVoidFunction replacement;
    void *real; /* where the function behind it is kept: a pointer of any function type */
};

#define FUNCTION(name)            {"vk" #name, (PFN_vkVoidFunction)wrap_##name, &real_##name},
#define PAIR(name, class, errors) FUNCTION(Create##name) FUNCTION(Destroy##name)

static const struct row rows[] = {
    OBJECTS(PAIR) FUNCTION(AllocateCommandBuffers) FUNCTION(AllocateDescriptorSets)
        FUNCTION(AllocateMemory) FUNCTION(BeginCommandBuffer) FUNCTION(BindBufferMemory)
            FUNCTION(CreateComputePipelines) FUNCTION(DestroyPipeline) FUNCTION(DeviceWaitIdle)
                FUNCTION(EndCommandBuffer) FUNCTION(FlushMappedMemoryRanges)
                    FUNCTION(FreeCommandBuffers) FUNCTION(FreeMemory) FUNCTION(GetFenceStatus)
                        FUNCTION(GetMemoryHostPointerPropertiesEXT) FUNCTION(GetPipelineCacheData)
                            FUNCTION(GetQueryPoolResults) FUNCTION(InvalidateMappedMemoryRanges)
                                FUNCTION(MapMemory) FUNCTION(MergePipelineCaches)
                                    FUNCTION(QueueSubmit) FUNCTION(QueueWaitIdle)
                                        FUNCTION(ResetFences) FUNCTION(WaitForFences)};

PFN_vkVoidFunction faults_device_function(const char *name, PFN_vkVoidFunction real)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows) && real; i++)
        if (strcmp(rows[i].name, name) == 0) {
            memcpy(rows[i].real, &real, sizeof(real));
            return rows[i].replacement;
        }
    return real;
}

void faults_really_wait(VkDevice device)
{
    real_DeviceWaitIdle(device);
}
