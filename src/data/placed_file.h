// A file of a size known beforehand that is written at places.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/descriptor.h"

namespace retort::data {

/// Made, or brought to `size`, when it is opened: ResourceError where the disk is too small.
/// Several threads may write at once.
class PlacedFile {
 public:
  PlacedFile(const std::filesystem::path& path, uint64_t size);
  void put(const void* data, uint64_t size, uint64_t at) const;
  void sync() const;

 private:
  std::string path_;
  Descriptor file_;
};

}  // namespace retort::data
