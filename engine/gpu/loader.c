/* Finds the Vulkan loader at run time and loads function pointers.
 *
 * volk gives the type of the device table. Its own loading code is not compiled in: it defines a
 * global of every Vulkan function's name, which would take the place of the Vulkan library's
 * functions in a program that links both it and a static libadamra. */
#include "gpu/instance.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#ifdef _WIN32
static const char *const library_names[] = {"vulkan-1.dll"};

static void *library_open(const char *name)
{
    return (void *)LoadLibraryA(name);
}

static PFN_vkGetInstanceProcAddr library_entry(void *library)
{
    return (PFN_vkGetInstanceProcAddr)(void (*)(void))GetProcAddress(library,
                                                                     "vkGetInstanceProcAddr");
}

static void library_close(void *library)
{
    FreeLibrary(library);
}
#else
#ifdef __APPLE__
static const char *const library_names[] = {"libvulkan.1.dylib", "libvulkan.dylib",
                                            "libMoltenVK.dylib"};
#else
static const char *const library_names[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

static void *library_open(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

static PFN_vkGetInstanceProcAddr library_entry(void *library)
{
    /* ISO C has no conversion between object and function pointers; POSIX has. */
    union {
        void *object;
        PFN_vkGetInstanceProcAddr function;
    } symbol = {.object = dlsym(library, "vkGetInstanceProcAddr")};
    return symbol.function;
}

static void library_close(void *library)
{
    dlclose(library);
}
#endif

status gpu_loader_open(struct logger *log, PFN_vkGetInstanceProcAddr get_proc,
                       struct gpu_instance *instance)
{
    instance->get_proc = get_proc;
    if (get_proc)
        return STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(library_names) && !instance->library; i++)
        instance->library = library_open(library_names[i]);
    if (!instance->library)
        return fail(log, STATUS_NO_DEVICE, "no Vulkan: the loader %s cannot be opened",
                    library_names[0]);
    instance->get_proc = library_entry(instance->library);
    if (instance->get_proc)
        return STATUS_OK;
    gpu_loader_close(instance);
    return fail(log, STATUS_NO_DEVICE, "no Vulkan: %s lacks vkGetInstanceProcAddr",
                library_names[0]);
}

void gpu_loader_close(struct gpu_instance *instance)
{
    if (instance->library)
        library_close(instance->library);
    *instance = (struct gpu_instance){0};
}

#define INSTANCE_FUNCTIONS(ROW)                                                                    \
    ROW(DestroyInstance)                                                                           \
    ROW(EnumeratePhysicalDevices)                                                                  \
    ROW(GetPhysicalDeviceProperties2)                                                              \
    ROW(GetPhysicalDeviceFeatures2)                                                                \
    ROW(GetPhysicalDeviceMemoryProperties2)                                                        \
    ROW(GetPhysicalDeviceFormatProperties2)                                                        \
    ROW(GetPhysicalDeviceQueueFamilyProperties2)                                                   \
    ROW(GetPhysicalDeviceExternalBufferProperties)                                                 \
    ROW(EnumerateDeviceExtensionProperties)                                                        \
    ROW(CreateDevice)                                                                              \
    ROW(GetDeviceProcAddr)

status gpu_loader_instance(struct logger *log, struct gpu_instance *instance)
{
    const char *missing = NULL;
#define LOAD(name)                                                                                 \
    instance->name = (PFN_vk##name)instance->get_proc(instance->handle, "vk" #name);               \
    if (!instance->name)                                                                           \
        missing = "vk" #name;
    INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    if (missing)
        return fail(log, STATUS_NO_DEVICE, "the Vulkan loader lacks %s", missing);
    return STATUS_OK;
}

/* The device functions that the engine calls: a new call needs its row here. */
#define DEVICE_FUNCTIONS(ROW)                                                                      \
    ROW(AllocateCommandBuffers)                                                                    \
    ROW(AllocateDescriptorSets)                                                                    \
    ROW(AllocateMemory)                                                                            \
    ROW(BeginCommandBuffer)                                                                        \
    ROW(BindBufferMemory)                                                                          \
    ROW(CmdBindDescriptorSets)                                                                     \
    ROW(CmdBindPipeline)                                                                           \
    ROW(CmdCopyBuffer)                                                                             \
    ROW(CmdCopyQueryPoolResults)                                                                   \
    ROW(CmdDispatch)                                                                               \
    ROW(CmdFillBuffer)                                                                             \
    ROW(CmdPipelineBarrier)                                                                        \
    ROW(CmdPushConstants)                                                                          \
    ROW(CmdResetQueryPool)                                                                         \
    ROW(CmdWriteTimestamp)                                                                         \
    ROW(CreateBuffer)                                                                              \
    ROW(CreateBufferView)                                                                          \
    ROW(CreateCommandPool)                                                                         \
    ROW(CreateComputePipelines)                                                                    \
    ROW(CreateDescriptorPool)                                                                      \
    ROW(CreateDescriptorSetLayout)                                                                 \
    ROW(CreateFence)                                                                               \
    ROW(CreatePipelineCache)                                                                       \
    ROW(CreatePipelineLayout)                                                                      \
    ROW(CreateQueryPool)                                                                           \
    ROW(CreateShaderModule)                                                                        \
    ROW(DestroyBuffer)                                                                             \
    ROW(DestroyBufferView)                                                                         \
    ROW(DestroyCommandPool)                                                                        \
    ROW(DestroyDescriptorPool)                                                                     \
    ROW(DestroyDescriptorSetLayout)                                                                \
    ROW(DestroyDevice)                                                                             \
    ROW(DestroyFence)                                                                              \
    ROW(DestroyPipeline)                                                                           \
    ROW(DestroyPipelineCache)                                                                      \
    ROW(DestroyPipelineLayout)                                                                     \
    ROW(DestroyQueryPool)                                                                          \
    ROW(DestroyShaderModule)                                                                       \
    ROW(DeviceWaitIdle)                                                                            \
    ROW(EndCommandBuffer)                                                                          \
    ROW(FlushMappedMemoryRanges)                                                                   \
    ROW(FreeCommandBuffers)                                                                        \
    ROW(FreeMemory)                                                                                \
    ROW(GetBufferMemoryRequirements)                                                               \
    ROW(GetDeviceQueue)                                                                            \
    ROW(GetFenceStatus)                                                                            \
    ROW(GetPipelineCacheData)                                                                      \
    ROW(GetQueryPoolResults)                                                                       \
    ROW(InvalidateMappedMemoryRanges)                                                              \
    ROW(MapMemory)                                                                                 \
    ROW(MergePipelineCaches)                                                                       \
    ROW(QueueSubmit)                                                                               \
    ROW(ResetFences)                                                                               \
    ROW(UpdateDescriptorSets)                                                                      \
    ROW(WaitForFences)

/* Those of extensions: NULL where they are not enabled. */
#ifdef __ANDROID__
#define OPTIONAL_FUNCTIONS(ROW)                                                                    \
    ROW(GetMemoryHostPointerPropertiesEXT)                                                         \
    ROW(GetAndroidHardwareBufferPropertiesANDROID)
#else
#define OPTIONAL_FUNCTIONS(ROW) ROW(GetMemoryHostPointerPropertiesEXT)
#endif

status gpu_loader_device(struct gpu_device *device)
{
    const char *missing = NULL;
#define LOAD(name)                                                                                 \
    device->vk.vk##name =                                                                          \
        (PFN_vk##name)device->instance.GetDeviceProcAddr(device->handle, "vk" #name);              \
    if (!device->vk.vk##name)                                                                      \
        missing = "vk" #name;
    DEVICE_FUNCTIONS(LOAD)
#undef LOAD
#define LOAD(name)                                                                                 \
    device->vk.vk##name =                                                                          \
        (PFN_vk##name)device->instance.GetDeviceProcAddr(device->handle, "vk" #name);
    OPTIONAL_FUNCTIONS(LOAD)
#undef LOAD
    if (missing)
        return fail(device->log, STATUS_DRIVER, "the driver of %s lacks %s", device->info.name,
                    missing);
    return STATUS_OK;
}
