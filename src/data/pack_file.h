// Reading a packed set.
#pragma once

#include <filesystem>

#include "retort/data/dataset.h"

namespace retort::data {

constexpr const char* kPackFormat = "retort.pack";
constexpr int64_t kPackVersion = 1;

/// True where `path` is a file that begins as a packed set does.
bool is_pack(const std::filesystem::path& path);

/// The set with its images mapped: they take no memory of the process's own. ConfigError for
/// options that would change its content.
Dataset open_pack(const DataOptions& options, const std::filesystem::path& cache,
                  const ProgressStyle& progress);

/// The set that the options name, read but not split; not for packed ones.
RawDataset read_source(const DataOptions& options, const ProgressStyle& progress);

/// From mean and deviation as the options ask; `published` may be empty.
Preprocessing fit_preprocessing(const DataOptions& options,
                                const std::optional<Normalisation>& published,
                                const std::optional<Normalisation>& measured,
                                const std::filesystem::path& cache, const ProgressStyle& progress,
                                Dataset& set);

}  // namespace retort::data
