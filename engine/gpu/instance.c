/* The Vulkan instance, and the validation layer's reports. */
#include "gpu/instance.h"
#include <stdlib.h>
#include <string.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

static bool has_layer(const struct gpu_instance *instance, const char *name)
{
    PFN_vkEnumerateInstanceLayerProperties enumerate =
        (PFN_vkEnumerateInstanceLayerProperties)instance->get_proc(
            NULL, "vkEnumerateInstanceLayerProperties");
    uint32_t count = 0;
    if (!enumerate || enumerate(&count, NULL) < 0 || count == 0)
        return false;
    VkLayerProperties *layers = calloc(count, sizeof(*layers));
    bool found = false;
    if (layers && enumerate(&count, layers) >= 0)
        for (uint32_t i = 0; i < count && !found; i++)
            found = !strcmp(layers[i].layerName, name);
    free(layers);
    return found;
}

/* `layer` NULL: of the loader and the drivers. */
static bool has_extension(const struct gpu_instance *instance, const char *layer, const char *name)
{
    PFN_vkEnumerateInstanceExtensionProperties enumerate =
        (PFN_vkEnumerateInstanceExtensionProperties)instance->get_proc(
            NULL, "vkEnumerateInstanceExtensionProperties");
    struct gpu_extensions extensions = {0};
    if (!enumerate || enumerate(layer, &extensions.count, NULL) < 0 || extensions.count == 0)
        return false;
    extensions.list = calloc(extensions.count, sizeof(*extensions.list));
    bool found = extensions.list && enumerate(layer, &extensions.count, extensions.list) >= 0 &&
                 gpu_extension_present(&extensions, name);
    free(extensions.list);
    return found;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *user)
{
    struct gpu_device *device = user;
    (void)types;
    bool error = severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    if (error)
        device->validation_errors++;
    log_line(device->log, error ? LOG_ERROR : LOG_WARNING, "validation: %s", data->pMessage);
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(struct gpu_device *device)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = device};
}

static status open_messenger(struct gpu_device *device, struct gpu_instance *instance)
{
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)instance->get_proc(instance->handle,
                                                               "vkCreateDebugUtilsMessengerEXT");
    instance->DestroyDebugUtilsMessengerEXT =
        (PFN_vkDestroyDebugUtilsMessengerEXT)instance->get_proc(instance->handle,
                                                                "vkDestroyDebugUtilsMessengerEXT");
    VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(device);
    VkResult result = create && instance->DestroyDebugUtilsMessengerEXT
                          ? create(instance->handle, &info, NULL, &instance->messenger)
                          : VK_ERROR_EXTENSION_NOT_PRESENT;
    if (result < 0)
        return gpu_result_fail(device->log, result, "vkCreateDebugUtilsMessengerEXT");
    return STATUS_OK;
}

/* The version to ask for, 1.1 at least. */
static status instance_version(struct logger *log, const struct gpu_instance *instance,
                               uint32_t *version)
{
    PFN_vkEnumerateInstanceVersion enumerate =
        (PFN_vkEnumerateInstanceVersion)instance->get_proc(NULL, "vkEnumerateInstanceVersion");
    *version = 0;
    VkResult result = enumerate ? enumerate(version) : VK_SUCCESS;
    if (result < 0)
        return gpu_result_fail(log, result, "vkEnumerateInstanceVersion");
    if (*version < VK_API_VERSION_1_1)
        return fail(log, STATUS_NO_DEVICE, "the Vulkan loader is older than version 1.1");
    *version = *version < VK_API_VERSION_1_3 ? *version : VK_API_VERSION_1_3;
    return STATUS_OK;
}

/* Makes instance->handle; `validated` as in gpu_instance_init, or NULL without the layer. */
static status create_handle(struct logger *log, struct gpu_device *validated,
                            struct gpu_instance *instance)
{
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pApplicationName = "adamra",
                                     .pEngineName = "adamra"};
    status versioned = instance_version(log, instance, &application.apiVersion);
    if (versioned)
        return versioned;
    static const VkValidationFeatureEnableEXT checks[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    static const char *const layers[] = {VALIDATION_LAYER};
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(validated);
    VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                        .pNext = &messenger,
                                        .enabledValidationFeatureCount = ARRAY_SIZE(checks),
                                        .pEnabledValidationFeatures = checks};
    const char *extensions[3];
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application,
                                 .ppEnabledExtensionNames = extensions};
    if (validated) {
        info.pNext = &features;
        info.enabledLayerCount = ARRAY_SIZE(layers);
        info.ppEnabledLayerNames = layers;
        extensions[info.enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        extensions[info.enabledExtensionCount++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
    }
    if (has_extension(instance, NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)instance->get_proc(NULL, "vkCreateInstance");
    VkResult result =
        create ? create(&info, NULL, &instance->handle) : VK_ERROR_INITIALIZATION_FAILED;
    /* A loader without any driver fails here: there is no device then, which is no error. */
    if (result < 0 && result != VK_ERROR_INCOMPATIBLE_DRIVER)
        return gpu_result_fail(log, result, "vkCreateInstance");
    return STATUS_OK;
}

status gpu_instance_init(struct logger *log, PFN_vkGetInstanceProcAddr get_proc,
                         struct gpu_device *validated, struct gpu_instance *instance)
{
    *instance = (struct gpu_instance){0};
    status result = gpu_loader_open(log, get_proc, instance);
    if (result)
        return result;
    if (validated &&
        !(has_layer(instance, VALIDATION_LAYER) &&
          has_extension(instance, VALIDATION_LAYER, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME) &&
          (has_extension(instance, NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
           has_extension(instance, VALIDATION_LAYER, VK_EXT_DEBUG_UTILS_EXTENSION_NAME)))) {
        log_line(log, LOG_WARNING, "%s is not installed: not validating", VALIDATION_LAYER);
        validated = NULL;
    }
    result = create_handle(log, validated, instance);
    if (!result && instance->handle)
        result = gpu_loader_instance(log, instance);
    if (!result && instance->handle && validated)
        result = open_messenger(validated, instance);
    if (result)
        gpu_instance_finish(instance);
    return result;
}

status gpu_instance_adopt(struct logger *log, PFN_vkGetInstanceProcAddr get_proc, VkInstance handle,
                          struct gpu_instance *instance)
{
    *instance = (struct gpu_instance){0};
    status result = gpu_loader_open(log, get_proc, instance);
    if (result)
        return result;
    instance->handle = handle;
    result = gpu_loader_instance(log, instance);
    instance->DestroyInstance = NULL; /* it is not ours to destroy */
    if (result)
        gpu_instance_finish(instance);
    return result;
}

void gpu_instance_finish(struct gpu_instance *instance)
{
    if (instance->messenger)
        instance->DestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, NULL);
    if (instance->handle && instance->DestroyInstance)
        instance->DestroyInstance(instance->handle, NULL);
    gpu_loader_close(instance);
}
