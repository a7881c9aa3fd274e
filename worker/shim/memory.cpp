// Memory of tensors on the CPU. Large blocks are mapped from the system, in large pages where it has them, and kept when
// they are freed, for the next tensor of about their size: a training asks for the same blocks at every step. What is in use
// and what is kept never take more together than was in use at its most, and an eighth, or a spare that is set: of small
// networks that draw samples little is in use at a time, in many sizes.

#include <algorithm>
#include <c10/core/CPUAllocator.h>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <unordered_map>

namespace {

// Blocks from this size on are ours; a page of the system; a large one.
constexpr size_t LARGE = size_t{1} << 20, PAGE = 4096, LARGE_PAGE = size_t{2} << 20;

// A size at least as large, at most by a sixteenth, so that there are few of them.
size_t rounded(size_t bytes) {
    size_t grain = PAGE;
    while (grain <= bytes / 32) grain *= 2;
    return (bytes + grain - 1) / grain * grain;
}

void *map(size_t size) {
    void *block = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    // Where it is refused, pages are small.
    if (size >= LARGE_PAGE) madvise(block, size, MADV_HUGEPAGE);
#endif
    return block;
}

class Keeper final : public c10::Allocator {
    c10::Allocator *const small = c10::GetDefaultCPUAllocator();

  public:
    c10::DataPtr allocate(size_t bytes) override;
    c10::DeleterFnPtr raw_deleter() const override;
    void copy_data(void *to, const void *from, size_t bytes) const override { default_copy_data(to, from, bytes); }

    // Lets so many bytes be kept, however few are in use.
    void allow(size_t bytes) {
        std::lock_guard<std::mutex> lock(mutex);
        spare = bytes;
    }

    // Frees what is kept.
    void release() {
        std::lock_guard<std::mutex> lock(mutex);
        while (drop_oldest()) {
        }
        most = used;
    }

    // Bytes in use, bytes that are kept, and the most that were in use since the last release.
    void counts(uint64_t out[3]) {
        std::lock_guard<std::mutex> lock(mutex);
        out[0] = used, out[1] = kept, out[2] = most;
    }

    // A block of a tensor, ours or not.
    void take_back(void *block) {
        // Ours begin with a page, which saves a lock for most that are not.
        if (reinterpret_cast<uintptr_t>(block) % PAGE != 0 || !keep(block)) small->raw_deallocate(block);
    }

  private:
    struct Kept {
        void *block;
        uint64_t age;
    };
    using BySize = std::multimap<size_t, Kept>;

    std::mutex mutex;
    size_t used = 0, kept = 0, most = 0, spare = 0;
    uint64_t age = 0;
    // Sizes of blocks in use; blocks that are kept, by size, and in the order in which they were freed.
    std::unordered_map<void *, size_t> sizes;
    BySize by_size;
    std::map<uint64_t, BySize::iterator> ages;

    // Keeps a block for others, if it is ours.
    bool keep(void *block) {
        std::lock_guard<std::mutex> lock(mutex);
        auto found = sizes.find(block);
        if (found == sizes.end()) return false;
        used -= found->second, kept += found->second;
        ++age;
        ages[age] = by_size.emplace(found->second, Kept{block, age});
        sizes.erase(found);
        return true;
    }

    // A block of this size or more, or nothing if the system has none.
    void *take(size_t bytes) {
        std::lock_guard<std::mutex> lock(mutex);
        size_t size = rounded(bytes);
        void *block;
        auto found = by_size.lower_bound(size);
        if (found != by_size.end() && found->first <= size + size / 8) {
            size = found->first, block = found->second.block;
            forget(found);
        } else {
            const size_t peak = std::max(most, used + size);
            while (used + kept + size > peak + std::max(peak / 8, spare) && drop_oldest()) {
            }
            block = map(size);
            while (!block && drop_oldest()) block = map(size);
            if (!block) return nullptr;
        }
        sizes[block] = size;
        used += size;
        most = std::max(most, used);
        return block;
    }

    void forget(BySize::iterator found) {
        kept -= found->first;
        ages.erase(found->second.age);
        by_size.erase(found);
    }

    bool drop_oldest() {
        if (ages.empty()) return false;
        auto oldest = ages.begin()->second;
        munmap(oldest->second.block, oldest->first);
        forget(oldest);
        return true;
    }
};

// It is never destroyed: tensors may outlive everything else.
Keeper &keeper() {
    static Keeper *keeper = new Keeper;
    return *keeper;
}

void give_back(void *block) { keeper().take_back(block); }

c10::DataPtr Keeper::allocate(size_t bytes) {
    const bool is_ours = bytes >= LARGE && bytes <= PTRDIFF_MAX;
    void *block = is_ours ? take(bytes) : nullptr;
    // Libtorch's own says that there is no memory, where there is none.
    if (!block) block = small->raw_allocate(bytes);
    return {block, block, &give_back, c10::Device(c10::DeviceType::CPU)};
}

c10::DeleterFnPtr Keeper::raw_deleter() const { return &give_back; }

} // namespace

extern "C" {

void ablate_memory_keep(uint64_t spare) {
    keeper().allow(spare);
    c10::SetCPUAllocator(&keeper());
}

void ablate_memory_release() { keeper().release(); }

void ablate_memory_counts(uint64_t out[3]) { keeper().counts(out); }

} // extern "C"
