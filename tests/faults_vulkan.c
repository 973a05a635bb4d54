/* Work inside a program with Vulkan of its own, whose own calls do not fail: imported host memory,
 * and runs in its command buffer. */
#include "api/context.h"
#include "faults.h"
#include "faults_work.h"
#include <string.h>

/* ---- imported memory ---- */

static adamra_status import_buffers(struct work *work)
{
    adamra_status result = ADAMRA_OK;
    if (!work->context->device->features.host_import)
        return work_create_buffers(work);
    for (uint32_t i = 0; i < WORK_BUFFERS && !result; i++)
        if (!work->buffers[i])
            result = adamra_buffer_import(work->context, (char *)work->pages + i * WORK_PAGE,
                                          WORK_PAGE, &work->buffers[i]);
    return result;
}

const work_step work_import_steps[] = {work_create_attention, import_buffers,   work_write_buffers,
                                       work_run_on_buffers,   work_read_buffer, NULL};

/* ---- a command buffer ---- */

static void begin(struct work *work)
{
    struct gpu_device *device = work->context->device;
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkCommandBufferAllocateInfo one = {.sType =
                                                 VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             .commandPool = device->commands,
                                             .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                             .commandBufferCount = 1};
    faults_pause(true);
    if (!work->command)
        device->vk.vkAllocateCommandBuffers(device->handle, &one, &work->command);
    device->vk.vkBeginCommandBuffer(work->command, &info);
    faults_pause(false);
}

static void end(struct work *work)
{
    faults_pause(true);
    work->context->device->vk.vkEndCommandBuffer(work->command);
    faults_pause(false);
}

/* Submits and waits. */
static adamra_status execute(struct work *work)
{
    struct gpu_device *device = work->context->device;
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &work->command};
    VkFence fence = VK_NULL_HANDLE;
    faults_pause(true);
    device->vk.vkCreateFence(device->handle, &info, NULL, &fence);
    VkResult result = device->vk.vkQueueSubmit(device->queue, 1, &submit, fence);
    if (result >= 0)
        result = device->vk.vkWaitForFences(device->handle, 1, &fence, VK_TRUE, UINT64_MAX);
    device->vk.vkDestroyFence(device->handle, fence, NULL);
    faults_pause(false);
    return result == VK_SUCCESS ? ADAMRA_OK : ADAMRA_DRIVER;
}

void work_release_recording(struct work *work)
{
    const struct gpu_device *device = work->context->device;
    adamra_recording_destroy(work->recording);
    work->recording = NULL;
    if (work->command)
        device->vk.vkFreeCommandBuffers(device->handle, device->commands, 1, &work->command);
    work->command = NULL;
}

/* ---- recorded attention ---- */

static adamra_status record_attention(struct work *work)
{
    adamra_attention_io io = work_buffer_io(work);
    io.head = NULL;
    io.prob = NULL;
    adamra_recording_destroy(work->recording);
    begin(work);
    adamra_status result =
        adamra_attention_record(work->object, &io, work->command, &work->recording);
    end(work);
    return result;
}

const work_step work_record_steps[] = {work_create_attention,
                                       work_create_buffers,
                                       work_write_buffers,
                                       record_attention,
                                       execute,
                                       work_read_buffer,
                                       NULL};

/* ---- a recorded model ---- */

enum { TOKENS, LENGTHS, LOGITS, MODEL_BUFFERS };

/* Rows of logits in a buffer are whole quads. */
static uint32_t logits_stride(const struct work *work)
{
    return (work->cases.num_labels + 3) / 4 * 4;
}

static adamra_status create_model_buffers(struct work *work)
{
    const struct model_cases *cases = &work->cases;
    const uint64_t words[MODEL_BUFFERS] = {(uint64_t)cases->batch * cases->n, cases->batch,
                                           (uint64_t)cases->batch * logits_stride(work)};
    adamra_status result = ADAMRA_OK;
    for (uint32_t i = 0; i < MODEL_BUFFERS && !result; i++)
        if (!work->buffers[i])
            result = adamra_buffer_create(work->context, 4 * words[i], &work->buffers[i]);
    return result;
}

static adamra_status write_tokens(struct work *work)
{
    const struct model_cases *cases = &work->cases;
    adamra_status result = adamra_buffer_write(work->buffers[TOKENS], 0, cases->tokens,
                                               4 * (uint64_t)cases->batch * cases->n);
    return result ? result
                  : adamra_buffer_write(work->buffers[LENGTHS], 0, cases->lengths,
                                        4 * (uint64_t)cases->batch);
}

static adamra_status record_model_with(struct work *work, adamra_buffer *lengths)
{
    const adamra_model_io io = {.batch = work->cases.batch,
                                .n = work->cases.n,
                                .tokens = work->buffers[TOKENS],
                                .lengths = lengths,
                                .logits = work->buffers[LOGITS]};
    adamra_recording_destroy(work->recording);
    begin(work);
    adamra_status result = adamra_model_record(work->model, &io, work->command, &work->recording);
    end(work);
    return result;
}

/* Not executed. */
static adamra_status record_full_lengths(struct work *work)
{
    return record_model_with(work, NULL);
}

static adamra_status record_model(struct work *work)
{
    return record_model_with(work, work->buffers[LENGTHS]);
}

static adamra_status read_logits(struct work *work)
{
    const uint64_t bytes = 4 * (uint64_t)work->cases.num_labels;
    adamra_status result = ADAMRA_OK;
    for (uint32_t row = 0; row < work->cases.batch && !result; row++)
        result = adamra_buffer_read(work->buffers[LOGITS], 4 * (uint64_t)row * logits_stride(work),
                                    work->logits + (size_t)row * work->cases.num_labels, bytes);
    return result;
}

const work_step work_record_model_steps[] = {
    work_load_model, create_model_buffers, write_tokens, record_full_lengths, record_model,
    execute,         read_logits,          NULL};

adamra_status work_record_again(struct work *work)
{
    return work->kind->attention ? record_attention(work) : record_model(work);
}
