/* recording: what a run recorded into a command buffer of the caller's needs while that executes.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "context.h"
#include "model/encoder.h"

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

struct adamra_recording {
    struct graph graph;         /* of an attention */
    struct encoder encoder;     /* of a model */
    struct gpu_buffer *lengths; /* of a model, where the caller brings none */
    struct plan *plan;
};

/* NULL without host memory, which has been reported. */
struct adamra_recording *recording_create(struct adamra_context *context);

#endif
