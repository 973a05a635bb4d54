/* The loader's door and Vulkan's instance functions, replaced like those of the device. */
#include "faults_inside.h"
#include "gpu/instance.h"
#include <string.h>

static PFN_vkGetInstanceProcAddr real_GetInstanceProcAddr;

/* Functions that do their work or fail, and no more. */
#define SIMPLE(name, errors, parameters, arguments)                                                \
    static PFN_vk##name real_##name;                                                               \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_##name parameters                                   \
    {                                                                                              \
        VkResult result = faults_result("vk" #name, FAULT_OPEN, errors);                           \
        return result < 0 ? result : real_##name arguments;                                        \
    }

SIMPLE(EnumerateInstanceVersion, HOST, (uint32_t * version), (version))
SIMPLE(EnumerateInstanceLayerProperties, HOST | DEVICE, (uint32_t * count, VkLayerProperties *out),
       (count, out))
SIMPLE(EnumerateInstanceExtensionProperties, HOST | DEVICE,
       (const char *layer, uint32_t *count, VkExtensionProperties *out), (layer, count, out))
SIMPLE(EnumeratePhysicalDevices, HOST | DEVICE | INIT,
       (VkInstance instance, uint32_t *count, VkPhysicalDevice *out), (instance, count, out))
SIMPLE(EnumerateDeviceExtensionProperties, HOST | DEVICE,
       (VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *out),
       (physical, layer, count, out))

static PFN_vkCreateInstance real_CreateInstance;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateInstance(const VkInstanceCreateInfo *info,
                                                          const VkAllocationCallbacks *allocator,
                                                          VkInstance *out)
{
    VkResult result = faults_result("vkCreateInstance", FAULT_OPEN, HOST | DEVICE | INIT);
    if (result >= 0)
        result = real_CreateInstance(info, allocator, out);
    faults_count(result >= 0);
    return result;
}

static PFN_vkDestroyInstance real_DestroyInstance;
static VKAPI_ATTR void VKAPI_CALL wrap_DestroyInstance(VkInstance instance,
                                                       const VkAllocationCallbacks *allocator)
{
    faults_count(-(instance != NULL));
    real_DestroyInstance(instance, allocator);
}

static PFN_vkCreateDebugUtilsMessengerEXT real_CreateDebugUtilsMessengerEXT;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateDebugUtilsMessengerEXT(
    VkInstance instance, const VkDebugUtilsMessengerCreateInfoEXT *info,
    const VkAllocationCallbacks *allocator, VkDebugUtilsMessengerEXT *out)
{
    VkResult result = faults_result("vkCreateDebugUtilsMessengerEXT", FAULT_OPEN, HOST);
    if (result >= 0)
        result = real_CreateDebugUtilsMessengerEXT(instance, info, allocator, out);
    faults_count(result >= 0);
    return result;
}

static PFN_vkDestroyDebugUtilsMessengerEXT real_DestroyDebugUtilsMessengerEXT;
static VKAPI_ATTR void VKAPI_CALL wrap_DestroyDebugUtilsMessengerEXT(
    VkInstance instance, VkDebugUtilsMessengerEXT messenger, const VkAllocationCallbacks *allocator)
{
    faults_count(-(messenger != VK_NULL_HANDLE));
    real_DestroyDebugUtilsMessengerEXT(instance, messenger, allocator);
}

/* No memory is coherent where it need not be, so that the engine has to flush what it maps. */
static PFN_vkGetPhysicalDeviceMemoryProperties2 real_GetPhysicalDeviceMemoryProperties2;
static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceMemoryProperties2(
    VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *out)
{
    real_GetPhysicalDeviceMemoryProperties2(physical, out);
    for (uint32_t i = 0; i < out->memoryProperties.memoryTypeCount && !faults_coherent(); i++)
        out->memoryProperties.memoryTypes[i].propertyFlags &=
            ~(VkMemoryPropertyFlags)VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

/* ---- the device ---- */

static PFN_vkCreateDevice real_CreateDevice;
static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateDevice(VkPhysicalDevice physical,
                                                        const VkDeviceCreateInfo *info,
                                                        const VkAllocationCallbacks *allocator,
                                                        VkDevice *out)
{
    VkResult result = faults_result("vkCreateDevice", FAULT_OPEN, HOST | DEVICE | INIT | LOST);
    if (result >= 0)
        result = real_CreateDevice(physical, info, allocator, out);
    faults_count(result >= 0);
    if (result >= 0)
        faults_set_device(*out);
    return result;
}

static PFN_vkDestroyDevice real_DestroyDevice;
static VKAPI_ATTR void VKAPI_CALL wrap_DestroyDevice(VkDevice device,
                                                     const VkAllocationCallbacks *allocator)
{
    if (faults_pending())
        faults_misused("vkDestroyDevice");
    faults_idle();
    faults_set_device(NULL);
    faults_count(-(device != NULL));
    real_DestroyDevice(device, allocator);
}

static PFN_vkGetDeviceProcAddr real_GetDeviceProcAddr;
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL wrap_GetDeviceProcAddr(VkDevice device,
                                                                       const char *name)
{
    if (strcmp(name, "vkDestroyDevice") == 0) {
        real_DestroyDevice = (PFN_vkDestroyDevice)real_GetDeviceProcAddr(device, name);
        return (PFN_vkVoidFunction)wrap_DestroyDevice;
    }
    return faults_device_function(name, real_GetDeviceProcAddr(device, name));
}

/* ---- the door ---- */

struct row {
    const char *name;
    PFN_vkVoidFunction replacement;
    void *real; /* where the function behind it is kept: a pointer of any function type */
};

#define FUNCTION(name) {"vk" #name, (PFN_vkVoidFunction)wrap_##name, &real_##name},

static const struct row rows[] = {
    FUNCTION(EnumerateInstanceVersion) FUNCTION(EnumerateInstanceLayerProperties)
        FUNCTION(EnumerateInstanceExtensionProperties) FUNCTION(EnumeratePhysicalDevices)
            FUNCTION(EnumerateDeviceExtensionProperties) FUNCTION(CreateInstance)
                FUNCTION(DestroyInstance) FUNCTION(CreateDebugUtilsMessengerEXT)
                    FUNCTION(DestroyDebugUtilsMessengerEXT)
                        FUNCTION(GetPhysicalDeviceMemoryProperties2) FUNCTION(CreateDevice)
                            FUNCTION(GetDeviceProcAddr)};

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_proc(VkInstance instance, const char *name)
{
    PFN_vkVoidFunction real = real_GetInstanceProcAddr(instance, name);
    for (size_t i = 0; i < ARRAY_SIZE(rows) && real; i++)
        if (strcmp(rows[i].name, name) == 0) {
            memcpy(rows[i].real, &real, sizeof(real));
            return rows[i].replacement;
        }
    return real;
}

/* In place of gpu_loader_open, wherever the engine calls it. */
status __real_gpu_loader_open(struct logger *log, PFN_vkGetInstanceProcAddr own,
                              struct gpu_instance *instance);
status __wrap_gpu_loader_open(struct logger *log, PFN_vkGetInstanceProcAddr own,
                              struct gpu_instance *instance);
status __wrap_gpu_loader_open(struct logger *log, PFN_vkGetInstanceProcAddr own,
                              struct gpu_instance *instance)
{
    status result = __real_gpu_loader_open(log, own, instance);
    if (result == STATUS_OK && faults_watched()) {
        real_GetInstanceProcAddr = instance->get_proc;
        instance->get_proc = get_proc;
    }
    return result;
}
