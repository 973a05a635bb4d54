#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double system_clock_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

size_t system_page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

void system_yield(void)
{
    sched_yield();
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Faults pages in as a write would, without changing what is there. */
bool system_is_writable(void *begin, size_t size)
{
#ifdef __linux__
    int result;
    do
        result = madvise(begin, size, MADV_POPULATE_WRITE);
    while (result && errno == EINTR);
    return result == 0;
#else
    (void)begin;
    (void)size;
    return false;
#endif
}

static int code(int result)
{
    return result == 0 ? 0 : errno;
}

bool system_is_separator(char letter)
{
    return letter == '/';
}

int system_open(const char *path, enum system_open how)
{
    static const int flags[] = {[SYSTEM_READ] = O_RDONLY,
                                [SYSTEM_WRITE] = O_WRONLY,
                                [SYSTEM_CREATE] = O_RDWR | O_CREAT | O_EXCL};
    return open(path, flags[how] | O_CLOEXEC, 0666);
}

int system_map(int descriptor, size_t size, void **memory)
{
    void *mapped = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapped == MAP_FAILED)
        return errno;
    *memory = mapped;
    return 0;
}

void system_unmap(void *memory, size_t size)
{
    munmap(memory, size);
}

static int reserve(int descriptor, size_t size)
{
#ifdef HAVE_POSIX_FALLOCATE
    int error;
    do
        error = posix_fallocate(descriptor, 0, (off_t)size);
    while (error == EINTR);
    return error;
#else /* macOS */
    (void)descriptor;
    (void)size;
    return ENOTSUP;
#endif
}

/* Without a reservation a full disk would end the program when it writes to the map. */
int system_map_new(int descriptor, size_t size, void **memory)
{
    int error = reserve(descriptor, size);
    bool none = error == EINVAL || error == ENOTSUP || error == EOPNOTSUPP;
    if (error && !none)
        return error;
    void *mapped =
        none ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED)
        return ftruncate(descriptor, 0) == 0 ? ENODEV : errno;
    *memory = mapped;
    return 0;
}

int system_flush(void *memory, size_t size)
{
    return code(msync(memory, size, MS_SYNC));
}

int system_sync(int descriptor)
{
    return code(fsync(descriptor));
}

int system_kind(const char *path, enum system_kind *kind)
{
    struct stat info;
    int error = code(stat(path, &info));
    if (error == 0)
        *kind = S_ISREG(info.st_mode) ? SYSTEM_FILE : SYSTEM_OTHER;
    else
        *kind = SYSTEM_FREE;
    return error == ENOENT ? 0 : error;
}

/* `path` is a link to `target`, which counts from the folder that holds the link: malloc'ed. */
static char *join_link(const char *path, const char *target)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash && *target != '/' ? (size_t)(slash + 1 - path) : 0;
    size_t size = folder + strlen(target) + 1;
    char *joined = malloc(size);
    if (joined)
        snprintf(joined, size, "%.*s%s", (int)folder, path, target);
    return joined;
}

#define LINKS_MOST  40 /* one behind another, as Linux has it */
#define TARGET_MOST 4096

char *system_resolve(const char *path)
{
    char target[TARGET_MOST];
    char *end = realpath(path, NULL);
    if (end || errno != ENOENT)
        return end;
    end = strdup(path);
    for (int i = 0; end && i < LINKS_MOST; i++) {
        ssize_t size = readlink(end, target, sizeof(target) - 1);
        if (size < 0) /* no link, or nothing there */
            return end;
        target[size] = 0;
        char *next = join_link(end, target);
        free(end);
        end = next;
    }
    free(end);
    errno = end ? ELOOP : ENOMEM;
    return NULL;
}

void system_copy_permissions(int descriptor, const char *path)
{
    struct stat info;
    /* A file system without permissions is no reason to fail. */
    if (stat(path, &info) == 0)
        (void)!fchmod(descriptor, info.st_mode & 0777);
}

int system_replace(const char *from, const char *to)
{
    return code(rename(from, to));
}

int system_remove(const char *path)
{
    return code(unlink(path));
}

int system_make_folder(const char *path)
{
    return code(mkdir(path, 0700));
}

/* The XDG Base Directory Specification, which has relative paths ignored. */
char *system_cache_folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return strdup(cache);
    if (!home || *home != '/')
        return NULL;
    size_t size = strlen(home) + sizeof("/.cache");
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/.cache", home);
    return path;
}
