// Packing a set of images into one file of bytes that is mapped, for data larger than memory.
// docs/formats.md describes the file.
#pragma once

#include <cstdint>
#include <filesystem>

#include "retort/core/progress.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"

namespace retort::data {

/// What is packed, and where to.
struct PackInput {
  DataOptions data;    ///< the source with all that changes its content; its parts stay parts
  int64_t repeat = 1;  ///< times that every training image is written: for measurements
  std::filesystem::path out;
  ProgressStyle progress = {};
  const StopFlag* stop = nullptr;
};

/// What a call of pack ended with.
struct PackOutcome {
  int64_t images = 0, bytes = 0;
  bool made = false;                    ///< by this call, rather than found finished
  bool stopped = false;                 ///< the same call goes on
  std::vector<std::string> notes = {};  ///< of this call's packing: those that the file holds
};

/// Writes the file, decoding image files on all threads. What was begun is in OUT.partial beside
/// OUT.progress: the same call goes on from there and ends in the same bytes. StateError where
/// `out` is another file, ResourceError where the disk is too small.
PackOutcome pack(const PackInput& input);

}  // namespace retort::data
