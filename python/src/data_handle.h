// Images that Python holds.
#pragma once

#include <filesystem>

#include "bindings.h"
#include "retort/core/progress.h"
#include "retort/data/dataset.h"

namespace retort::python {

/// A checked set in memory; its tensors share their bytes with what Python gave.
struct DataHandle {
  data::RawDataset about;  ///< all but the images
  data::Split train, test;

  /// As a command takes it. ConfigError on options that only files have.
  data::Dataset open(const data::DataOptions& options, const std::filesystem::path& cache,
                     const ProgressStyle& progress) const;
};

}  // namespace retort::python
