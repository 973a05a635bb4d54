/* gpu: device -> memory -> pipeline -> recording.
 *
 * Ownership: whoever creates destroys; destroy functions accept NULL. A device outlives everything
 * made from it. Parameter structs are read during the call only; `{0}` is valid unless said.
 * Threading: a device and what is made from it belong to one thread at a time. No global state.
 * The baseline is Vulkan 1.1 with nothing optional. */
#ifndef GPU_H
#define GPU_H

#include "base/base.h"
#include "gpu/shaders.h"
#include "params.h"
#include <stdatomic.h>
#include <volk.h>

#define GPU_MAX_BINDINGS  8
#define GPU_MAX_CONSTANTS 24

/* ---- device.c ---- */

/* Instance-level functions, loaded per context: volk keeps its own in globals. handle is
 * VK_NULL_HANDLE when there is a loader but no driver. */
struct gpu_instance {
    void *library; /* of the loader; NULL when the caller brought vkGetInstanceProcAddr */
    VkInstance handle;
    PFN_vkGetInstanceProcAddr get_proc;
    PFN_vkDestroyInstance DestroyInstance;
    PFN_vkEnumeratePhysicalDevices EnumeratePhysicalDevices;
    PFN_vkGetPhysicalDeviceProperties2 GetPhysicalDeviceProperties2;
    PFN_vkGetPhysicalDeviceFeatures2 GetPhysicalDeviceFeatures2;
    PFN_vkGetPhysicalDeviceMemoryProperties2 GetPhysicalDeviceMemoryProperties2;
    PFN_vkGetPhysicalDeviceFormatProperties2 GetPhysicalDeviceFormatProperties2;
    PFN_vkGetPhysicalDeviceQueueFamilyProperties2 GetPhysicalDeviceQueueFamilyProperties2;
    PFN_vkGetPhysicalDeviceExternalBufferProperties GetPhysicalDeviceExternalBufferProperties;
    PFN_vkEnumerateDeviceExtensionProperties EnumerateDeviceExtensionProperties;
    PFN_vkCreateDevice CreateDevice;
    PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
    VkDebugUtilsMessengerEXT messenger; /* VK_NULL_HANDLE when not validating */
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT;
};

enum gpu_device_type { GPU_DISCRETE, GPU_INTEGRATED, GPU_VIRTUAL, GPU_CPU, GPU_OTHER };

/* Limits that the engine keeps to: read from here, not from Vulkan, so that they can be lowered. */
struct gpu_limits {
    uint64_t storage_range;    /* bytes of one storage buffer binding */
    uint64_t texel_elements;   /* of one texel buffer view */
    uint64_t allocation_bytes; /* of one VkDeviceMemory, and of a buffer */
    uint64_t buffer_offset;    /* alignment of a binding's offset: storage and texel, bytes */
    uint64_t noncoherent_atom;
    uint64_t host_import; /* alignment of imported host memory, bytes */
    uint32_t groups[3];   /* maxComputeWorkGroupCount */
    uint32_t group_size[3];
    uint32_t group_invocations;
    uint32_t shared_bytes;
    uint32_t push_bytes;
    uint32_t storage_buffers; /* of one shader */
    uint32_t loop_iterations; /* of an invocation, in all its loops, before the driver ends them */
};

/* Sizes M, N, K of the cooperative matrices of halves, with sums in f32, that a subgroup holds. */
#define GPU_MAX_MATRICES 16
struct gpu_matrices {
    uint32_t count;
    uint8_t sizes[GPU_MAX_MATRICES][3];
};
bool gpu_matrices_hold(const struct gpu_matrices *matrices, uint32_t m, uint32_t n, uint32_t k);

struct gpu_features {
    uint32_t subgroup_size;
    uint32_t subgroup_least, subgroup_most; /* what a pipeline may require; 0: nothing */
    uint32_t group_subgroups;               /* in a workgroup of such a pipeline, at most */
    bool subgroup_shuffle, subgroup_quad;   /* in compute */
    bool texel_f32, texel_f16; /* uniform texel buffers of rgba32f, rgba16f */
    bool storage16;            /* storageBuffer16BitAccess: told, but of no use here, as halves are
                                * packed in words of 32 bits */
    bool float16;              /* shaderFloat16 */
    bool unpack_half;          /* unpackHalf2x16 works in shaders */
    bool pack_half;            /* packHalf2x16 is right, and fast */
    bool int64;                /* shaderInt64 */
    bool cooperative_matrix;   /* NV or KHR extension present, and enabled */
    struct gpu_matrices matrices_nv, matrices_khr; /* of either dialect's; none: not enabled */
    bool host_import;          /* VK_EXT_external_memory_host, of our buffers */
    bool hardware_buffers;     /* VK_ANDROID_external_memory_android_hardware_buffer */
    bool budget;               /* VK_EXT_memory_budget */
    bool unified;              /* device-local memory is host visible: no staging copies */
    bool timestamps;           /* on the compute queue */
};

struct gpu_info {
    uint32_t index; /* in the list that gpu_list returns */
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
    enum gpu_device_type type;
    uint8_t uuid[VK_UUID_SIZE];
    char uuid_text[2 * VK_UUID_SIZE + 5]; /* 8-4-4-4-12 */
    char driver[VK_MAX_DRIVER_NAME_SIZE + 1];
    char driver_version[VK_MAX_DRIVER_INFO_SIZE + 32];
    uint32_t api_version;  /* VK_MAKE_API_VERSION */
    uint64_t memory_bytes; /* largest device-local heap */
    uint64_t heap_free;    /* VK_EXT_memory_budget where present, else memory_bytes */
    struct gpu_limits limits;
    struct gpu_features features;
};

/* The caller's Vulkan objects, to be used and not to be destroyed. */
struct gpu_external {
    VkInstance instance;
    uint32_t api_version;
    VkPhysicalDevice physical;
    VkDevice device;
    const VkDeviceCreateInfo *device_info; /* what is enabled; NULL: nothing optional */
    VkQueue queue;
    uint32_t family;
    void (*lock)(void *user); /* around every use of the queue; both may be NULL */
    void (*unlock)(void *user);
    void *user;
};

/* Where compiled pipelines and measured choices are kept: as adamra_cache (adamra.h). */
struct gpu_store {
    int (*load)(void *user, const char *key, void *data, size_t *size);
    int (*save)(void *user, const char *key, const void *data, size_t size);
    void *user;
};

struct gpu_device_params {
    PFN_vkGetInstanceProcAddr get_proc;  /* NULL: the system's loader */
    const struct gpu_external *external; /* NULL: instance and device of our own */
    struct gpu_store store;              /* {0}: nothing is kept */
    uint64_t max_memory;  /* bytes of device memory taken at most; 0: what there is */
    double max_submit_ms; /* 0 means 100; negative: unbounded */
    uint32_t compile_threads; /* that make pipelines; 0: one a processor, PARALLEL_MOST at most */
    int (*progress)(void *user, double done); /* between submissions; not 0 cancels; may be NULL */
    void *user;
    const char *limits; /* "name=value,...": lowers limits (limits.c); NULL: none */
    const char *select; /* index, name part or UUID; NULL: the best type, in the order of
                         * enum gpu_device_type */
    bool validate;      /* enable VK_LAYER_KHRONOS_validation when installed; its errors are logged
                         * at LOG_ERROR and counted in gpu_device.validation_errors */
};

struct gpu_memory;       /* memory.c: block allocator */
struct gpu_pipeline_set; /* pipeline.c: pipelines made so far */
struct gpu_needs_table;  /* needs.c: what shaders need */
struct op_choices;       /* ops/choices.h: kernels that were measured to be better */

struct gpu_device {
    struct logger *log; /* not owned */
    struct gpu_instance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    struct VolkDeviceTable vk;
    VkQueue queue;
    uint32_t family;
    struct gpu_info info;         /* as the driver reports it */
    struct gpu_limits limits;     /* what is kept to; starts as info.limits */
    struct gpu_features features; /* what is used; starts as info.features */
    float timestamp_ns;           /* nanoseconds per tick */
    uint32_t timestamp_bits;
    VkCommandPool commands;
    struct gpu_memory *memory;
    struct gpu_pipeline_set *pipelines;
    struct gpu_needs_table *needs;
    struct op_choices *choices; /* NULL: none; one allocation, owned */
    bool external;              /* instance and device are the caller's */
    void (*lock)(void *user);
    void (*unlock)(void *user);
    void *lock_user;
    struct gpu_store store;
    uint64_t max_memory;
    uint32_t compile_threads; /* at least 1 */
    double max_submit_ms;     /* infinite: unbounded */
    double operations_per_ms; /* measured so far, by the slowest submission; 0: not yet */
    int (*progress)(void *user, double done);
    void *progress_user;
    double progress_from, progress_to; /* the share of the whole that lists run now are: 0, 1 but
                                        * for whoever runs several of them in one call */
    struct gpu_commands *pending; /* the run of which parts are still to be submitted, or NULL */
    atomic_bool cancelled;        /* set by gpu_cancel, cleared by the run that it ends */
    uint32_t validation_errors;
    bool lost; /* a call returned VK_ERROR_DEVICE_LOST: everything fails now */
};

/* Lists usable devices in Vulkan's order, those of one GPU under a second driver (same UUID)
 * removed, and with a warning those whose driver fails. *infos is malloc'ed (free it), NULL when
 * there are none; no device at all is STATUS_OK with *count 0, no Vulkan loader is
 * STATUS_NO_DEVICE. */
status gpu_list(struct logger *log, struct gpu_info **infos, uint32_t *count);
/* STATUS_NO_DEVICE, with what was asked and what there is, when nothing matches. */
status gpu_device_create(struct logger *log, const struct gpu_device_params *params,
                         struct gpu_device **out);
/* Waits for the queue, then frees all. */
void gpu_device_destroy(struct gpu_device *device);

/* Ends the run in progress, or the next, with STATUS_CANCELLED. Any thread, any signal handler. */
static inline void gpu_cancel(struct gpu_device *device)
{
    atomic_store(&device->cancelled, true);
}
/* For calls that run several lists, between them: says that this share of what progress_from and
 * progress_to stand for is done. STATUS_CANCELLED when the caller does not want the rest. */
status gpu_progress(struct gpu_device *device, double share);
/* Submits under the caller's lock. `fence` may be VK_NULL_HANDLE. */
status gpu_queue_submit(struct gpu_device *device, uint32_t count, const VkSubmitInfo *submits,
                        VkFence fence);
/* Waits for a submission. On failure the device counts as lost: what it does is not known. */
status gpu_fence_wait(struct gpu_device *device, VkFence fence);

/* ---- limits.c ---- */

/* Lowers limits, raises alignments and switches features off (value 0) by "name=value,..." with the
 * names of structs gpu_limits and gpu_features, or by the name of a preset; the tables in limits.c
 * say what there is. What the device cannot do, or no device: STATUS_INVALID_ARGUMENT. */
status gpu_limits_lower(struct logger *log, const char *text, struct gpu_limits *limits,
                        struct gpu_features *features);

/* STATUS_DEVICE_LOST, reported, once the device is lost. */
status gpu_device_check(const struct gpu_device *device);
/* STATUS_OUT_OF_HOST_MEMORY where, since the last call, it could not be told what a shader needs
 * for want of memory: what was chosen by that is not what would be chosen otherwise. */
status gpu_needs_status(struct gpu_device *device);
/* The status for a failed VkResult, reported with the call's name; sets device->lost. */
status gpu_vk_fail(struct gpu_device *device, VkResult result, const char *call, const char *file,
                   int line);
/* The same for a call before there is a device. */
status gpu_result_fail(struct logger *log, VkResult result, const char *call);
/* Runs a Vulkan call; on failure sets `result_` (a `status`) and jumps to `error`. */
#define GPU_TRY(device, result_, call)                                                             \
    do {                                                                                           \
        VkResult vk_result_ = (call);                                                              \
        if (vk_result_ < 0) {                                                                      \
            (result_) = gpu_vk_fail((device), vk_result_, #call, __FILE__, __LINE__);              \
            goto error;                                                                            \
        }                                                                                          \
    } while (0)
const char *gpu_type_text(enum gpu_device_type type); /* "discrete", "cpu", ... */

/* Memory of all kinds. */
#include "gpu/buffer.h"

/* ---- reflect.c ---- */

enum gpu_binding_kind { GPU_BINDING_NONE, GPU_BINDING_STORAGE, GPU_BINDING_TEXEL };
enum gpu_access { GPU_READ = 1, GPU_WRITE = 2 };

/* What a SPIR-V module says of itself: set 0 only. Two variables may share a binding (one per
 * element type); their accesses are united. */
struct gpu_reflection {
    enum gpu_binding_kind kinds[GPU_MAX_BINDINGS];
    uint32_t access[GPU_MAX_BINDINGS]; /* enum gpu_access bits; from NonWritable, NonReadable */
    uint32_t binding_count;            /* highest binding + 1 */
    uint32_t push_bytes;               /* size of the push constant block, 0 if none */
    uint32_t local_size_id[3];         /* constant ids of the group size; UINT32_MAX if literal */
    uint32_t local_size[3];            /* literal sizes, or defaults of those constants */
};

/* STATUS_UNSUPPORTED for modules that break the rules above. No device needed. */
status gpu_reflect(struct logger *log, const uint32_t *words, size_t count,
                   struct gpu_reflection *out);

/* ---- pipeline.c ---- */

/* The module of a shader, for reflection tests and offline compilation. */
const uint32_t *gpu_shader_words(enum gpu_shader shader, size_t *count);
const char *gpu_shader_name(enum gpu_shader shader);

struct gpu_pipeline {
    enum gpu_shader shader;
    struct gpu_reflection reflection;
    VkPipeline handle;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set_layout;
};

/* A shader with specialisation constants: values[i] goes to constant id i for i < count (ids that
 * the module lacks are ignored). */
struct gpu_pipeline_key {
    enum gpu_shader shader;
    uint32_t values[GPU_MAX_CONSTANTS];
    uint32_t count;
};

/* Makes those pipelines that the device does not have yet, several at a time on its
 * compile_threads. After a failure none of these is there. */
status gpu_pipelines_make(struct gpu_device *device, const struct gpu_pipeline_key *keys,
                          uint32_t count);
/* The pipeline of a shader and constants. Made on first use, kept by the device. */
status gpu_pipeline_get(struct gpu_device *device, enum gpu_shader shader, const uint32_t *values,
                        uint32_t count, const struct gpu_pipeline **out);
uint32_t gpu_pipeline_count(const struct gpu_device *device);
status gpu_pipelines_create(struct gpu_device *device);
void gpu_pipelines_destroy(struct gpu_device *device);

/* ---- record.c ---- */

/* Which texels a binding is read as where the shader wants a texel buffer. */
enum gpu_format { GPU_RAW, GPU_RGBA32F, GPU_RGBA16F }; /* raw: one 32 bit word */

struct gpu_binding {
    struct gpu_buffer *buffer;
    uint64_t offset, size; /* bytes; offset a multiple of 16 */
    enum gpu_format format;
};

/* What moving a byte counts for where work is measured in operations. */
#define GPU_OPERATIONS_PER_BYTE 8

struct gpu_dispatch;

/* The bytes [*begin, *end) of binding `index` (relative to its offset) that the work items
 * [first, end_item) touch. Must grow with the range of items. */
typedef void (*gpu_span_fn)(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                            uint64_t end_item, uint64_t *begin, uint64_t *end);

/* One op's work. An item is what one workgroup does. The push block starts with
 * `struct item_range` (params.h), which the recorder fills: the items of this piece and, for each
 * binding, the element (16 bytes of f32, 8 of f16, 4 of raw) that its view starts at. */
struct gpu_dispatch {
    const struct gpu_pipeline *pipeline;
    const char *label; /* static text, for profiles */
    struct gpu_binding bindings[GPU_MAX_BINDINGS];
    uint32_t binding_count;
    void *push; /* item_range first; push_size bytes; the recorder overwrites item_range */
    uint32_t push_size;
    uint64_t items;
    double operations;     /* of all items, GPU_OPERATIONS_PER_BYTE for each byte that moves among
                            * them: what the time of a submission is estimated by */
    gpu_span_fn span;      /* NULL: every item may touch all of every binding */
    const void *span_data; /* for the span function, only read during the call */
};

struct gpu_commands; /* a recorded, resubmittable list of dispatches and copies */

struct gpu_profile_entry {
    const char *label;
    double ms;
};

struct gpu_commands_params {
    bool profile;            /* a timestamp around every dispatch */
    VkCommandBuffer command; /* record into this one of the caller's instead; then no submit, and
                              * the caller keeps `gpu_commands` until it has executed */
};

status gpu_commands_create(struct gpu_device *device, const struct gpu_commands_params *params,
                           struct gpu_commands **out);
void gpu_commands_destroy(struct gpu_commands *commands);
/* Barriers are placed from the pipeline's accesses and the byte ranges touched: two dispatches
 * that do not conflict may overlap. A dispatch is split so that every view keeps to
 * limits.storage_range, limits.texel_elements and limits.groups; STATUS_UNSUPPORTED when one item
 * alone does not fit. items == 0 records nothing. */
status gpu_commands_dispatch(struct gpu_commands *commands, const struct gpu_dispatch *dispatch);
status gpu_commands_copy(struct gpu_commands *commands, struct gpu_buffer *source,
                         uint64_t source_offset, struct gpu_buffer *target, uint64_t target_offset,
                         uint64_t size);
/* 32 bit fill; offset and size multiples of 4. */
status gpu_commands_fill(struct gpu_commands *commands, struct gpu_buffer *target, uint64_t offset,
                         uint64_t size, uint32_t value);
/* Ends recording: nothing may be added after it. */
status gpu_commands_end(struct gpu_commands *commands);
/* Starts a run and returns; the same list is not submitted again before it was waited for. Lists of
 * one device run one after another, in the order of their submission: where an earlier one still
 * has parts to submit, that is done first, with its waits, and its failure is returned too. */
status gpu_commands_submit(struct gpu_commands *commands);
/* Waits for the end of a submitted run; *device_ms as for gpu_commands_run. */
status gpu_commands_wait(struct gpu_commands *commands, double *device_ms);
/* Submits and waits; may be called again and again. Work is submitted in groups of parts of at most
 * device->max_submit_ms each, by the rate measured so far, with device->progress between them.
 * STATUS_CANCELLED leaves the list fit to run again. *device_ms (may be NULL): what the device was
 * busy for by timestamps, or -1 where the queue has none. */
status gpu_commands_run(struct gpu_commands *commands, double *device_ms);
/* After a whole run with params.profile: one entry per recorded dispatch (pieces of one are
 * summed). Entries live until the next call or destruction. */
status gpu_commands_profile(struct gpu_commands *commands, const struct gpu_profile_entry **entries,
                            uint32_t *count);
/* Dispatches (pieces) and barriers recorded: tests count them. */
uint32_t gpu_commands_dispatches(const struct gpu_commands *commands);
uint32_t gpu_commands_barriers(const struct gpu_commands *commands);
/* Submissions of the last run, and the most that one may have. */
uint32_t gpu_commands_submissions(const struct gpu_commands *commands);
uint32_t gpu_commands_parts(const struct gpu_commands *commands);
/* Whether the list is cut several times finer than it would be now that the rate is known. */
bool gpu_commands_outgrown(const struct gpu_commands *commands);

#endif
