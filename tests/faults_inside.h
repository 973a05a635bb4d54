/* What the parts of faults share: faults.c decides, faults_device.c and faults_instance.c ask. */
#ifndef FAULTS_INSIDE_H
#define FAULTS_INSIDE_H

#include "faults.h"

/* Results that a function may return. */
enum fault_error { HOST = 1, DEVICE = 2, LOST = 4, INIT = 8, MAP = 16, POOL = 32 };

/* Whether the call that is about to be made is the one to fail, by its class alone. */
bool faults_next(uint32_t class, const char *name);
/* What a call that may return `errors` returns in place of doing its work; VK_SUCCESS: let it. */
VkResult faults_result(const char *name, uint32_t class, uint32_t errors);

bool faults_watched(void);
bool faults_coherent(void);

/* The device that what runs on is waited for; NULL: none. */
void faults_set_device(VkDevice device);
/* Counts objects: negative where they are destroyed. */
void faults_count(int32_t made);
/* Notes that a rule was broken by a call of that name. */
void faults_misused(const char *name);

/* ---- what is in flight ---- */

/* Whether anything is, that was submitted with the fence or has the command buffer. */
bool faults_pending(void);
/* Whether an object of another kind may be in use. */
bool faults_in_use(void);
bool faults_pending_fence(VkFence fence);
bool faults_pending_command(VkCommandBuffer command);
void faults_submitted(VkFence fence, VkCommandBuffer command);
/* The fence was waited for; a fence is signalled after all that was submitted before it. */
void faults_waited(VkFence fence);
void faults_idle(void);

/* ---- faults_device.c ---- */

/* The function of that name that stands before `real`; `real` where there is none. */
PFN_vkVoidFunction faults_device_function(const char *name, PFN_vkVoidFunction real);
/* Waits until the device has done all, whatever is made to fail. */
void faults_really_wait(VkDevice device);

#endif
