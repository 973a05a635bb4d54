/* arena: allocations are cut from blocks; a large one gets a block of its own. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (16 * 1024)
#define LARGE_BYTES (BLOCK_BYTES / 4)

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* bytes of data */
    max_align_t data[];
};

/* Linked behind the first block when that one still has room worth keeping. */
static struct arena_block *add_block(struct arena *arena, size_t size, bool behind)
{
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *block = calloc(1, sizeof(*block) + size);
    if (!block)
        return NULL;
    block->size = size;
    struct arena_block **link = behind ? &arena->blocks->next : &arena->blocks;
    block->next = *link;
    *link = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    const size_t step = _Alignof(max_align_t);
    if (size && count > (SIZE_MAX - step) / size)
        return NULL;
    size_t bytes = (count * size + step - 1) / step * step;
    if (bytes == 0)
        bytes = step; /* never NULL for an empty array */
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) {
        bool large = bytes > LARGE_BYTES;
        block = add_block(arena, large ? bytes : BLOCK_BYTES, large && block);
    }
    if (!block)
        return NULL;
    void *memory = (char *)block->data + block->used;
    block->used += bytes;
    return memory;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void arena_finish(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    arena->blocks = NULL;
}
