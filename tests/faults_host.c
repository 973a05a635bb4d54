/* malloc and its kin, replaced where the engine and the tests call them. Not where jansson does:
 * version 2.14 writes past the end of a string when the buffer of its lexer cannot grow. */
#include "faults_inside.h"
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return faults_next(FAULT_HOST, "malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return faults_next(FAULT_HOST, "calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return faults_next(FAULT_HOST, "realloc") ? NULL : __real_realloc(memory, size);
}
