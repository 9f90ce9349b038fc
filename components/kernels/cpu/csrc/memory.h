// Memory for a call's own use, kept from one call to the next. What goes back to the system comes again as new pages,
// which the system has to clear: in a process with the C library's defaults that was a third of a call.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace mta {

struct Block {
  float* data;
  int64_t count;  // of floats
};

// The blocks that no call uses. How much lies idle is bounded; what is beyond goes back to the system.
class Pool {
 public:
  static Pool& instance() {
    static Pool* const pool = new Pool;  // never destroyed: a thread may end after the library's globals
    return *pool;
  }

  Block take(int64_t count) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = idle_.lower_bound(count);
      if (found != idle_.end() && found->first <= 2 * count) {
        const Block block = found->second;
        idle_.erase(found);
        idle_count_ -= block.count;
        return block;
      }
    }
    void* const data = std::aligned_alloc(huge_page, sizeof(float) * count);
    if (data == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(data, sizeof(float) * count, MADV_HUGEPAGE);
#endif
    return {static_cast<float*>(data), count};
  }

  void give_back(const Block& block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_count_ + block.count > most_idle) {
      std::free(block.data);
      return;
    }
    idle_.emplace(block.count, block);
    idle_count_ += block.count;
  }

  static constexpr int64_t huge_page = 2 << 20;  // bytes; blocks are whole ones

 private:
  static constexpr int64_t most_idle = (256 << 20) / sizeof(float);
  std::mutex mutex_;
  std::multimap<int64_t, Block> idle_;
  int64_t idle_count_ = 0;
};

// Hands out floats, not initialised and each array at the start of a cache line; all end with it.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&& other) noexcept : blocks_(std::exchange(other.blocks_, {})), used_(other.used_) {}
  ~Arena() {
    for (const Block& block : blocks_) Pool::instance().give_back(block);
  }

  float* take(int64_t count) {
    count = (count + line - 1) / line * line;
    if (blocks_.empty() || used_ + count > blocks_.back().count) {
      constexpr int64_t page = Pool::huge_page / sizeof(float);
      blocks_.push_back(Pool::instance().take((count + page - 1) / page * page));
      used_ = 0;
    }
    float* const start = blocks_.back().data + used_;
    used_ += count;
#ifdef MTA_POISON  // so that a test notices who reads what nobody wrote
    std::fill_n(start, count, std::numeric_limits<float>::quiet_NaN());
#endif
    return start;
  }

 private:
  static constexpr int64_t line = 16;
  std::vector<Block> blocks_;
  int64_t used_ = 0;  // of the last block
};

}  // namespace mta
