/* store: where bytes are kept from one process to the next: files in a folder, or what the caller
 * brought. What cannot be kept or is not there is no error: it is made again.
 *
 * Files are written beside their place and put there in one step, so that processes that keep the
 * same thing at the same time disturb nobody; the last one stays. */
#ifndef STORE_H
#define STORE_H

#include "gpu/gpu.h"

/* Files in `folder`, made when needed; NULL: "adamra" in the user's cache folder; "": nothing is
 * kept. Without memory, too, nothing is. */
void gpu_store_init(const char *folder, struct gpu_store *store);
/* Of a store from gpu_store_init; {0} is fine. */
void gpu_store_finish(struct gpu_store *store);

/* The bytes kept under `key`, malloc'ed, with a 0 behind them; NULL: none, or more than `most`. */
void *gpu_store_load(const struct gpu_store *store, const char *key, size_t most, size_t *size);
/* False where they could not be kept. */
bool gpu_store_save(const struct gpu_store *store, const char *key, const void *bytes, size_t size);

#endif
