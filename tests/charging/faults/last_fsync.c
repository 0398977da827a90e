/* The n-th fsync or fdatasync of all processes that share a page of counters is the last thing that one of them does.
   page[0]: how many there were; page[1]: which is the last, 0 for none; page[2]: 1 when it is not even done. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile long *page;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("LAST_FSYNC_PAGE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    page = mapped == MAP_FAILED ? 0 : mapped;
    close(file);
}

static int counted(int (*done)(int), int file)
{
    if (!page)
        return done(file);
    long number = __sync_add_and_fetch(&page[0], 1);
    int last = number == page[1];
    if (last && page[2])
        kill(getpid(), SIGKILL);
    int result = done(file);
    if (last)
        kill(getpid(), SIGKILL);
    return result;
}

int fsync(int file) { return counted((int (*)(int))dlsym(RTLD_NEXT, "fsync"), file); }
int fdatasync(int file) { return counted((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"), file); }
