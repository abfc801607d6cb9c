// Image sets in NumPy's .npz files and in pairs of .npy files. No torch here.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>

#include "data/npz_labels.h"
#include "retort/data/raw.h"

namespace retort::data {

/// Arrays' bytes by their names (without ".npy").
using Arrays = std::map<std::string, std::string>;

/// The members whose names are in `wanted`; from a file, an empty set means all with a name that
/// says what they hold.
Arrays npz_members(const std::filesystem::path& path, const std::set<std::string>& wanted);
Arrays npz_members(std::span<const std::byte> bytes, const std::string& path,
                   const std::set<std::string>& wanted);

/// Arrays as a data set.
RawDataset dataset_of_npz(const Arrays& members, const std::string& path);

Reader npz_reader();
Reader npy_reader();
Reader imagenet_npz_reader();

}  // namespace retort::data
