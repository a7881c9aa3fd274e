/* A stand-in for NVIDIA's management library, for machines without GPUs. Cards are the files `card-N` in the
   folder that FAKE_NVML names, each with a line `UUID MEMORY-IN-MB`. What computes on a card are the files in the
   folder of its UUID there: named after a process, each with the megabytes that it has taken. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { char uuid[96]; unsigned long long memory; } Card;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;
enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };

static Card cards[16];
static unsigned count;

static const char *folder(void) { return getenv("FAKE_NVML"); }

int nvmlInit_v2(void) {
    if (!folder()) return NOT_FOUND;
    for (count = 0; count < 16; count++) {
        char path[512];
        snprintf(path, sizeof path, "%s/card-%u", folder(), count);
        FILE *file = fopen(path, "r");
        if (!file) break;
        int read = fscanf(file, "%95s %llu", cards[count].uuid, &cards[count].memory);
        fclose(file);
        if (read != 2) break;
    }
    return SUCCESS;
}
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int error) { (void)error; return "fake"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = count; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, Card **card) {
    if (i >= count) return INVALID;
    *card = &cards[i];
    return SUCCESS;
}
int nvmlDeviceGetName(Card *card, char *name, unsigned n) {
    (void)card;
    snprintf(name, n, "Fake H100");
    return SUCCESS;
}
int nvmlDeviceGetUUID(Card *card, char *uuid, unsigned n) { snprintf(uuid, n, "%s", card->uuid); return SUCCESS; }
int nvmlDeviceGetMaxMigDeviceCount(Card *card, unsigned *n) { (void)card; *n = 0; return SUCCESS; }

static unsigned processes(const Card *card, Process *list, unsigned most) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder(), card->uuid);
    DIR *open = opendir(path);
    unsigned n = 0;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        unsigned pid = (unsigned)atoi(entry->d_name);
        char process[64], file[1400];
        snprintf(process, sizeof process, "/proc/%u", pid);
        if (!pid || access(process, F_OK)) continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unsigned long long megabytes = 0;
        FILE *taken = fopen(file, "r");
        if (!taken || fscanf(taken, "%llu", &megabytes) != 1) megabytes = 0;
        if (taken) fclose(taken);
        if (n < most) list[n] = (Process){pid, megabytes * 1000000ull, ~0u, ~0u};
        n++;
    }
    if (open) closedir(open);
    return n;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Card *card, unsigned *n, Process *list) {
    unsigned found = processes(card, list, list ? *n : 0), had = *n;
    *n = found;
    return found > had ? TOO_SMALL : SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(Card *card, Memory *memory) {
    Process list[64];
    unsigned n = processes(card, list, 64);
    memory->total = card->memory * 1000000ull;
    memory->used = memory->reserved = 0;
    for (unsigned i = 0; i < n && i < 64; i++) memory->used += list[i].used;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}
