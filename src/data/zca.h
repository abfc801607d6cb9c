// ZCA matrices kept on disk between runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "retort/data/dataset.h"

namespace retort::data {

/// As FRePo: every channel standardised by its deviation over the training images, then whitened
/// with a ridge of `share` times the mean eigenvalue. Throws DataError.
Preprocessing fit_standardised_zca(const at::Tensor& images, double share);

/// fit_zca or fit_standardised_zca, its result kept under `cache` (where not empty) in a file named
/// by `key`, which must name the images and the settings. A damaged or foreign file is made anew,
/// and `progress` told so, since it takes a while. A cache that cannot be written costs only time:
/// `notes` says so.
Preprocessing cached_zca(const at::Tensor& images, double epsilon, bool standardised,
                         const std::string& key, const std::filesystem::path& cache,
                         const ProgressStyle& progress, std::vector<std::string>& notes);

}  // namespace retort::data
