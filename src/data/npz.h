// Image sets in NumPy's .npz files. No torch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/core/npy.h"
#include "retort/data/raw.h"

namespace retort::data {

/// The bytes of the members whose names (without ".npy") are in `wanted`.
std::map<std::string, std::string> npz_members(const std::filesystem::path& path,
                                               const std::set<std::string>& wanted);
std::map<std::string, std::string> npz_members(std::span<const std::byte> bytes,
                                               const std::string& path,
                                               const std::set<std::string>& wanted);

/// A .npz file's members as a data set.
RawDataset dataset_of_npz(const std::map<std::string, std::string>& members,
                          const std::string& path);

/// The values of an array of integers of any type; shape [N] or [N, 1].
std::vector<int64_t> integers_of(const NpyArray& array, const std::string& what,
                                 const std::string& path);

Reader npz_reader();
Reader imagenet_npz_reader();

}  // namespace retort::data
