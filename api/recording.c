#include "recording.h"
#include <stdlib.h>

struct adamra_recording *recording_create(struct adamra_context *context)
{
    struct adamra_recording *recording = calloc(1, sizeof(*recording));
    if (!recording) {
        fail(&context->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a recording");
        return NULL;
    }
    graph_init(&recording->graph);
    return recording;
}

uint64_t adamra_recording_bytes(const adamra_recording *recording)
{
    if (!recording)
        return 0;
    return (recording->plan ? plan_scratch_bytes(recording->plan) : 0) +
           (recording->lengths ? recording->lengths->size : 0);
}

void adamra_recording_destroy(adamra_recording *recording)
{
    if (!recording)
        return;
    plan_destroy(recording->plan);
    gpu_buffer_destroy(recording->lengths);
    encoder_finish(&recording->encoder);
    graph_finish(&recording->graph);
    free(recording);
}
