/* malloc and its kin, replaced where the engine and the tests call them. Not where jansson does:
 * version 2.14 writes past the end of a string when the buffer of its lexer cannot grow. */
#include "faults_inside.h"
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static bool counting;
static int64_t allocations;

void faults_count_allocations(bool on)
{
    counting = on;
}

static void *count(void *memory)
{
    if (counting)
        allocations += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return faults_next(FAULT_HOST, "malloc") ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size)
{
    return faults_next(FAULT_HOST, "calloc") ? NULL : count(__real_calloc(number, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (faults_next(FAULT_HOST, "realloc"))
        return NULL;
    return memory ? __real_realloc(memory, size) : count(__real_realloc(NULL, size));
}

void __wrap_free(void *memory)
{
    if (counting)
        allocations -= memory != NULL;
    __real_free(memory);
}

int64_t faults_allocations(void)
{
    return allocations;
}
