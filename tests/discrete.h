/* discrete: a device that has one memory for everything, made to look as a graphics card with
 * memory of its own, so that what such a device needs is tested where there is none. */
#ifndef DISCRETE_H
#define DISCRETE_H

#include "gpu/gpu.h"

/* Gives the device three memory types: the device's alone, and the host's for either direction, in
 * two heaps. Nothing has been allocated from it yet. Where its memory is not unified it stays as it
 * is. One such device at a time. */
void discrete_memory(struct gpu_device *device);

#endif
