// CIFAR-10 and CIFAR-100, binary version. No torch here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "retort/data/raw.h"

namespace retort::data {

constexpr int64_t kCifarImageBytes = 3 * 32 * 32;

/// How a record's label bytes are read.
enum class CifarLabels { kTen, kFine, kCoarse };

/// Appends the records of one .bin file; `path` is only for messages.
void parse_cifar_binary(std::string_view bytes, const std::string& path, CifarLabels labels,
                        RawImages& out);

std::vector<std::string> cifar10_names();
/// An empty CIFAR data set with names and published values.
RawDataset empty_cifar(CifarLabels labels, const std::string& reader,
                       std::vector<std::string> class_names);

Reader cifar10_binary_reader();
Reader cifar100_binary_reader();

}  // namespace retort::data
