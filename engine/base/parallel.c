#include "base/parallel.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <pthread.h>
#include <unistd.h>
#endif

/* Of a thread: compilers of shaders recurse, and some systems give threads little. */
#define STACK_BYTES ((size_t)8 << 20)

struct work {
    atomic_uint next;
    uint32_t count;
    void (*run)(void *user, uint32_t index);
    void *user;
};

static void take_turns(struct work *work)
{
    for (;;) {
        uint32_t index = atomic_fetch_add(&work->next, 1);
        if (index >= work->count)
            return;
        work->run(work->user, index);
    }
}

/* ---- threads of either system ---- */

#ifdef _WIN32

typedef HANDLE thread;

static DWORD WINAPI thread_main(void *work)
{
    take_turns(work);
    return 0;
}

static bool start(thread *out, struct work *work)
{
    *out =
        CreateThread(NULL, STACK_BYTES, thread_main, work, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    return *out != NULL;
}

static void join(thread started)
{
    WaitForSingleObject(started, INFINITE);
    CloseHandle(started);
}

uint32_t parallel_processors(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? info.dwNumberOfProcessors : 1;
}

#else

typedef pthread_t thread;

static void *thread_main(void *work)
{
    take_turns(work);
    return NULL;
}

static bool start(thread *out, struct work *work)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    bool started = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
                   pthread_create(out, &attributes, thread_main, work) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

static void join(thread started)
{
    pthread_join(started, NULL);
}

uint32_t parallel_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

#endif

void parallel_run(uint32_t count, uint32_t most, void (*run)(void *user, uint32_t index),
                  void *user)
{
    struct work work = {.count = count, .run = run, .user = user};
    thread threads[PARALLEL_MOST];
    uint32_t started = 0;
    while (started + 1 < count && started + 1 < most && started + 1 < PARALLEL_MOST &&
           start(&threads[started], &work))
        started++;
    take_turns(&work);
    for (uint32_t i = 0; i < started; i++)
        join(threads[i]);
}
