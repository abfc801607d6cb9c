// The 1000 classes of ImageNet (ILSVRC 2012). No torch here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort::data {

/// All wnids, ascending: position = the usual class index.
const std::vector<std::string>& imagenet_wnids();
std::optional<int64_t> imagenet_index(std::string_view wnid);
/// The name where it belongs to a named list, else the wnid.
std::string imagenet_name(int64_t index);
/// Usual index of each class in the numbering of the development kit (its number less one).
std::vector<int64_t> imagenet_indices_of_development_kit();

}  // namespace retort::data
