// Open files on POSIX, for the sources that read, map and write them. No torch here.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <utility>

#include "retort/core/error.h"

namespace retort {

/// An open file descriptor, closed on destruction.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

/// That `path` cannot be read, by errno.
ResourceError unreadable(const std::filesystem::path& path);

/// Opens a plain file for reading; its size comes back in `size`. What is no plain file is not even
/// opened (a pipe would wait for its writer), and not waited for should it change in between.
int open_plain(const std::filesystem::path& path, uint64_t& size);

}  // namespace retort
