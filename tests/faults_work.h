/* faults_work: what is done while calls fail: sequences of API calls with a known result. Nothing
 * here allocates between work_init and work_finish, so that malloc fails in the library only. */
#ifndef FAULTS_WORK_H
#define FAULTS_WORK_H

#include "attention_cases.h"
#include "gpu/gpu.h"
#include "model_cases.h"

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

#define WORK_MODEL   "golden/encoder_adamra"
#define WORK_BUFFERS 5 /* q, k, v, router logits, y */

struct work {
    const struct work_kind *kind;
    adamra_context *context;
    /* inputs, and what came out */
    struct attention_case attention;
    struct attention_result result;
    struct model_cases cases;
    float *logits;
    void *pages;    /* host memory for imports: work_page for each buffer */
    void *expected; /* the bytes of the first result; NULL: none yet */
    /* objects, NULL until a step has made them */
    adamra_attention *object;
    adamra_buffer *buffers[WORK_BUFFERS]; /* of a model: tokens, lengths, logits */
    adamra_model *model;
    VkCommandBuffer command;
    adamra_recording *recording;
};

/* Makes what it is for, unless it is there. May be done again after a failure. */
typedef adamra_status (*work_step)(struct work *work);

struct work_kind {
    const char *name;
    const work_step *steps; /* NULL ends them */
    const char *attention;  /* kind of attention; NULL: a model's */
    adamra_router router;
    uint32_t queries, keys, key_width, value_width; /* 0: small ones */
    uint64_t memory;                                /* max_device_memory */
    bool imports;  /* memory that cannot be imported is refused, or copied instead */
    bool overlaps; /* of two submissions at a time one is done before the other */
    bool slices;   /* a batch that memory is too short for is run row by row */
};

extern const struct work_kind work_kinds[];
extern const uint32_t work_count;

/* Draws the inputs. */
void work_init(struct work *work, const struct work_kind *kind, adamra_context *context);
/* Whether the result is the same as the first one, to the bit; the first is checked against the
 * oracle or the golden logits, which fails the test. Spoils the result for the next run. */
bool work_is_right(struct work *work);
/* Destroys the objects. */
void work_release(struct work *work);
void work_finish(struct work *work);
/* Calls all that there is to call; the number of those that did not return `code`. */
uint32_t work_others_than(struct work *work, adamra_status code);

/* ---- steps that others share ---- */

adamra_status work_create_attention(struct work *work);
adamra_status work_create_buffers(struct work *work);
adamra_status work_write_buffers(struct work *work);
adamra_status work_run_on_buffers(struct work *work);
adamra_status work_read_buffer(struct work *work);
adamra_status work_load_model(struct work *work);
/* All tensors in buffers. */
adamra_attention_io work_buffer_io(const struct work *work);

/* ---- faults_vulkan.c ---- */

#define WORK_PAGE 65536

extern const work_step work_import_steps[], work_record_steps[], work_record_model_steps[];
void work_release_recording(struct work *work);
/* Records anew what has been recorded. */
adamra_status work_record_again(struct work *work);

#endif
