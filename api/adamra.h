/*
 * adamra: Adaptive Multi-Resolution Attention (arXiv 2108.04962) on Vulkan.
 *
 * Rules that hold for all of it, said once:
 *  - Status: functions that can fail return adamra_status. adamra_error(context) is the reason of
 *    the context's last failure, one line. Nothing aborts, exits, prints, or keeps global state.
 *  - Ownership: what a `create` or `load` function returns is destroyed by its `destroy` function,
 *    which accepts NULL. A context outlives everything made from it. Parameter structs, strings
 *    and arrays are read during the call only. For every parameter struct `{0}` is valid unless a
 *    field says that it is required; 0 means the default.
 *  - Threading: a context and what is made from it belong to one thread at a time. Different
 *    contexts are independent, also on the same device. Threads of the library's own only compile
 *    pipelines, call no function of the caller's and end before the call does; the driver may send
 *    a debug messenger of the caller's its messages on them.
 *  - Callbacks may call adamra_cancel and adamra_error of their context, nothing else of it.
 *  - Host memory is plain C arrays, row-major and tight: the last index runs fastest.
 *  - Letters: B batch, G query groups, H heads (resolutions), n queries, m keys, dk and dv the
 *    widths of keys and values.
 */
#ifndef ADAMRA_H
#define ADAMRA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(ADAMRA_SHARED)
#ifdef ADAMRA_BUILD
#define ADAMRA_API __declspec(dllexport)
#else
#define ADAMRA_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define ADAMRA_API __attribute__((visibility("default")))
#else
#define ADAMRA_API
#endif

/* The version of this header; adamra_version() is the library's. */
#define ADAMRA_VERSION       "0.1.0"
#define ADAMRA_VERSION_MAJOR 0
#define ADAMRA_VERSION_MINOR 1
#define ADAMRA_VERSION_PATCH 0
#define ADAMRA_MAX_HEADS     64

/* ---- status ---- */

typedef enum adamra_status {
    ADAMRA_OK = 0,
    ADAMRA_INVALID_ARGUMENT, /* a documented rule was broken by the caller */
    ADAMRA_BAD_INPUT,        /* a file's content is malformed or does not fit */
    ADAMRA_IO,               /* a file cannot be opened, read or written */
    ADAMRA_OUT_OF_HOST_MEMORY,
    ADAMRA_OUT_OF_DEVICE_MEMORY, /* or more than the device can address */
    ADAMRA_NO_DEVICE,            /* no usable Vulkan device, or none that was named */
    ADAMRA_DEVICE_LOST,          /* this context is of no more use: destroy it */
    ADAMRA_UNSUPPORTED,          /* legal, but not by this build or device */
    ADAMRA_DRIVER,               /* a Vulkan call failed in another way */
    ADAMRA_CANCELLED             /* adamra_cancel or the progress callback asked for it */
} adamra_status;

/* A few words for a status; never NULL. */
ADAMRA_API const char *adamra_status_text(adamra_status status);
/* The version of the library, for example "0.1.0". */
ADAMRA_API const char *adamra_version(void);

/* ---- log ---- */

typedef enum adamra_log_level {
    ADAMRA_LOG_ERROR,
    ADAMRA_LOG_WARNING,
    ADAMRA_LOG_INFO,
    ADAMRA_LOG_DEBUG
} adamra_log_level;

/* Receives one line without its newline. Called from inside API calls, on their thread. */
typedef void (*adamra_log_fn)(void *user, adamra_log_level level, const char *text);

/* ---- devices ---- */

typedef enum adamra_device_type {
    ADAMRA_DEVICE_DISCRETE,
    ADAMRA_DEVICE_INTEGRATED,
    ADAMRA_DEVICE_VIRTUAL,
    ADAMRA_DEVICE_CPU,
    ADAMRA_DEVICE_OTHER
} adamra_device_type;

/* What a device is, what its driver reports, and which optional features it has. */
typedef struct adamra_device_info {
    uint32_t index; /* for selection: position in adamra_devices' list; UINT32_MAX on a device of
                     * the caller's */
    char name[256];
    adamra_device_type type;
    char uuid[37]; /* 8-4-4-4-12 hexadecimal digits */
    char driver[257];
    char driver_version[289];
    uint32_t api_version[3]; /* major, minor, patch */
    uint64_t memory_bytes;   /* the largest device-local heap */
    uint32_t subgroup_size;
    /* limits that matter here */
    uint64_t max_storage_range; /* bytes of one binding; larger tensors go in pieces */
    uint64_t max_texel_elements;
    uint64_t max_allocation_bytes;
    uint32_t max_groups[3];
    uint32_t max_group_invocations;
    uint32_t max_shared_bytes;
    uint32_t max_push_bytes;
    uint64_t import_alignment; /* of adamra_buffer_import, in bytes; 0: it imports nothing */
    /* features: 1 where the device has them, and has them enabled where it is the caller's; adamra
     * uses them, but storage_16bit: it packs halves in words of 32 bits */
    uint8_t subgroup_shuffle;
    uint8_t texel_buffers;
    uint8_t storage_16bit;
    uint8_t float16;
    uint8_t cooperative_matrix;
    uint8_t unified_memory;
    uint8_t timestamps;
    /* of adamra_context_device only: kinds of calls that run another kernel than the usual one,
     * which adamra_tune has measured to be faster there */
    uint32_t tuned;
} adamra_device_info;

/* Lists the Vulkan devices of this machine, duplicates of one GPU under two drivers removed.
 * infos: room for *count entries, or NULL; count: out: how many devices there are, also where that
 * is more (0 when there are none); log: may be NULL. ADAMRA_NO_DEVICE: no Vulkan loader. */
ADAMRA_API adamra_status adamra_devices(adamra_device_info *infos, uint32_t *count,
                                        adamra_log_fn log, void *user);

/* ---- context: one device ---- */

typedef struct adamra_context adamra_context;
typedef struct adamra_vulkan adamra_vulkan; /* the caller's Vulkan objects: adamra_vulkan.h */

/* Called between the submissions of a run, not after the last, on its thread. done: 0..1, never
 * less than before in the same run. Another value than 0 cancels the run. */
typedef int (*adamra_progress_fn)(void *user, double done);

/*
 * Where a context keeps what is expensive to make again: the driver's compiled pipelines, and what
 * adamra_tune has measured. Data that is missing, old, another device's or damaged is a miss, never
 * an error. Pipelines are saved at the end of each run and recording that has made new ones, so
 * that a program that is killed finds what it has run, and when the context is destroyed. What
 * cannot be saved makes no call fail, and is tried again when there are more new ones. The
 * functions are called inside these calls, adamra_context_create and adamra_tune, on their thread.
 */
typedef struct adamra_cache {
    /* Fills data with at most *size bytes of what was saved under `key` (a file name's letters);
     * *size: in: room, out: bytes saved. data NULL: asks for the size only. 0: there is none. */
    int (*load)(void *user, const char *key, void *data, size_t *size);
    /* Keeps the bytes; 0: could not. */
    int (*save)(void *user, const char *key, const void *data, size_t size);
    void *user;
    const char *folder; /* without callbacks: files in this folder, made when needed; "": nothing
                         * is kept; NULL: $XDG_CACHE_HOME/adamra, else ~/.cache/adamra (Windows:
                         * %LOCALAPPDATA%\\adamra) */
} adamra_cache;

typedef struct adamra_context_params {
    const char *device; /* index (of up to three digits), part of the name (any case), or UUID;
                         * NULL: the first discrete, else integrated, virtual, CPU device */
    adamra_log_fn log;  /* may be NULL */
    void *user;         /* given to log and progress */
    int validate;       /* 1: run under Khronos' validation layer where it is installed */
    const adamra_vulkan *vulkan; /* run on the caller's objects; device and validate are then 0 */
    adamra_progress_fn progress; /* may be NULL */
    uint64_t max_device_memory;  /* bytes that the context takes at most; 0: what the heap has free.
                                  * adamra and linear attention over host memory that needs
                                  * more is streamed, a segment of keys at a time at least */
    double max_submit_ms;        /* no submission shall run longer on the device, by the rate
                                  * measured so far; 0 means 100; negative or inf: unbounded */
    const adamra_cache *cache;   /* NULL: files in the default folder; kept as a copy, its strings
                                  * and `user` are the caller's and outlive the context */
    int no_tune;                 /* 1: run the usual kernels, whatever adamra_tune has measured */
    uint32_t compile_threads; /* that compile pipelines, at most 8; 0: one a processor; 1: the
                               * caller's alone, as always with `validate` */
    const char *limits;       /* for tests: "storage_range=65536,groups=8,..." lowers what the
                               * device can do; the same kernels give the same bits */
} adamra_context_params;

/* Opens a device. params: NULL is {0}; out: NULL on failure, whose reason went to params->log. */
ADAMRA_API adamra_status adamra_context_create(const adamra_context_params *params,
                                               adamra_context **out);
/* Waits for a device of its own to be idle and frees it; everything made from it must be gone. */
ADAMRA_API void adamra_context_destroy(adamra_context *context);
/* What the context runs on. */
ADAMRA_API adamra_status adamra_context_device(const adamra_context *context,
                                               adamra_device_info *info);
/* The reason of the context's last failure, "" if none; valid until its next call. */
ADAMRA_API const char *adamra_error(const adamra_context *context);
/* Ends the run in progress, or the next one, with ADAMRA_CANCELLED after its current submission;
 * outputs are then unspecified. May be called from any thread, and from a signal handler. */
ADAMRA_API void adamra_cancel(adamra_context *context);
/* Errors that the validation layer has reported so far; 0 unless params->validate. */
ADAMRA_API uint32_t adamra_validation_errors(const adamra_context *context);

/* ---- types and tensors ---- */

typedef enum adamra_type { ADAMRA_F32, ADAMRA_F16 } adamra_type;

/* Device memory, for data that stays there between calls; 0 bytes are legal, what is in it at first
 * is not said. Where the memory that suits best is full, other memory that the device reaches is
 * taken, as far as max_device_memory allows. It may go before an attention that has used it. */
typedef struct adamra_buffer adamra_buffer;
ADAMRA_API adamra_status adamra_buffer_create(adamra_context *context, uint64_t bytes,
                                              adamra_buffer **out);
ADAMRA_API void adamra_buffer_destroy(adamra_buffer *buffer);
/* Copies between host memory and the buffer; offset and bytes within its size. Nothing that uses it
 * may be in flight, as a recorded run of the caller's: the host may just copy, without waiting. */
ADAMRA_API adamra_status adamra_buffer_write(adamra_buffer *buffer, uint64_t offset,
                                             const void *data, uint64_t bytes);
ADAMRA_API adamra_status adamra_buffer_read(adamra_buffer *buffer, uint64_t offset, void *data,
                                            uint64_t bytes);

/*
 * Host memory as a buffer, without a copy (VK_EXT_external_memory_host). The memory is the
 * caller's, can be written, stays where it is while the buffer lives, and must not be touched by
 * the host during runs. The system takes it for written: pages of a file that is mapped shared
 * count as changed, those of one that is mapped privately are copied. data and bytes: multiples of
 * the device's import_alignment. ADAMRA_UNSUPPORTED where it cannot import, or not this memory.
 */
ADAMRA_API adamra_status adamra_buffer_import(adamra_context *context, void *data, uint64_t bytes,
                                              adamra_buffer **out);

/* Distances in numbers, not bytes, between neighbours along each dimension of a tensor in a
 * buffer. All 0: tight. Else each one is a multiple of 4 and `row` at least the width, which is a
 * multiple of 4; those of dimensions that the tensor lacks are not read. Those of an input but
 * `row` may be 0: all of that dimension read the same rows. */
typedef struct adamra_strides {
    uint64_t batch, group, head, row;
} adamra_strides;

/*
 * Where a tensor's numbers are: exactly one of `data` and `buffer`, or neither for "not there".
 * Row-major in both cases, host memory always tight. Host floats are converted to the storage
 * type; a buffer's numbers already are of it (router.* and lengths: see adamra_attention_io).
 */
typedef struct adamra_tensor {
    const float *data;      /* host memory, F32 */
    adamra_buffer *buffer;  /* device memory */
    uint64_t offset;        /* bytes into buffer, a multiple of 16; else 0 */
    adamra_strides strides; /* buffer only */
} adamra_tensor;

/* The same for outputs. */
typedef struct adamra_output {
    float *data;
    adamra_buffer *buffer;
    uint64_t offset;
    adamra_strides strides;
} adamra_output;

/* ---- attention ---- */

typedef enum adamra_routing { ADAMRA_TOP1, ADAMRA_SOFT, ADAMRA_NONE } adamra_routing;
typedef enum adamra_feature_map { ADAMRA_ELU1, ADAMRA_RELU } adamra_feature_map;
typedef enum adamra_pooling { ADAMRA_MEAN, ADAMRA_MAX } adamra_pooling;
typedef enum adamra_router { ADAMRA_ROUTER_LOGITS, ADAMRA_ROUTER_WEIGHT } adamra_router;

/* Which blocks of keys the queries of a block attend to: the global ones, those around their own,
 * and some that a hash draws. All fields are taken as they are. Query block i, none of the global
 * ones, draws block h(h(h(seed) ^ i) ^ t) % blocks for t = 0, 1, ..., where it does not see it yet,
 * until it has random_blocks of them, or all. h(x) is PCG's output permutation, in 32 bits:
 * s = x * 747796405 + 2891336453, w = ((s >> ((s >> 28) + 4)) ^ s) * 277803737, (w >> 22) ^ w. */
typedef struct adamra_bigbird {
    uint32_t block;         /* tokens of a block; required, at least 1 */
    uint32_t global_blocks; /* the first so many blocks: all see them, and they see all; may be 0 */
    uint32_t window;        /* blocks around a query's own, which is one of them; required, odd */
    uint32_t random_blocks; /* further ones, or all that are left; may be 0 */
    uint32_t seed;          /* of the hash */
} adamra_bigbird;

/*
 * What is computed, for each b and g, over the keys before key_lengths[b]. Of head h, K and V are
 * pooled over segments of rates[h] rows, the last one over those that it has; S = phi(K)^T V, z is
 * the sum of phi(K)'s rows, o_h = phi(q) S / (phi(q) z + eps), phi(x) = elu(x) + 1 or max(x, 0). p
 * is the softmax over heads of logits, which are given or W_h q + b_h. y is p_h o_h of the most
 * probable head, the first of equal ones (top1), the sum of p_h o_h (soft), or o_h of each head's
 * own queries (none). linear: one head of rate 1, no router. softmax, bigbird: softmax(q K^T /
 * sqrt(dk)) V. Without keys, and from query_lengths[b] on, y is 0. All sizes >= 1 are legal (n and
 * m also 0; bigbird: n = m). Parameters that a kind does not use are not read.
 */
typedef struct adamra_attention_params {
    const char *kind;                /* "adamra" (NULL), "softmax", "linear", "bigbird" */
    uint32_t batch, groups;          /* B, G; 0 means 1 */
    uint32_t queries, keys;          /* n, m */
    uint32_t key_width, value_width; /* dk, dv; required */
    uint32_t heads;                  /* H, required for adamra; other kinds have 1 (0 means 1) */
    const uint32_t *rates;           /* [heads], each >= 1; adamra only */
    int shared_keys;                 /* 1: K is [B, G, 1, m, dk], one projection for all heads */
    int shared_values;               /* 1: V is [B, G, 1, m, dv] */
    adamra_routing routing;
    adamra_feature_map feature_map;
    adamra_pooling pooling;
    adamra_router router;          /* logits given, or computed from weights */
    float eps;                     /* 0 means 1e-6; else finite and at least FLT_MIN */
    const adamra_bigbird *bigbird; /* bigbird only; NULL means {64, 2, 3, 3, 0} */
    adamra_type type; /* storage of Q, K, V, Y and of given logits on the device; router
                       * weights and sums are always 32 bit */
} adamra_attention_params;

/* The tensors of one run.
 *   q [B, G, n, dk] ([B, G, H, n, dk] without routing), k [B, G, H or 1, m, dk], v likewise, dv
 *   y [B, G, n, dv] ([B, G, H, n, dv] without routing)
 * For the baselines H = 1 and there is no routing: q, y [B, G, n, .], k, v [B, G, 1, m, .].
 * What this kind, routing and router do not read is absent (all zeros), or the run is refused.
 * Numbers are finite, in the storage type too (F16: up to 65504). Others are not looked for, and
 * what comes of them in a valid row is not said: devices differ. In padding they are harmless. */
typedef struct adamra_attention_io {
    adamra_tensor q, k, v;
    adamra_tensor router_logits;   /* [B, G, n, H], always tight; a buffer: storage type */
    adamra_tensor router_weight;   /* [G, H, dk], host memory only */
    adamra_tensor router_bias;     /* [G, H], host memory only; may be absent: zero */
    const uint32_t *key_lengths;   /* [B], each <= m; NULL: all m */
    const uint32_t *query_lengths; /* [B], each <= n; NULL: all n */
    adamra_output y;
    int32_t *head; /* top1, host memory: the chosen head [B, G, n] and */
    float *prob;   /* its probability; may be NULL; anything from query_lengths[b] on */
    const struct adamra_device_io *device; /* recorded runs (adamra_vulkan.h); else NULL */
} adamra_attention_io;

/* How long a run took and what it used. */
typedef struct adamra_timing {
    double device_ms;      /* from device timestamps; < 0 where the device has none */
    double host_ms;        /* the whole call: upload, run, download */
    double operations;     /* a multiply and an add are two */
    double bytes;          /* that must move: inputs and outputs once; models: of each kernel */
    uint64_t input_bytes;  /* device memory of inputs; models: and of weights */
    uint64_t output_bytes; /* of outputs */
    uint64_t extra_bytes;  /* beyond both */
    uint32_t submissions;  /* of the run */
    int streamed; /* 1: in pieces, since it did not fit; device memory is then extra_bytes */
} adamra_timing;

typedef struct adamra_attention adamra_attention;
/* Checks the parameters. Kernels are compiled and device memory is made by the first run, and by
 * a run that brings other buffers, or host memory in place of buffers, than the last. The device's
 * copy of a host tensor stays for the next run, until one brings a buffer in its place. */
ADAMRA_API adamra_status adamra_attention_create(adamra_context *context,
                                                 const adamra_attention_params *params,
                                                 adamra_attention **out);
ADAMRA_API void adamra_attention_destroy(adamra_attention *attention);
/*
 * Runs and waits. Host tensors are copied in and out, but for large ones in memory that can be
 * written, where a device that shares it reads them as they are, as by adamra_buffer_import.
 * Buffers are used in place where widths are multiples of 4, else through a copy on the device; y
 * must not overlap an input (with strides, all between the first and the last number counts), and
 * is written in whole 32 bit words. Without numbers (n or m is 0) a tensor may be absent.
 * timing: filled when not NULL and the run is done
 */
ADAMRA_API adamra_status adamra_attention_run(adamra_attention *attention,
                                              const adamra_attention_io *io, adamra_timing *timing);

/* ---- models ---- */

typedef struct adamra_model adamra_model;
typedef struct adamra_model_params {
    adamra_type type; /* storage of weights and activations */
} adamra_model_params;

typedef struct adamra_model_info {
    int bytes_tokenizer; /* 1: a token is a byte of the text; 0: the caller brings token ids */
    uint32_t vocab_size, pad_token_id, max_tokens, hidden_size, layers, num_labels;
    const char *attention;     /* the kind's name */
    const char *const *labels; /* num_labels strings, owned by the model */
    uint64_t weight_bytes;     /* device memory of the weights */
} adamra_model_info;

/* Loads a model folder: config.json and model.safetensors. params may be NULL. */
ADAMRA_API adamra_status adamra_model_load(adamra_context *context, const char *folder,
                                           const adamra_model_params *params, adamra_model **out);
ADAMRA_API void adamra_model_destroy(adamra_model *model);
/* The same of what these two files hold, as an app's assets do. */
ADAMRA_API adamra_status adamra_model_load_memory(adamra_context *context, const void *config,
                                                  size_t config_bytes, const void *weights,
                                                  size_t weights_bytes,
                                                  const adamra_model_params *params,
                                                  adamra_model **out);
/* What the model is; the pointers in *info live as long as the model. */
ADAMRA_API adamra_status adamra_model_get_info(const adamra_model *model, adamra_model_info *info);
/*
 * Runs the encoder on a batch.
 * tokens: [batch, n], each 0 <= token < vocab_size in a row's valid part; row-major, padded
 * lengths: [batch], each <= n; NULL: all n. n <= max_tokens
 * logits: [batch, num_labels], written; timing: filled when not NULL and the run is done
 * Plans of the last few shapes are kept while the device has memory: runs of one shape are
 * cheapest. A batch that memory is too short for runs in slices, to the same bits; a row must fit.
 */
ADAMRA_API adamra_status adamra_model_run(adamra_model *model, const int32_t *tokens,
                                          uint32_t batch, uint32_t n, const uint32_t *lengths,
                                          float *logits, adamra_timing *timing);

#ifdef __cplusplus
}
#endif

#endif
